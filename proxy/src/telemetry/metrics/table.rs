//! Edges by key. Used when a route is built, at a scrape and at a report; never by a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Edge;
use super::edge::Totals;
use crate::error::Token;

/// Bound: edges kept, at about 2 KB each once used. Further ones share one edge per direction.
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

impl Direction {
    /// As written in labels, attributes and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
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

impl EdgeKey {
    /// The key that takes what does not fit.
    #[must_use]
    pub fn overflow(direction: Direction) -> Self {
        Self { direction, peer: OVERFLOW.into(), route: String::new(), backend: String::new() }
    }
}

/// What an edge counted between two reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Requests that ended.
    pub requests: u64,
    /// Those that count against the success rate.
    pub failures: u64,
    /// Second and later attempts.
    pub retries: u64,
    /// Requests over mutual TLS.
    pub mtls: u64,
    /// Index and count of each bucket of `weft_proto::latency` that grew, by index.
    pub latency: Vec<(u32, u64)>,
    /// Opaque connections opened.
    pub connections: u64,
    /// Bytes to the accepting side.
    pub bytes_sent: u64,
    /// Bytes from the accepting side.
    pub bytes_received: u64,
    /// Errors of the proxy's own.
    pub errors: Vec<(Token, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// Lock: held for a look-up, a scrape or a report, all outside the request path.
    slots: Mutex<HashMap<Arc<EdgeKey>, Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    edge: Arc<Edge>,
    /// What has been drained already.
    drained: Totals,
    unused_since: Option<Instant>,
}

impl Table {
    pub(super) fn edge(&self, mut key: EdgeKey) -> Arc<Edge> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&key) {
            slot.unused_since = None;
            return slot.edge.clone();
        }
        if slots.len() >= MAX_EDGES {
            key = EdgeKey::overflow(key.direction);
        }
        slots.entry(Arc::new(key)).or_default().edge.clone()
    }

    /// Every edge with its key, in the order of keys.
    pub(super) fn edges(&self) -> Vec<(Arc<EdgeKey>, Arc<Edge>)> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut edges: Vec<_> =
            slots.iter().map(|(key, slot)| (key.clone(), slot.edge.clone())).collect();
        drop(slots);
        edges.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        edges
    }

    pub(super) fn drain(
        &self,
        now: Instant,
        keep: Duration,
        mut take: impl FnMut(&Arc<EdgeKey>, Delta),
    ) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|key, slot| {
            // Order: asked before the counters are read. Only the table can give an unused edge away, and it is
            // locked, so that whatever an edge counted is in this reading when it goes.
            let unused = Arc::get_mut(&mut slot.edge).is_some();
            let totals = slot.edge.totals();
            if totals != slot.drained {
                take(key, totals.since(&slot.drained, slot.edge.take_latency()));
                slot.drained = totals;
            }
            slot.unused_since = unused.then(|| slot.unused_since.unwrap_or(now));
            slot.unused_since.is_none_or(|since| now.duration_since(since) < keep)
        });
    }
}

impl Totals {
    pub(super) fn requests(&self) -> u64 {
        self.requests.iter().flatten().sum()
    }

    fn since(&self, earlier: &Self, latency: Vec<(u32, u64)>) -> Delta {
        let mtls = |totals: &Self| totals.requests[1].iter().sum::<u64>();
        let opened = |totals: &Self| totals.tcp_opened.iter().sum::<u64>();
        let errors = Token::ALL.iter().zip(self.errors.iter().zip(&earlier.errors));
        Delta {
            requests: self.requests() - earlier.requests(),
            failures: self.failures - earlier.failures,
            retries: self.retries - earlier.retries,
            mtls: mtls(self) - mtls(earlier),
            latency,
            connections: opened(self) - opened(earlier),
            bytes_sent: self.tcp_sent - earlier.tcp_sent,
            bytes_received: self.tcp_received - earlier.tcp_received,
            errors: errors
                .filter(|(_, (now, before))| now > before)
                .map(|(token, (now, before))| (*token, now - before))
                .collect(),
        }
    }
}
