//! Connections to the workload that were redirected here: each is given to the port that it was made to. One
//! `Interceptor` a worker. What the port allows is decided behind it, as for a port of the command line.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;

use super::Inbound;
use crate::cluster::Endpoint;
use crate::drain;
use crate::io::set_reset_on_close;
use crate::listener::{Limits, original_destination};
use crate::model::EndpointSpec;
use crate::retry::Exhausted;
use crate::state::State;
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

/// Bound: places of the application whose connections are kept. Whoever scans ports fills it, and then only the kept
/// connections of what comes later are lost.
const MOST_APPS: usize = 1024;

/// The application, by the address at which it was called. Shared by the workers.
#[derive(Debug)]
pub struct Apps {
    workload: String,
    workers: usize,
    /// Lock: held for one look-up.
    known: Mutex<HashMap<SocketAddr, Arc<Endpoint>>>,
}

/// What every [`Inbound`] of a worker is made of.
#[derive(Clone, Debug)]
pub struct Interceptor {
    /// `product-v1.shop`, shared with every record.
    pub workload: Arc<str>,
    /// The application.
    pub apps: Arc<Apps>,
    /// The configuration in force.
    pub state: Arc<State>,
    /// Our certificate, and connections to the application.
    pub upstream: Upstream,
    /// Where records go.
    pub telemetry: Arc<Telemetry>,
    /// Calls of the application that were tried often enough.
    pub exhausted: Arc<Exhausted>,
    /// Of its callers' connections.
    pub limits: Limits,
}

impl Apps {
    /// None is known; each gets as many pools as there are workers.
    #[must_use]
    pub fn new(workload: &str, workers: usize) -> Self {
        Self { workload: workload.to_owned(), workers, known: Mutex::default() }
    }

    /// Each that was called.
    #[must_use]
    pub fn known(&self) -> Vec<Arc<Endpoint>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().map(Arc::clone).collect()
    }

    /// Order: an application that listens on one of its addresses only is called there and nowhere else.
    fn at(&self, address: SocketAddr) -> Arc<Endpoint> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(app) = known.get(&address) {
            return Arc::clone(app);
        }
        let workload = self.workload.clone();
        let spec = EndpointSpec { address, workload, identity: None, weight: 1 };
        let app = Arc::new(Endpoint::new(spec, self.workers));
        if known.len() < MOST_APPS {
            known.insert(address, Arc::clone(&app));
        }
        app
    }
}

impl Interceptor {
    /// Serves one connection to the workload to its end, or refuses it.
    pub async fn handle_connection(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        watch: drain::Watch,
    ) {
        let Some(address) = original_destination(&stream) else {
            tracing::warn!(%client, "a connection straight to the inbound port is refused");
            return set_reset_on_close(&stream, true);
        };
        Arc::new(self.inbound(address)).handle_connection(stream, client, watch).await;
    }

    /// The receiving side of one of the application's addresses.
    pub(super) fn inbound(&self, address: SocketAddr) -> Inbound {
        Inbound {
            port: address.port(),
            workload: Arc::clone(&self.workload),
            app: self.apps.at(address),
            state: Arc::clone(&self.state),
            upstream: self.upstream.clone(),
            telemetry: Arc::clone(&self.telemetry),
            exhausted: Arc::clone(&self.exhausted),
            limits: self.limits.clone(),
        }
    }
}
