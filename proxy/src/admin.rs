//! The proxy's own HTTP endpoints, in two places: `/ready`, `/live` and `/metrics` on TCP, for kubelets and
//! scrapers; all of them on a Unix socket in the state directory, for `weft` and `weft-proxy drain`.
//!
//! Whoever may open the socket's file may use it: its permission (0600) is the authentication. On TCP
//! nothing can be changed and nothing of the configuration read, so that no forged request from a
//! browser or another pod does harm there. Both run on the control thread and never touch the data workers.

mod client;
mod server;
mod socket;

use std::future::Future;
use std::pin::Pin;

use http::Method;
use serde_json::Value;

pub use client::drain;
pub use server::{serve_health, serve_socket};
pub use socket::Socket;

/// Answer of an endpoint that takes time.
pub type Answer = Pin<Box<dyn Future<Output = Value> + Send>>;

/// What the endpoints show. Filled by `app`.
pub trait AdminSource: Send + Sync + 'static {
    /// What is missing before requests can be served, in words; nothing if it is ready. A proxy that drains its
    /// inbound side is not ready.
    fn missing(&self) -> Vec<String>;

    /// Prometheus text.
    fn metrics(&self) -> String;

    /// One part of the configuration in force.
    fn config(&self, part: ConfigPart) -> Value;

    /// Counters of the process that are no metrics.
    fn stats(&self) -> Value;

    /// Begins the inbound drain; the answer comes when it is over or the grace is. A second call waits for the
    /// same drain.
    fn drain(&self) -> Answer;
}

/// Parts of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigPart {
    /// Rules in force.
    Routes,
    /// Destinations.
    Clusters,
    /// Their endpoints.
    Endpoints,
    /// The leaf and the trust bundle.
    Certificate,
    /// What is listened on.
    Listeners,
}

/// What an endpoint does.
#[derive(Clone, Copy, Debug)]
enum Handler {
    Ready,
    Live,
    Metrics,
    Version,
    Config(ConfigPart),
    Stats,
    Drain,
}

/// One endpoint.
#[derive(Debug)]
struct Endpoint {
    method: Method,
    path: &'static str,
    handler: Handler,
}

const fn get(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint { method: Method::GET, path, handler }
}

/// What there is on TCP.
const HEALTH: &[Endpoint] = &[
    get("/ready", Handler::Ready),
    get("/live", Handler::Live),
    get("/metrics", Handler::Metrics),
];

/// What there is on the socket.
const SOCKET: &[Endpoint] = &[
    get("/ready", Handler::Ready),
    get("/live", Handler::Live),
    get("/metrics", Handler::Metrics),
    get("/v1/version", Handler::Version),
    get("/v1/config/routes", Handler::Config(ConfigPart::Routes)),
    get("/v1/config/clusters", Handler::Config(ConfigPart::Clusters)),
    get("/v1/config/endpoints", Handler::Config(ConfigPart::Endpoints)),
    get("/v1/config/certificate", Handler::Config(ConfigPart::Certificate)),
    get("/v1/config/listeners", Handler::Config(ConfigPart::Listeners)),
    get("/v1/stats", Handler::Stats),
    Endpoint { method: Method::POST, path: "/v1/drain", handler: Handler::Drain },
];

#[cfg(test)]
mod tests;
