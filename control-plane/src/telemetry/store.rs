//! What the sidecars reported: edges by key, and the state that each proxy says it is in.
//!
//! Written by the telemetry service, read by `stat` and by the admin's list of proxies. Pure: the time is an
//! argument, in whole seconds of the control plane's own clock (a reporter's clock is not trusted to agree).
//! Everything here is measured by somebody else: it must never decide anything.

use std::collections::HashMap;
use std::sync::Arc;

use super::broken::Broken;
use super::edge::Edge;
use super::tally::{Increment, Tally};

// Bound: totals of about 2 KiB each.
const MAX_EDGES: usize = 20_000;
// Bound: one reporter cannot take the room of all others.
const MAX_EDGES_PER_REPORTER: usize = 2_000;
// Bound: 8 bytes each, 32 MiB. Beyond it the last minute's quantiles get coarser; totals do not.
const MAX_CELLS: usize = 4_000_000;
// Bound: reporters whose state is kept.
const MAX_PROXIES: usize = 10_000;
/// An edge that was idle so long gives way to a new one when the store is full, seconds.
const IDLE: u64 = 600;
/// How often old seconds are swept out, seconds.
const SWEEP: u64 = 10;

/// Who measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// The receiving sidecar.
    Inbound,
    /// The calling sidecar.
    Outbound,
}

/// What an edge is told apart by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EdgeKey {
    /// Who measured.
    pub(crate) direction: Direction,
    /// Workload of the sidecar that measured: `product-v1.shop`.
    pub(crate) reporter: Arc<str>,
    /// Outbound: the Service port asked for; inbound: the peer's SPIFFE id, empty in plaintext.
    pub(crate) peer: Box<str>,
    /// Origin of the route, or empty.
    pub(crate) route: Box<str>,
    /// Service port that a split chose, or empty.
    pub(crate) backend: Box<str>,
}

/// What a proxy last said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProxyState {
    /// Its version.
    pub(crate) version: String,
    /// Seconds since the Unix epoch.
    pub(crate) leaf_not_after: i64,
    /// The same of its first second; 0 of a sidecar that does not say.
    pub(crate) leaf_not_before: i64,
    /// Spans since its start.
    pub(crate) spans_started: u64,
    /// Of them, delivered.
    pub(crate) spans_exported: u64,
    /// Of them, given up.
    pub(crate) spans_dropped: u64,
    /// Serving an old configuration from disk.
    pub(crate) stale: bool,
    /// Inbound drain under way.
    pub(crate) draining: bool,
    /// The root that its leaf leads to, and those that it believes, by SHA-256.
    pub(crate) leaf_root: String,
    pub(crate) roots: Vec<String>,
    /// Version of the configuration that it last accepted whole, and how many seconds before its report that was.
    pub(crate) config_version: String,
    pub(crate) config_age: u64,
    /// Lines of its access log that were lost, since its start.
    pub(crate) log_lines_dropped: u64,
    /// Its workload is given trace context and calls on without.
    pub(crate) broken: Option<Broken>,
    /// When it said so, seconds since the Unix epoch.
    pub(crate) reported: u64,
}

/// Over which time to sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// The last so many seconds, at most [`super::edge::WINDOW_MAX`].
    Seconds(u64),
    /// Since the start.
    All,
}

/// All that was reported, within bounds.
#[derive(Debug)]
pub(crate) struct Store {
    edges: HashMap<EdgeKey, Edge>,
    per_reporter: HashMap<Arc<str>, usize>,
    proxies: HashMap<Arc<str>, ProxyState>,
    cells: usize,
    started: u64,
    swept: u64,
    dropped: u64,
}

impl Store {
    /// Nothing reported yet.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            edges: HashMap::new(),
            per_reporter: HashMap::new(),
            proxies: HashMap::new(),
            cells: 0,
            started: now,
            swept: now,
            dropped: 0,
        }
    }

    /// Counts one increment of an edge; it is dropped, and counted as such, where a bound is reached.
    pub(crate) fn record(&mut self, key: EdgeKey, increment: Increment, now: u64) {
        if now >= self.swept + SWEEP {
            self.sweep(now);
        }
        if !self.edges.contains_key(&key) && !self.admit(&key.reporter) {
            self.dropped += 1;
            return;
        }
        let in_window = self.cells + increment.latency.len() <= MAX_CELLS;
        let edge = self.edges.entry(key).or_default();
        let before = edge.cells();
        edge.add(increment, now, in_window);
        self.cells = self.cells + edge.cells() - before;
    }

    /// Counts deltas that could not be read.
    pub(crate) fn drop_malformed(&mut self, deltas: u64) {
        self.dropped = self.dropped.saturating_add(deltas);
    }

    /// Keeps what a proxy says of itself.
    pub(crate) fn set_proxy(&mut self, workload: Arc<str>, state: ProxyState) {
        if self.proxies.len() >= MAX_PROXIES && !self.proxies.contains_key(&workload) {
            let oldest = self.proxies.iter().min_by_key(|(_, state)| state.reported);
            if let Some(oldest) = oldest.map(|(workload, _)| workload.clone()) {
                self.proxies.remove(&oldest);
            }
        }
        self.proxies.insert(workload, state);
    }

    /// What a proxy last said of itself.
    pub(crate) fn proxy(&self, workload: &str) -> Option<&ProxyState> {
        self.proxies.get(workload)
    }

    /// What every proxy last said of itself, in no order.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = (&Arc<str>, &ProxyState)> {
        self.proxies.iter()
    }

    /// Every edge with its sum over `window`, in no order.
    pub(crate) fn tallies(
        &self,
        window: Window,
        now: u64,
    ) -> impl Iterator<Item = (&EdgeKey, Tally)> {
        self.edges.iter().map(move |(key, edge)| {
            let tally = match window {
                Window::Seconds(seconds) => edge.window(seconds, now),
                Window::All => edge.totals().clone(),
            };
            (key, tally)
        })
    }

    /// Seconds that `window` really covers: no more than have passed since the start, at least 1.
    pub(crate) fn covered(&self, window: Window, now: u64) -> u64 {
        let since_start = now.saturating_sub(self.started).max(1);
        match window {
            Window::Seconds(seconds) => seconds.min(since_start),
            Window::All => since_start,
        }
    }

    /// Edges held, and increments dropped since the start.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.edges.len(), self.dropped)
    }

    fn admit(&mut self, reporter: &Arc<str>) -> bool {
        let of_reporter = self.per_reporter.get(reporter).copied().unwrap_or(0);
        let room = self.edges.len() < MAX_EDGES && of_reporter < MAX_EDGES_PER_REPORTER;
        if room {
            self.per_reporter.insert(reporter.clone(), of_reporter + 1);
        }
        room
    }

    /// Forgets old seconds; in a full store also the edges that have been idle for long.
    fn sweep(&mut self, now: u64) {
        self.swept = now;
        if self.edges.len() >= MAX_EDGES {
            self.evict_idle(now);
        }
        self.cells = 0;
        for edge in self.edges.values_mut() {
            edge.expire(now);
            self.cells += edge.cells();
        }
    }

    fn evict_idle(&mut self, now: u64) {
        let per_reporter = &mut self.per_reporter;
        self.edges.retain(|key, edge| {
            let keep = edge.updated() + IDLE > now;
            if !keep && let Some(edges) = per_reporter.get_mut(&key.reporter) {
                *edges -= 1;
            }
            keep
        });
        per_reporter.retain(|_, edges| *edges > 0);
    }
}

#[cfg(test)]
mod tests;
