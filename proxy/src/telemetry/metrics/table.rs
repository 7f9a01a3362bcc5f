//! Edges by key. Used when a route is built, at a scrape and at a report; never by a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Edge;
use super::edge::Totals;
use super::room::Room;
use crate::error::Token;

/// Bound: edges kept, at about 3 KB each once used. Further ones share one edge per direction.
pub const MAX_EDGES: usize = 10_000;
/// What stands in the labels of what does not fit, and as peer of the edge that takes it.
pub const OTHER: &str = "other";

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
    /// Path pattern of the rule's match (`/products/*`); empty if it takes every path. Last: of two keys that differ in it
    /// alone only the histograms are told apart.
    pub http_route: String,
}

impl EdgeKey {
    /// Of requests and connections that no route chose.
    #[must_use]
    pub fn unrouted(direction: Direction, peer: impl Into<String>) -> Self {
        let (route, backend, http_route) = Default::default();
        Self { direction, peer: peer.into(), route, backend, http_route }
    }

    /// The key that takes what does not fit.
    #[must_use]
    pub fn other(direction: Direction) -> Self {
        Self::unrouted(direction, OTHER)
    }

    /// Do both stand for the same, apart from the histograms?
    pub(super) fn is_same_edge(&self, other: &Self) -> bool {
        let same = [
            (&self.peer, &other.peer),
            (&self.route, &other.route),
            (&self.backend, &other.backend),
        ];
        self.direction == other.direction && same.into_iter().all(|(one, other)| one == other)
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

#[derive(Debug)]
pub(super) struct Table {
    /// Lock: held for a look-up, a scrape or a report, all outside the request path.
    slots: Mutex<HashMap<Arc<EdgeKey>, Slot>>,
    pub(super) room: Arc<Room>,
}

#[derive(Debug)]
struct Slot {
    edge: Arc<Edge>,
    /// What has been drained already.
    drained: Totals,
    unused_since: Option<Instant>,
    /// How much had been counted at the last scrape, and since when it is so much.
    shown: Option<(u64, Instant)>,
}

/// An edge as a scrape sees it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Arc<EdgeKey>,
    pub(super) edge: Arc<Edge>,
    pub(super) totals: Totals,
    /// Nothing has been counted for so long that nobody is told of it.
    pub(super) idle: bool,
}

impl Table {
    /// With room for so many series.
    pub(super) fn new(series: usize) -> Self {
        Self { slots: Mutex::default(), room: Arc::new(Room::new(series)) }
    }

    pub(super) fn edge(&self, mut key: EdgeKey) -> Arc<Edge> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&key) {
            slot.unused_since = None;
            return slot.edge.clone();
        }
        if slots.len() >= MAX_EDGES {
            key = EdgeKey::other(key.direction);
        }
        let (direction, room) = (key.direction, &self.room);
        let slot = slots.entry(Arc::new(key)).or_insert_with(|| Slot {
            edge: Arc::new(Edge::new(direction, Arc::clone(room))),
            drained: Totals::default(),
            unused_since: None,
            shown: None,
        });
        slot.edge.clone()
    }

    /// Every edge that has counted anything, in the order of keys. One that has counted nothing for so long is idle, unless
    /// connections of it are open.
    pub(super) fn rows(&self, now: Instant, idle: Duration) -> Vec<Row> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let used = slots.iter_mut().filter(|(_, slot)| slot.edge.placed().is_some());
        let row = |(key, slot): (&Arc<EdgeKey>, &mut Slot)| {
            let totals = slot.edge.totals();
            let shown = slot.shown.get_or_insert((totals.activity(), now));
            if shown.0 != totals.activity() {
                *shown = (totals.activity(), now);
            }
            let idle = totals.open() == 0 && now.duration_since(shown.1) >= idle;
            Row { key: key.clone(), edge: slot.edge.clone(), totals, idle }
        };
        let mut rows: Vec<_> = used.map(row).collect();
        drop(slots);
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        rows
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
            let kept = slot.unused_since.is_none_or(|since| now.duration_since(since) < keep);
            if !kept && slot.edge.placed() == Some(false) {
                self.room.other(key.direction).keep(&totals);
            }
            kept
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
