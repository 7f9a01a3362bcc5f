//! The bare hyper pair: two processes of this program's own [`crate::floor`].

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Entries, Kind, Peer};
use crate::forward::Forward;
use crate::pki::Identity;
use crate::process::Process;
use crate::site::Site;

/// Starts both processes.
pub(super) fn start(site: &Site, dir: &Path) -> Result<Peer> {
    let entries = Entries { http1: site.ports.take()?, http2: site.ports.take()? };
    let (inbound1, inbound2) = (site.ports.take()?, site.ports.take()?);
    let app = site.app_address;
    let inbound = [Forward { from: inbound1, to: app }, Forward { from: inbound2, to: app }];
    let outbound = [
        Forward { from: entries.http1, to: inbound1 },
        Forward { from: entries.http2, to: inbound2 },
    ];
    let credentials = site.credentials.clone();
    Ok(Peer {
        kind: Kind::Hyper,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        entries,
        opaque: None,
        inbound_address: inbound1,
        alpn: &[],
        inbound: floor("inbound", inbound, &credentials.server, site, dir)?,
        outbound: floor("outbound", outbound, &credentials.client, site, dir)?,
        credentials,
        support: None,
        _collector: None,
    })
}

fn floor(
    side: &str,
    [http1, http2]: [Forward; 2],
    identity: &Identity,
    site: &Site,
    dir: &Path,
) -> Result<Process> {
    let mut command = Command::new(&site.programs.own);
    command.args(["floor", "--side", side]);
    command.args(["--http1", &http1.to_string(), "--http2", &http2.to_string()]);
    command.arg("--ca").arg(&site.ca);
    command.arg("--certificate").arg(&identity.certificate);
    command.arg("--key").arg(&identity.key);
    Process::start(side, &mut command, dir)
}
