//! Metrics of this process: the names and labels of all of them (also those that other modules measure),
//! and [`Metrics`], which hands out edges and writes the Prometheus text.
//!
//! An [`Edge`] is resolved when a route or listener is built and then observed without a look-up, lock or
//! allocation. Labels are objects and identities that somebody configured, never a Host or path that
//! somebody sent: whoever can send requests must not be able to grow this table. What a request itself brings (method,
//! status, version) has few values, is a number inside its edge ([`shape`]), and stands under a budget ([`room`]).

mod durations;
mod edge;
mod gather;
mod histograms;
mod names;
mod process;
mod room;
mod shape;
mod table;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus::{Encoder, TextEncoder};
use tokio::sync::Notify;

pub use edge::{Edge, Mirrored, Observation};
pub use names::{ALL, Description, Kind};
pub use room::{COUNTERS as EDGE_SERIES, DEFAULT_SERIES, HISTOGRAM as HISTOGRAM_SERIES};
pub use table::{Delta, Direction, EdgeKey, MAX_EDGES, OTHER};

pub(crate) use edge::is_server_fault;
pub(crate) use names::{
    ACCESS_AUDITED, ACCESS_DENIED, CERTIFICATES_REFUSED, CIRCUIT, DENIED_PEERS, EJECTIONS,
    HEALTH_CHECKS, HEALTH_ENDPOINTS, IDENTITY_RENEWAL_FAILURES, LIMIT_MAX, LIMIT_USED,
    LOG_LINES_DROPPED, MEMORY_LIMIT, MEMORY_SHED, MEMORY_SHEDDING, MEMORY_WORKING_SET,
    RATE_LIMIT_KEYS_FORGOTTEN, RATE_LIMITED, SPANS_DROPPED, SPANS_EXPORTED, SPANS_STARTED,
    UPSTREAMS,
};
pub(crate) use process::resident_bytes;

/// How long counters outlive the last route that used them, so that a scrape still sees the final values; and for how long
/// an edge is shown that counts nothing more, though a route may still lead there.
const KEPT_UNUSED: Duration = Duration::from_mins(15);

/// Every metric of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    edges: table::Table,
    gauges: Gauges,
    /// Somebody wants the word that the proxy drains to be out at once.
    drains: Notify,
    /// Bound: one per call of [`Metrics::watch`], all made at start.
    readings: Mutex<Vec<Reading>>,
    /// Bound: one per call of [`Metrics::watch_series`], all made at start.
    series: Mutex<Vec<Series>>,
    started: SystemTime,
}

/// Values that the rest of the process sets.
#[derive(Debug, Default)]
struct Gauges {
    /// Seconds since the Unix epoch; 0 while there is no leaf.
    identity_not_after: AtomicI64,
    identity_not_before: AtomicI64,
    renewal_overdue: AtomicBool,
    config_stale: AtomicBool,
    xds_connected: AtomicBool,
    draining: AtomicBool,
    trust: ArcSwap<Trust>,
    config: ArcSwap<ConfigStanding>,
}

/// How the configuration in force stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigStanding {
    /// The version that was accepted last, as the control plane calls it; empty before the first.
    pub version: String,
    /// When that was; `None` before the first.
    pub accepted: Option<SystemTime>,
    /// Since when the control plane is away; `None` while the stream to it is open.
    pub alone_since: Option<SystemTime>,
}

/// Which roots this proxy has to do with, by SHA-256 of their DER in hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The one that its leaf leads to; empty if it leads to none that is believed.
    pub leaf_root: String,
    /// Those that are believed. Bound: the trust bundle's.
    pub roots: Vec<String>,
}

/// What the process last said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Seconds since the Unix epoch; 0 while there is no leaf.
    pub(crate) identity_not_after: i64,
    /// The same of its first second.
    pub(crate) identity_not_before: i64,
    /// Served from the last good configuration?
    pub(crate) stale: bool,
    /// Draining?
    pub(crate) draining: bool,
    /// Roots.
    pub(crate) trust: Arc<Trust>,
    /// The version of the configuration that was accepted last, and when that was.
    pub(crate) config_version: String,
    pub(crate) config_accepted: Option<SystemTime>,
}

/// A value that is read when somebody scrapes.
struct Reading {
    what: &'static Description,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Values with labels that are read when somebody scrapes.
struct Series {
    what: &'static Description,
    read: Box<dyn Fn() -> Vec<(Vec<String>, u64)> + Send + Sync>,
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what.name)
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what.name)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(SystemTime::now())
    }
}

impl Metrics {
    /// No edges yet. `started` is when the process did.
    #[must_use]
    pub fn new(started: SystemTime) -> Self {
        Self::with_series(started, DEFAULT_SERIES)
    }

