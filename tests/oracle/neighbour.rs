//! A real Envoy in a mesh of its own, beside what the mesh has of ours: for what is compared outside of the suite of cases.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use super::envoy::{Envoy, Ports};
use super::install;
use crate::harness::{Mesh, loud};

/// Workload and service account of the Envoy.
pub(super) const ENVOY: &str = "envoy";

/// A mesh that starts only where there is an Envoy to be beside it. Boxed: it is large.
pub(super) type Starting<'a> = Pin<Box<dyn Future<Output = Mesh> + 'a>>;

/// The mesh, and the Envoy in it.
pub(super) struct Neighbour {
    // Order: dropped in this order.
    envoy: Envoy,
    pub(super) mesh: Box<Mesh>,
    /// Where all connections of its application go, and those to it.
    pub(super) door: SocketAddr,
}

impl Neighbour {
    /// Starts an Envoy as the sidecar of [`ENVOY`], a caller that is absent from `mesh`, and waits until it has so many
    /// listeners: one for each port of a Service, its own, and that of all connections. `None`, said loudly, where there is no
    /// Envoy.
    pub(super) async fn start(mesh: Starting<'_>, listeners: u64) -> Option<Self> {
        let Some(program) = install::envoy() else {
            loud("oracle: SKIPPED, no Envoy: run tests/run without --quick once, it installs one");
            return None;
        };
        let mesh = Box::new(mesh.await);
        let ports = Ports { outbound: mesh.spare_address(15001), admin: mesh.spare_address(9901) };
        let started = Box::pin(Envoy::start(program, &mesh, ENVOY, ENVOY, ports)).await;
        let envoy = started.expect("an Envoy starts");
        envoy.settled(listeners).await;
        Some(Self { envoy, mesh, door: ports.outbound })
    }

    /// What is said at the door before anything else, for a connection that was meant for `destination`.
    pub(super) fn words(destination: SocketAddr) -> String {
        let family = if destination.is_ipv4() { "TCP4 127.0.0.1" } else { "TCP6 ::1" };
        format!("PROXY {family} {} 1024 {}\r\n", destination.ip(), destination.port())
    }

    /// The end of its log.
    pub(super) fn quote(&self) -> String {
        self.envoy.quote()
    }
}
