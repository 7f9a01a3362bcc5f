//! nginx, as installed: one worker. It has no HTTP/2 upstream, so its h2c cells are HTTP/1.1 behind the outbound
//! proxy; `proxy_ssl_name` checks the DNS name where a mesh checks the SPIFFE id. Opaque bytes need its stream
//! module, which Debian packs apart.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Entries, HOST, Kind, Opaque, Peer, version};
use crate::process::Process;
use crate::site::Site;

const PROGRAM: &str = "nginx";

/// Where Debian puts the stream module.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

const HTTP: &str = "\
 access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; sendfile off; tcp_nodelay on;
 proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;
 proxy_max_temp_file_size 0; proxy_buffers 16 16k; proxy_buffer_size 16k;
";

/// Starts both processes.
pub(super) fn start(site: &Site, dir: &Path) -> Result<Peer> {
    let entries = Entries { http1: site.ports.take()?, http2: site.ports.take()? };
    let inbound_address = site.ports.take()?;
    let (ca, credentials) = (site.ca.display(), &site.credentials);
    let (client, server) = (&credentials.client, &credentials.server);
    let dial = format!(
        "proxy_ssl_certificate {}; proxy_ssl_certificate_key {}; \
         proxy_ssl_trusted_certificate {ca}; proxy_ssl_verify on; proxy_ssl_verify_depth 2; \
         proxy_ssl_name {HOST}; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;",
        client.certificate.display(),
        client.key.display()
    );
    let accept = format!(
        "ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {ca}; \
         ssl_verify_client on; ssl_protocols TLSv1.3; ssl_session_cache shared:S:10m;",
        server.certificate.display(),
        server.key.display()
    );
    let opaque = match Path::new(STREAM).is_file() {
        true => Some(Opaque { entry: site.ports.take()?, inbound: site.ports.take()?, alpn: &[] }),
        false => None,
    };
    let outbound = format!(
        " upstream u {{ server {inbound_address}; {KEEP} }}\n server {{ listen {}; listen {} http2; \
         server_name {HOST};\n location / {{ proxy_pass https://u; {dial} \
         proxy_next_upstream error timeout http_503; proxy_next_upstream_tries 3; }} }}",
        entries.http1, entries.http2
    );
    let inbound = format!(
        " upstream u {{ server {}; {KEEP} }}\n server {{ listen {inbound_address} ssl; \
         server_name {HOST}; {accept}\n location / {{ proxy_pass http://u; }} }}",
        site.app_address
    );
    let opaque_outbound = opaque.map(|opaque| {
        format!(
            " server {{ listen {}; proxy_pass {}; proxy_ssl on; {dial} }}",
            opaque.entry, opaque.inbound
        )
    });
    let opaque_inbound = opaque.map(|opaque| {
        // A zone of its own: zones of the two modules cannot be one.
        let accept = accept.replace("shared:S", "shared:T");
        format!(
            " server {{ listen {} ssl; {accept} proxy_pass {}; }}",
            opaque.inbound, site.opaque_address
        )
    });
    Ok(Peer {
        kind: Kind::Nginx,
        version: version(Path::new(PROGRAM), "-v"),
        entries,
        opaque,
        inbound_address,
        alpn: &[b"http/1.1"],
        inbound: proxy("inbound", &inbound, opaque_inbound.as_deref(), dir)?,
        outbound: proxy("outbound", &outbound, opaque_outbound.as_deref(), dir)?,
        credentials: credentials.clone(),
        support: None,
        _collector: None,
    })
}

/// Idle connections to the next hop: more than the load has.
const KEEP: &str = "keepalive 512; keepalive_requests 1000000000; keepalive_timeout 3600s;";

fn proxy(name: &str, config: &str, opaque: Option<&str>, dir: &Path) -> Result<Process> {
    let root = dir.join(name);
    std::fs::create_dir_all(&root)?;
    let at = |leaf: &str| root.join(leaf).display().to_string();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!(" {kind}_temp_path {};\n", at(kind)))
        .concat();
    let load = opaque.map_or(String::new(), |_| format!("load_module {STREAM};\n"));
    let stream = opaque.map_or(String::new(), |servers| {
        format!("stream {{ tcp_nodelay on; proxy_buffer_size 16k;\n{servers}\n}}\n")
    });
    let text = format!(
        "{load}daemon off; worker_processes 1; pid {}; error_log stderr error; \
         worker_rlimit_nofile 19800;\nevents {{ worker_connections 19000; }}\n\
         {stream}http {{\n{HTTP}{paths}{config}\n}}\n",
        at("pid")
    );
    let file = root.join("nginx.conf");
    std::fs::write(&file, text)?;
    Process::start(name, Command::new(PROGRAM).arg("-c").arg(&file).args(["-e", "stderr"]), dir)
}
