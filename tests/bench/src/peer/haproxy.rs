//! haproxy, as installed: host list, retries, reuse of server connections, one thread. Its `verifyhost` checks
//! the DNS name where a mesh checks the SPIFFE id.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Entries, HOST, Kind, Opaque, Peer, decoy_hosts, version};
use crate::process::Process;
use crate::site::Site;

const PROGRAM: &str = "haproxy";

const GLOBAL: &str = "\
global
 nbthread 1
 maxconn 9500
 ssl-default-bind-options ssl-min-ver TLSv1.3
 ssl-default-server-options ssl-min-ver TLSv1.3
defaults
 mode http
 timeout connect 5s
 timeout client 1h
 timeout server 1h
 retries 2
 option redispatch
";

/// Starts both processes.
pub(super) fn start(site: &Site, dir: &Path) -> Result<Peer> {
    let entries = Entries { http1: site.ports.take()?, http2: site.ports.take()? };
    let (inbound1, inbound2) = (site.ports.take()?, site.ports.take()?);
    let hosts = dir.join("hosts");
    let names: Vec<String> = decoy_hosts().chain([HOST.to_owned()]).collect();
    std::fs::write(&hosts, names.join("\n") + "\n")?;
    let pair = |name, from: SocketAddr, bind: &str, to: SocketAddr, server: &str| {
        let hosts = hosts.display();
        format!(
            "frontend {name}\n bind {from} {bind}\n acl known hdr(host),field(1,:) -f {hosts}\n \
             http-request deny status 404 unless known\n default_backend {name}\n\
             backend {name}\n http-reuse always\n retry-on conn-failure empty-response 503\n \
             server s {to} {server} pool-max-conn -1\n"
        )
    };
    let (ca, credentials) = (site.ca.display(), &site.credentials);
    let client = credentials.client.combined.display();
    let server = credentials.server.combined.display();
    let dial =
        format!("ssl crt {client} ca-file {ca} verify required verifyhost {HOST} sni str({HOST})");
    let accept = format!("ssl crt {server} ca-file {ca} verify required");
    let app = site.app_address;
    let opaque = Opaque { entry: site.ports.take()?, inbound: site.ports.take()?, alpn: &[] };
    let outbound = pair("http1", entries.http1, "", inbound1, &format!("{dial} alpn http/1.1"))
        + &pair("http2", entries.http2, "proto h2", inbound2, &format!("{dial} alpn h2"))
        + &bytes(opaque.entry, "", opaque.inbound, &dial);
    let inbound = pair("http1", inbound1, &format!("{accept} alpn http/1.1"), app, "")
        + &pair("http2", inbound2, &format!("{accept} alpn h2"), app, "proto h2")
        + &bytes(opaque.inbound, &accept, site.opaque_address, "");
    Ok(Peer {
        kind: Kind::Haproxy,
        version: version(Path::new(PROGRAM), "-v"),
        entries,
        opaque: Some(opaque),
        inbound_address: inbound1,
        alpn: &[b"http/1.1"],
        inbound: proxy("inbound", &inbound, dir)?,
        outbound: proxy("outbound", &outbound, dir)?,
        credentials: credentials.clone(),
        support: None,
        _collector: None,
    })
}

/// A way for opaque bytes.
fn bytes(from: SocketAddr, bind: &str, to: SocketAddr, server: &str) -> String {
    format!(
        "frontend tcp\n mode tcp\n bind {from} {bind}\n default_backend tcp\n\
         backend tcp\n mode tcp\n server s {to} {server}\n"
    )
}

fn proxy(name: &str, config: &str, dir: &Path) -> Result<Process> {
    let file = dir.join(format!("{name}.cfg"));
    std::fs::write(&file, format!("{GLOBAL}{config}"))?;
    Process::start(name, Command::new(PROGRAM).args(["-db", "-f"]).arg(&file), dir)
}
