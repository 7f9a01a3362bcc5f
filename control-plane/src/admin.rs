//! The control plane's admin socket: HTTP/1.1 and JSON on a Unix socket, for `weft`, scripts and scrapers.
//!
//! Whoever may open the file may do anything here, join tokens included: the permission of the file (0600) is
//! the authentication. Nothing of it may ever listen on TCP but [`Health`]. `socket` is the file,
//! `handlers` the table of paths, `json` and `metrics` the shapes of the answers.

mod access;
mod handlers;
mod health;
mod json;
mod latency;
mod metrics;
mod requests;
mod socket;
mod tap;
mod trust;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tokio::sync::watch;
use weft_certs::SpiffeId;

use self::health::Health;
pub(crate) use self::latency::PublishLatency;
use self::socket::AdminSocket;
use crate::access::Trials;
use crate::ca::CertificateAuthority;
use crate::finding::Finding;
use crate::model::Mesh;
use crate::requests::Gathering;
use crate::tap::Tapping;
use crate::telemetry::TelemetryService;
use crate::trust::Trust;
use crate::webhook::Counts;
use crate::xds::Registry;

/// What the endpoints look at. They change nothing but join tokens and, when asked to, the mesh's roots.
#[derive(Debug)]
pub(crate) struct View {
    /// Name of the mesh.
    pub(crate) mesh_name: String,
    /// What proxies are told to connect to.
    pub(crate) advertised: String,
    /// Where the gRPC port is bound.
    pub(crate) grpc_address: SocketAddr,
    /// Who answers there.
    pub(crate) identity: SpiffeId,
    /// The mesh in force.
    pub(crate) mesh: watch::Receiver<Arc<Mesh>>,
    /// What is to be said about it.
    pub(crate) findings: watch::Receiver<Arc<Vec<Finding>>>,
    /// For join tokens and its numbers.
    pub(crate) ca: Arc<CertificateAuthority>,
    /// For its roots.
    pub(crate) trust: Arc<Trust>,
    /// For stat.
    pub(crate) telemetry: TelemetryService,
    /// For what sidecars are asked.
    pub(crate) asking: Asking,
    /// The proxies that are connected.
    pub(crate) registry: Arc<Registry>,
    /// Generation of the resources in force; 0 before the first.
    pub(crate) generation: watch::Receiver<u64>,
    /// How long publishing takes.
    pub(crate) latency: Arc<PublishLatency>,
    /// True once the control plane stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// The injector, in a cluster.
    pub(crate) injector: Option<InjectorView>,
}

/// Those who ask sidecars.
#[derive(Debug)]
pub(crate) struct Asking {
    /// Trials of policies.
    trials: Trials,
    /// What went wrong lately.
    requests: Gathering,
    /// What goes on now.
    tapping: Tapping,
}

impl Asking {
    /// By way of their reports.
    pub(crate) fn new(telemetry: &TelemetryService) -> Self {
        Self {
            trials: Trials::new(telemetry.clone()),
            requests: Gathering::new(telemetry.clone()),
            tapping: Tapping::new(telemetry.clone()),
        }
    }
}

/// What is to be seen of the injector.
#[derive(Debug)]
pub(crate) struct InjectorView {
    /// It can answer the API server.
    pub(crate) ready: watch::Receiver<bool>,
    /// What it has done.
    pub(crate) counts: Arc<Counts>,
}

/// The socket, bound and not served yet.
#[derive(Debug)]
pub(crate) struct Admin {
    socket: AdminSocket,
    health: Option<Health>,
    view: Arc<View>,
}

impl Admin {
    /// Binds the socket at `path`, and the health port if there is to be one.
    ///
    /// # Errors
    /// If one of them is taken.
    pub(crate) async fn bind(path: &Path, health: Option<SocketAddr>, view: View) -> Result<Self> {
        let (socket, view) = (AdminSocket::bind(path)?, Arc::new(view));
        let health = match health {
            Some(address) => Some(Health::bind(address, view.clone()).await?),
            None => None,
        };
        Ok(Self { socket, health, view })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Serves for ever. Cancel: dropping the future removes the socket.
    pub(crate) async fn run(self) {
        let (listener, _remove_at_end) = self.socket.into_parts();
        let router = handlers::router(self.view);
        let health = async {
            if let Some(health) = self.health {
                health.run().await;
            }
        };
        // axum retries what fails in accepting and never returns.
        let (served, ()) = tokio::join!(axum::serve(listener, router).into_future(), health);
        if let Err(error) = served {
            tracing::error!(%error, "the admin socket failed");
        }
    }
}

#[cfg(test)]
mod tests;
