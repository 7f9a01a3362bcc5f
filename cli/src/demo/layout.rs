//! Addresses and ports of one demo, all free when it starts. What is taken is shifted, and said.
//!
//! Every workload has a loopback address of its own, 127.66.N.x, so that the ports on it are the usual ones;
//! N tells demos apart. Two sockets are held, unused, for as long as the demo runs: they claim N and the
//! shop's port against another demo that looks for free ones at the same time.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

use super::topology::{SERVICE_PORT, WORKLOADS};

const NETWORKS: u8 = 64;
/// How many ports are tried one after the other.
const TRIES: u16 = 200;
const CONTROL_PLANE: u16 = 15010;
const HEALTH: u16 = 15020;
const UPSTREAM: u16 = 15101;
const APP: u16 = 18080;
const CLAIM: u16 = 15000;
/// Last byte of the control plane's address, and of the claim's.
const CONTROL_PLANE_HOST: u8 = 250;
const CLAIM_HOST: u8 = 254;

/// Where everything of one demo listens.
#[derive(Debug)]
pub(super) struct Layout {
    /// N of 127.66.N.x.
    pub(super) network: u8,
    /// Port of every workload, and of the shop on 127.0.0.1.
    pub(super) port: u16,
    /// The control plane's gRPC.
    pub(super) control_plane: SocketAddr,
    /// The control plane's health and metrics.
    pub(super) control_plane_health: SocketAddr,
    /// In the order of `WORKLOADS`.
    pub(super) workloads: Vec<Addresses>,
    /// What is not where it usually is.
    pub(super) shifted: Vec<String>,
}

/// Where one workload and its sidecar listen.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// The sidecar, for the mesh.
    pub(super) inbound: SocketAddr,
    /// The program, for its sidecar.
    pub(super) app: SocketAddr,
    /// The sidecar's health and metrics.
    pub(super) health: SocketAddr,
    /// The sidecar, for the program's calls: one a service.
    pub(super) upstreams: Vec<(&'static str, SocketAddr)>,
}

/// The sockets that claim a layout.
#[derive(Debug)]
pub(super) struct Claims<C = TcpListener> {
    _network: C,
    _port: C,
}

impl Layout {
    /// The shop's front door.
    pub(super) fn front(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Are the manifests of `k8s/demo` right as they are?
    pub(super) fn is_usual(&self) -> bool {
        self.network == 0 && self.port == SERVICE_PORT
    }

    /// Looks for free addresses, the usual ones first.
    ///
    /// # Errors
    /// None are free.
    pub(super) fn choose(port: u16) -> Result<(Self, Claims)> {
        choose(port, |address| TcpListener::bind(address).ok())
    }
}

/// `bind` gives something that holds an address, if it is free.
fn choose<C>(port: u16, bind: impl Fn(SocketAddr) -> Option<C>) -> Result<(Layout, Claims<C>)> {
    let (network, network_claim) = (0..NETWORKS)
        .find_map(|network| Some((network, bind((address(network, CLAIM_HOST), CLAIM).into())?)))
        .context("no loopback network 127.66.N.x is free; is the loopback interface up?")?;
    let (front, port_claim) = ports(port)
        .find_map(|port| Some((port, claim_port(network, port, &bind)?)))
        .with_context(|| format!("no port from {port} on is free; choose another with --port"))?;
    let mut search = Search { bind: &bind, taken: HashSet::new() };
    search.taken.extend(fronts(network, front));
    let control_plane = search.near(address(network, CONTROL_PLANE_HOST), CONTROL_PLANE)?;
    let control_plane_health = search.near(address(network, CONTROL_PLANE_HOST), HEALTH)?;
    let mut workloads = Vec::new();
    for workload in &WORKLOADS {
        let own = address(network, workload.host);
        let mut upstreams = Vec::new();
        for (number, (service, _)) in (0..).zip(workload.calls) {
            upstreams.push((*service, search.near(own, UPSTREAM + number)?));
        }
        workloads.push(Addresses {
            inbound: (own, front).into(),
            app: search.near(own, APP)?,
            health: search.near(own, HEALTH)?,
            upstreams,
        });
    }
    let mut shifted = Vec::new();
    if network != 0 {
        shifted.push(format!("another demo has 127.66.0.x; this one has 127.66.{network}.x"));
    }
    if front != port {
        shifted.push(format!("port {port} is in use; the shop is on {front}"));
    }
    let port = front;
    let layout = Layout { network, port, control_plane, control_plane_health, workloads, shifted };
    Ok((layout, Claims { _network: network_claim, _port: port_claim }))
}

/// Something that claims the shop's port against other demos, if it is free wherever it is needed.
fn claim_port<C>(network: u8, port: u16, bind: impl Fn(SocketAddr) -> Option<C>) -> Option<C> {
    let claim = bind((address(255, CLAIM_HOST), port).into())?;
    fronts(network, port).all(|address| bind(address).is_some()).then_some(claim)
}

/// The addresses that share the shop's port: the front door and every workload.
fn fronts(network: u8, port: u16) -> impl Iterator<Item = SocketAddr> {
    let own = WORKLOADS.iter().map(move |workload| address(network, workload.host));
    own.chain([Ipv4Addr::LOCALHOST]).map(move |ip| (ip, port).into())
}

fn address(network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 66, network, host)
}

fn ports(from: u16) -> impl Iterator<Item = u16> {
    from..=from.saturating_add(TRIES)
}

/// Finds free addresses that it has not given away yet.
struct Search<'a, F> {
    bind: &'a F,
    taken: HashSet<SocketAddr>,
}

impl<C, F: Fn(SocketAddr) -> Option<C>> Search<'_, F> {
    fn near(&mut self, ip: Ipv4Addr, port: u16) -> Result<SocketAddr> {
        let found = ports(port)
            .map(|port| SocketAddr::from((ip, port)))
            .find(|address| !self.taken.contains(address) && (self.bind)(*address).is_some())
            .with_context(|| format!("no port from {port} on is free on {ip}"))?;
        self.taken.insert(found);
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
