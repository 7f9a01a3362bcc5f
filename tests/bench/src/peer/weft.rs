//! Weft, the real thing: a control plane that reads a directory of YAML, and two sidecars that join it with
//! tokens, get certificates and routes from it, and report their metrics to it. Everything that is on by default
//! is on; the access log, which the other peers do not write either, is off.

mod admin;
mod manifests;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{Instant, sleep};

use super::{CLIENT, Credentials, Entries, Kind, Peer, START, Subject, version};
use crate::pki::Identity;
use crate::process::Process;
use crate::site::Site;

/// HTTP/1.1 between sidecars, as `weft_proto::alpn` names it.
const ALPN: &[&[u8]] = &[b"weft-http/1.1"];

/// Starts control plane and sidecars from the programs in `bin`, and waits for their certificates.
pub(super) async fn start(kind: Kind, bin: &Path, site: &Site, dir: &Path) -> Result<Peer> {
    let (entry, inbound_address) = (site.ports.take()?, site.ports.take()?);
    let config = dir.join("config");
    fs::create_dir_all(&config)?;
    fs::write(config.join("mesh.yaml"), manifests::mesh(inbound_address))?;
    let state = state_dir(dir, "control-plane")?;
    let mut control_plane = control_plane(bin, &config, &state, site.ports.take()?, dir)?;
    let socket = state.join("admin.sock");
    ready(&socket, &mut control_plane).await?;

    let proxy = Launch { bin, dir, socket: &socket };
    let inbound = format!("{inbound_address}={}", site.app_address);
    let inbound = proxy.start("inbound", manifests::SERVER, ["--inbound", &inbound]);
    let upstream = format!("{entry}={}", manifests::SERVICE);
    let outbound = proxy.start("outbound", manifests::CLIENT, ["--upstream", &upstream]);
    let ((mut inbound, server), (mut outbound, client)) = (inbound.await?, outbound.await?);

    let credentials = Credentials {
        server: issued(&server, super::SERVER, &mut inbound).await?,
        client: issued(&client, CLIENT, &mut outbound).await?,
        ..site.credentials.clone()
    };
    Ok(Peer {
        kind,
        version: version(&bin.join("weft-proxy"), "--version"),
        entries: Entries { http1: entry, http2: entry },
        inbound_address,
        alpn: ALPN,
        credentials,
        outbound,
        inbound,
        support: Some(control_plane),
    })
}

fn control_plane(
    bin: &Path,
    config: &Path,
    state: &Path,
    listen: SocketAddr,
    dir: &Path,
) -> Result<Process> {
    let mut command = Command::new(bin.join("weft-control-plane"));
    command.arg("--config-dir").arg(config).arg("--state-dir").arg(state);
    command.args(["--listen", &listen.to_string(), "--mesh", "bench"]);
    Process::start("control-plane", &mut command, dir)
}

/// How a sidecar is started.
struct Launch<'a> {
    bin: &'a Path,
    dir: &'a Path,
    /// The control plane's admin socket.
    socket: &'a Path,
}

impl Launch<'_> {
    /// Joins `workload` to the mesh; returns the process and its state directory.
    async fn start(
        &self,
        name: &str,
        workload: &str,
        listener: [&str; 2],
    ) -> Result<(Process, PathBuf)> {
        let request = serde_json::json!({ "workload": workload });
        let bootstrap = admin::post(self.socket, "/v1/join-tokens", &request).await?;
        let file = self.dir.join(format!("{name}.json"));
        fs::write(&file, bootstrap)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let state = state_dir(self.dir, name)?;
        let mut command = Command::new(self.bin.join("weft-proxy"));
        command.arg("--bootstrap").arg(file).arg("--state-dir").arg(&state);
        command.args(listener).args(["--workers", "1", "--access-log", "off"]);
        Ok((Process::start(name, &mut command, self.dir)?, state))
    }
}

fn state_dir(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(format!("{name}.state"));
    fs::create_dir_all(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

async fn ready(socket: &Path, control_plane: &mut Process) -> Result<()> {
    let deadline = Instant::now() + START;
    while let Err(error) = admin::get(socket, "/ready").await {
        control_plane.check()?;
        let late = Instant::now() > deadline;
        ensure!(!late, "no ready control plane: {error:#}\n{}", control_plane.last_lines());
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The files of the leaf that the control plane issued to a sidecar, found by what they hold.
async fn issued(state: &Path, subject: Subject<'_>, proxy: &mut Process) -> Result<Identity> {
    let deadline = Instant::now() + START;
    loop {
        proxy.check()?;
        let files = files(state)?;
        let certificate = files.iter().find(|file| certifies(file, subject.spiffe_id));
        let key = files.iter().find(|file| holds(file, b"PRIVATE KEY-----"));
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let (certificate, key) = (certificate.clone(), key.clone());
            return Ok(Identity { combined: certificate.clone(), certificate, key });
        }
        let late = Instant::now() > deadline;
        ensure!(!late, "no certificate in {}\n{}", state.display(), proxy.last_lines());
        sleep(Duration::from_millis(50)).await;
    }
}

/// The regular files below `dir`, two levels deep.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![dir.to_owned()];
    for level in 0..2 {
        for directory in std::mem::take(&mut directories) {
            let entries = fs::read_dir(&directory)
                .with_context(|| format!("cannot read {}", directory.display()))?;
            for entry in entries {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_file() {
                    files.push(entry.path());
                } else if kind.is_dir() && level == 0 {
                    directories.push(entry.path());
                }
            }
        }
    }
    Ok(files)
}

/// Is the first certificate of this file one for `spiffe_id`? The id stands in it as plain ASCII.
fn certifies(file: &Path, spiffe_id: &str) -> bool {
    let first = CertificateDer::pem_file_iter(file).ok().and_then(|mut all| all.next()?.ok());
    first.is_some_and(|der| contains(&der, spiffe_id.as_bytes()))
}

fn holds(file: &Path, needle: &[u8]) -> bool {
    fs::read(file).is_ok_and(|bytes| contains(&bytes, needle))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
