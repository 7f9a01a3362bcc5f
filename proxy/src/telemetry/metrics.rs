//! Metrics of this process: the names and labels of all of them, and the table of edges.
//!
//! An edge is resolved when a route or listener is built and then observed without a look-up, lock or
//! allocation. Labels are objects and identities that somebody configured, never a Host or path that
//! somebody sent: whoever can send requests must not be able to grow this table.

mod edge;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use edge::{Edge, Observation};

/// Bound: edges kept. Further ones share one edge per direction, labelled [`OVERFLOW`].
pub const MAX_EDGES: usize = 10_000;
/// Peer of the edge that takes what does not fit.
pub const OVERFLOW: &str = "(overflow)";

/// Which sidecar measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The caller's.
    Outbound,
    /// The receiver's.
    Inbound,
}

/// What an edge is counted under.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// Who measures.
    pub direction: Direction,
    /// The other side: outbound the Service asked for (`product.shop:8080`), inbound the peer's SPIFFE id,
    /// empty in plaintext.
    pub peer: String,
    /// The route object as `Kind/namespace/name#rule`; empty if none.
    pub route: String,
    /// Outbound: the Service port that the rule chose; empty if none.
    pub backend: String,
}

/// Every metric of the process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Lock: held by builders of routes, by scrapes and by reports; never on the request path.
    edges: Mutex<HashMap<EdgeKey, Arc<Edge>>>,
}

impl Metrics {
    /// No edges yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a key: always the same one while anybody holds it.
    #[must_use]
    pub fn edge(&self, mut key: EdgeKey) -> Arc<Edge> {
        let mut edges = self.0.edges.lock().unwrap_or_else(PoisonError::into_inner);
        if edges.len() >= MAX_EDGES && !edges.contains_key(&key) {
            key = EdgeKey {
                peer: OVERFLOW.into(),
                route: String::new(),
                backend: String::new(),
                ..key
            };
        }
        edges.entry(key).or_default().clone()
    }

    /// Prometheus text format 0.0.4.
    #[must_use]
    pub fn encode(&self) -> String {
        String::new()
    }
}
