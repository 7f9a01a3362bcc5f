//! Weft, the real thing: a control plane that reads a directory of YAML, and two sidecars that join it with
//! tokens, get certificates and routes from it, and report their metrics to it. Everything that is on by default
//! is on; the access log, which the other peers do not write either, is off. The pair called `traced` has a collector
//! besides, which gets spans of one trace in a hundred.

mod admin;
mod collector;
mod credentials;
mod manifests;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};

pub(crate) use collector::Collector;

use super::{Entries, Kind, Opaque, Peer, START, version};
use crate::process::Process;
use crate::site::Site;

/// HTTP/1.1 between sidecars, as `weft_proto::alpn` names it.
const ALPN: &[&[u8]] = &[b"weft-http/1.1"];
/// Opaque bytes between sidecars.
const OPAQUE: &[&[u8]] = &[b"weft-tcp"];

/// Starts control plane and sidecars from the programs in `bin`.
pub(super) async fn start(kind: Kind, bin: &Path, site: &Site, dir: &Path) -> Result<Peer> {
    let (entry, inbound_address) = (site.ports.take()?, site.ports.take()?);
    let opaque = Opaque { entry: site.ports.take()?, inbound: site.ports.take()?, alpn: OPAQUE };
    let config = dir.join("config");
    fs::create_dir_all(&config)?;
    let collector = match kind {
        Kind::Traced => Some(Collector::start().await?),
        _ => None,
    };
    let endpoint = collector.as_ref().map(Collector::endpoint);
    let manifests = manifests::mesh(inbound_address, opaque.inbound.port(), endpoint.as_deref());
    fs::write(config.join("mesh.yaml"), manifests)?;
    let state = state_dir(dir, "control-plane")?;
    let mut control_plane = control_plane(bin, &config, &state, site.ports.take()?, dir)?;
    let socket = state.join("admin.sock");
    ready(&socket, &mut control_plane).await?;

    let proxy = Launch { bin, dir, socket: &socket, site };
    let inbound = format!("{inbound_address}={}", site.app_address);
    let bytes = format!("{}={}", opaque.inbound, site.opaque_address);
    let inbound = ["--inbound", &inbound, "--inbound", &bytes];
    let inbound = proxy.start("inbound", manifests::SERVER, &inbound);
    let upstream = format!("{entry}={}", manifests::SERVICE);
    let bytes = format!("{}={}", opaque.entry, manifests::OPAQUE);
    let upstream = ["--upstream", &upstream, "--upstream", &bytes];
    let outbound = proxy.start("outbound", manifests::CLIENT, &upstream);
    let (inbound, outbound) = (inbound.await?, outbound.await?);
    Ok(Peer {
        kind,
        version: version(&bin.join("weft-proxy"), "--version"),
        entries: Entries { http1: entry, http2: entry },
        opaque: Some(opaque),
        inbound_address,
        alpn: ALPN,
        credentials: credentials::issue(&state.join("ca"), dir.join("credentials"))?,
        outbound,
        inbound,
        support: Some(control_plane),
        _collector: collector,
    })
}

/// Starts a control plane for the directory `config`.
pub(crate) fn control_plane(
    bin: &Path,
    config: &Path,
    state: &Path,
    listen: SocketAddr,
    dir: &Path,
) -> Result<Process> {
    let mut command = command(bin, "weft-control-plane");
    command.arg("--config-dir").arg(config).arg("--state-dir").arg(state);
    command.args(["--listen", &listen.to_string(), "--mesh", "bench"]);
    Process::start("control-plane", &mut command, dir)
}

/// How a sidecar is started.
pub(crate) struct Launch<'a> {
    /// Directory of the programs.
    pub(crate) bin: &'a Path,
    /// Where files go.
    pub(crate) dir: &'a Path,
    /// The control plane's admin socket.
    pub(crate) socket: &'a Path,
    /// Ports.
    pub(crate) site: &'a Site,
}

impl Launch<'_> {
    /// Joins `workload` to the mesh.
    pub(crate) async fn start(&self, name: &str, workload: &str, args: &[&str]) -> Result<Process> {
        let request = serde_json::json!({ "workload": workload });
        let bootstrap = admin::post(self.socket, "/v1/join-tokens", &request).await?;
        let file = self.dir.join(format!("{name}.json"));
        fs::write(&file, bootstrap)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let state = state_dir(self.dir, name)?;
        let mut command = command(self.bin, "weft-proxy");
        command.arg("--bootstrap").arg(file).arg("--state-dir").arg(state);
        command.args(args).args(["--workers", "1", "--access-log", "off"]);
        command.args(["--health", &self.site.ports.take()?.to_string()]);
        Process::start(name, &mut command, self.dir)
    }
}

/// One of Weft's programs, without what this run's environment would tell it.
fn command(bin: &Path, program: &str) -> Command {
    let mut command = Command::new(bin.join(program));
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"WEFT_") || bytes.starts_with(b"OTEL_") {
            command.env_remove(name);
        }
    }
    command
}

/// A directory for secrets.
pub(crate) fn state_dir(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(format!("{name}.state"));
    fs::create_dir_all(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

/// Waits until the control plane has published.
pub(crate) async fn ready(socket: &Path, control_plane: &mut Process) -> Result<()> {
    let deadline = Instant::now() + START;
    while let Err(error) = admin::get(socket, "/ready").await {
        control_plane.check()?;
        let late = Instant::now() > deadline;
        ensure!(!late, "no ready control plane: {error:#}\n{}", control_plane.last_lines());
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
