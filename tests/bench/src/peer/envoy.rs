//! Envoy, configured from files to do what a sidecar does: 101 virtual hosts, retries, least request, mTLS with
//! the peer's SPIFFE id checked on both sides; its statistics as they come, no access log, no tracing.

mod config;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Entries, Kind, Opaque, Peer, version};
use crate::process::Process;
use crate::site::Site;
use config::{Tls, cluster, listener, opaque_cluster, opaque_listener};

/// The pair's addresses.
struct Addresses {
    entries: Entries,
    inbound1: SocketAddr,
    inbound2: SocketAddr,
    opaque: Opaque,
    app: SocketAddr,
    opaque_app: SocketAddr,
}

/// Starts both processes, one worker each.
pub(super) fn start(program: &Path, site: &Site, dir: &Path) -> Result<Peer> {
    let entries = Entries { http1: site.ports.take()?, http2: site.ports.take()? };
    let (inbound1, inbound2) = (site.ports.take()?, site.ports.take()?);
    let opaque = Opaque { entry: site.ports.take()?, inbound: site.ports.take()?, alpn: &[] };
    let (app, opaque_app) = (site.app_address, site.opaque_address);
    let at = Addresses { entries, inbound1, inbound2, opaque, app, opaque_app };
    Ok(Peer {
        kind: Kind::Envoy,
        version: version(program, "--version"),
        entries,
        opaque: Some(opaque),
        inbound_address: inbound1,
        alpn: &[b"http/1.1"],
        inbound: proxy("inbound", &inbound(&at, site), program, dir)?,
        outbound: proxy("outbound", &outbound(&at, site), program, dir)?,
        credentials: site.credentials.clone(),
        support: None,
        _collector: None,
    })
}

fn outbound(at: &Addresses, site: &Site) -> Value {
    let tls = |alpn| Tls::client(site, Some(alpn));
    json!({"static_resources": {
        "listeners": [
            listener("http1", at.entries.http1, None),
            listener("http2", at.entries.http2, None),
            opaque_listener(at.opaque.entry, None),
        ],
        "clusters": [
            cluster("http1", at.inbound1, Some(tls("http/1.1"))),
            cluster("http2", at.inbound2, Some(tls("h2"))),
            opaque_cluster(at.opaque.inbound, Some(Tls::client(site, None))),
        ],
    }})
}

fn inbound(at: &Addresses, site: &Site) -> Value {
    let tls = |alpn| Tls::server(site, Some(alpn));
    json!({"static_resources": {
        "listeners": [
            listener("http1", at.inbound1, Some(tls("http/1.1"))),
            listener("http2", at.inbound2, Some(tls("h2"))),
            opaque_listener(at.opaque.inbound, Some(Tls::server(site, None))),
        ],
        "clusters": [
            cluster("http1", at.app, None),
            cluster("http2", at.app, None),
            opaque_cluster(at.opaque_app, None),
        ],
    }})
}

fn proxy(name: &str, config: &Value, program: &Path, dir: &Path) -> Result<Process> {
    let file = dir.join(format!("{name}.json"));
    std::fs::write(&file, serde_json::to_vec_pretty(config)?)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&file);
    command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "warn"]);
    Process::start(name, &mut command, dir)
}