    /// The same with room for so many series about requests and connections.
    #[must_use]
    pub fn with_series(started: SystemTime, series: usize) -> Self {
        Self(Arc::new(Shared {
            edges: table::Table::new(series),
            gauges: Gauges::default(),
            drains: Notify::new(),
            readings: Mutex::default(),
            series: Mutex::default(),
            started,
        }))
    }

    /// The edge of a key: the same one for everybody as long as anybody holds it and
    /// a while longer. Never fails: what exceeds [`MAX_EDGES`] shares the edge [`OTHER`].
    #[must_use]
    pub fn edge(&self, key: EdgeKey) -> Arc<Edge> {
        self.0.edges.edge(key)
    }

    /// What the edges counted since the last call. Edges that nobody used for 15 minutes go away with it.
    /// There is one caller, [`super::report`]: two would share the counts between them.
    pub(crate) fn drain(&self, now: Instant, take: impl FnMut(&Arc<EdgeKey>, Delta)) {
        self.0.edges.drain(now, KEPT_UNUSED, take);
    }

    /// The leaf's validity.
    pub fn identity_valid(&self, from: SystemTime, until: SystemTime) {
        self.0.gauges.identity_not_before.store(unix(from), Relaxed);
        self.0.gauges.identity_not_after.store(unix(until), Relaxed);
    }

    /// Ought there to be another leaf by now?
    pub fn renewal_overdue(&self, overdue: bool) {
        self.0.gauges.renewal_overdue.store(overdue, Relaxed);
    }

    /// The roots of certificate and trust bundle.
    pub fn trust(&self, trust: Trust) {
        self.0.gauges.trust.store(Arc::new(trust));
    }

    /// Is the configuration the last good one, because the control plane was away at start?
    pub fn config_stale(&self, stale: bool) {
        self.0.gauges.config_stale.store(stale, Relaxed);
    }

    /// How the configuration stands.
    pub fn config(&self, standing: ConfigStanding) {
        self.0.gauges.config.store(Arc::new(standing));
    }

    /// Is the stream to the control plane open?
    pub fn xds_connected(&self, connected: bool) {
        self.0.gauges.xds_connected.store(connected, Relaxed);
    }

    /// Returns when [`Self::draining`] was called since the last time. One waits at a time: the reporter.
    pub(crate) async fn drains(&self) {
        self.0.drains.notified().await;
    }

    /// Is the proxy draining?
    pub fn draining(&self, draining: bool) {
        self.0.gauges.draining.store(draining, Relaxed);
        self.0.drains.notify_one();
    }

    /// As last set.
    pub(crate) fn standing(&self) -> Standing {
        let gauges = &self.0.gauges;
        let config = gauges.config.load();
        Standing {
            config_version: config.version.clone(),
            config_accepted: config.accepted,
            identity_not_after: gauges.identity_not_after.load(Relaxed),
            identity_not_before: gauges.identity_not_before.load(Relaxed),
            stale: gauges.config_stale.load(Relaxed),
            draining: gauges.draining.load(Relaxed),
            trust: gauges.trust.load_full(),
        }
    }

    /// Has a value read at each scrape. Call it once per description, at start.
    pub fn watch(
        &self,
        what: &'static Description,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let mut readings = self.0.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.push(Reading { what, read: Box::new(read) });
    }

    /// The same for a value with labels: `read` returns theirs, in the order of the description, with each
    /// value. It has to bound how many.
    pub fn watch_series(
        &self,
        what: &'static Description,
        read: impl Fn() -> Vec<(Vec<String>, u64)> + Send + Sync + 'static,
    ) {
        let mut series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.push(Series { what, read: Box::new(read) });
    }

    /// Prometheus text format 0.0.4, in a stable order.
    #[must_use]
    pub fn encode(&self) -> String {
        self.encode_at(Instant::now())
    }

    fn encode_at(&self, now: Instant) -> String {
        let mut families = gather::edges(&self.0.edges, now, KEPT_UNUSED);
        families.extend(gather::room(&self.0.edges));
        families.extend(gather::gauges(&self.0.gauges, self.0.started, SystemTime::now()));
        {
            let readings = self.0.readings.lock().unwrap_or_else(PoisonError::into_inner);
            families.extend(readings.iter().map(|r| gather::reading(r.what, (r.read)())));
        }
        {
            let series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner);
            let read = series.iter().map(|series| (series.what, (series.read)()));
            families.extend(
                read.filter(|(_, rows)| !rows.is_empty())
                    .map(|(what, rows)| gather::series(what, &rows)),
            );
        }
        families.extend(process::gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn unix(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    seconds.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
