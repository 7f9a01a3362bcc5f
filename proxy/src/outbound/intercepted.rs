//! Connections of the application that were redirected here: each is given to the Service port that it wants to go to,
//! or passes through. One `Interceptor` a worker.
//!
//! After this the path is the same as that of a connection to an upstream of the command line.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::{Mirrors, Outbound};
use crate::drain;
use crate::io::set_reset_on_close;
use crate::listener::{Limits, original_destination};
use crate::random::Random;
use crate::retry::Exhausted;
use crate::state::{Destination, State};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Edge;
use crate::upstream::Upstream;

/// What every [`Outbound`] of a worker is made of.
#[derive(Clone, Debug)]
pub struct Interceptor {
    /// Who is behind an address.
    pub state: Arc<State>,
    /// The way to endpoints.
    pub upstream: Upstream,
    /// Where records go.
    pub telemetry: Arc<Telemetry>,
    /// The worker's randomness.
    pub random: Arc<Random>,
    /// Requests that were tried often enough.
    pub exhausted: Arc<Exhausted>,
    /// Of the application's connections.
    pub limits: Limits,
    /// Copies under way.
    pub mirrors: Arc<Mirrors>,
    /// Counters of what passes through.
    pub passed: Arc<Edge>,
}

impl Interceptor {
    /// Serves one connection of the application to its end.
    pub async fn handle_connection(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        watch: drain::Watch,
    ) {
        let Some(address) = original_destination(&stream) else {
            tracing::warn!(%client, "a connection straight to the outbound port is refused");
            return set_reset_on_close(&stream, true);
        };
        match self.state.destination(address) {
            Some(destination) => {
                let outbound = Arc::new(self.outbound(&destination, address));
                outbound.handle_connection(stream, client, watch).await;
            }
            None => self.pass_through(stream, client, address, &watch).await,
        }
    }

    fn outbound(&self, destination: &Destination, address: SocketAddr) -> Outbound {
        let target = &destination.target;
        Outbound {
            target: Arc::clone(target),
            service: Arc::clone(&target.name),
            only: destination.is_endpoint.then_some(address),
            upstream: self.upstream.clone(),
            telemetry: Arc::clone(&self.telemetry),
            random: Arc::clone(&self.random),
            exhausted: Arc::clone(&self.exhausted),
            limits: self.limits.clone(),
            mirrors: Arc::clone(&self.mirrors),
        }
    }
}
