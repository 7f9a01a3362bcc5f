//! Limits, circuits and what is subscribed, for `weft proxy-config` and for Prometheus. Read at a look or a scrape, on the control
//! thread.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::{Circuit, Cluster, Endpoint};
use crate::state::{Standing, State};
use crate::telemetry::metrics::{CIRCUIT, EJECTIONS, LIMIT_MAX, LIMIT_USED, Metrics, UPSTREAMS};

/// Bound: series of circuits in one scrape, and of limits.
const MAX_CIRCUITS: usize = 2000;
const MAX_LIMITS: usize = 2000;

/// How an endpoint stands with outlier detection.
pub(super) struct Breaker {
    pub(super) health: &'static str,
    pub(super) state: &'static str,
    pub(super) seconds_left: Option<f64>,
}

pub(super) fn circuit(endpoint: &Endpoint, now: Instant) -> Breaker {
    let circuit = endpoint.outlier.circuit(now);
    let (health, seconds_left) = match circuit {
        Circuit::Closed => ("healthy", None),
        Circuit::HalfOpen => ("ejected", Some(0.0)),
        Circuit::Open(left) => ("ejected", Some(left.as_secs_f64().ceil())),
    };
    Breaker { health, state: circuit.as_str(), seconds_left }
}

/// What is limited, with what is under way of it: `requests=3/1024`; null if nothing is.
pub(super) fn limits(cluster: &Cluster) -> Value {
    let shown = limited(cluster)
        .map(|(name, used, most)| (name.to_owned(), format!("{used}/{most}").into()));
    let limits: serde_json::Map<_, Value> = shown.collect();
    if limits.is_empty() { Value::Null } else { limits.into() }
}

/// What is limited, how much of it is under way, and how much may be.
fn limited(cluster: &Cluster) -> impl Iterator<Item = (&'static str, u32, u32)> {
    let spec = &cluster.spec.limits;
    let [requests, pending, retries] = cluster.limits.in_use();
    let all = [
        ("requests", requests, spec.requests),
        ("connections", cluster.connections(), spec.connections),
        ("pending", pending, spec.connections.map(|_| spec.pending)),
        ("retries", retries, spec.retries),
    ];
    all.into_iter().filter_map(|(name, used, most)| Some((name, used, most?)))
}

/// Has the circuits and ejections read at each scrape.
pub(in crate::app) fn watch(state: &Arc<State>, metrics: &Metrics) {
    // Weak: the state has the metrics, which must not have the state.
    let weak = Arc::downgrade(state);
    metrics.watch_series(CIRCUIT, move || weak.upgrade().map_or_else(Vec::new, |s| circuits(&s)));
    let weak = Arc::downgrade(state);
    metrics
        .watch_series(EJECTIONS, move || weak.upgrade().map_or_else(Vec::new, |s| ejections(&s)));
}

/// Has the limits, and what is under way of what they limit, read at each scrape.
pub(in crate::app) fn watch_limits(state: &Arc<State>, metrics: &Metrics) {
    let (used, most): (Pick, Pick) = (|used, _| used, |_, most| most);
    for (what, pick) in [(LIMIT_USED, used), (LIMIT_MAX, most)] {
        let weak = Arc::downgrade(state);
        metrics.watch_series(what, move || {
            weak.upgrade().map_or_else(Vec::new, |state| limit_rows(&state, pick))
        });
    }
}

/// One of what is used, and what may be.
type Pick = fn(u32, u32) -> u32;

fn limit_rows(state: &State, pick: Pick) -> Vec<(Vec<String>, u64)> {
    let clusters = state.clusters().into_iter();
    let rows = clusters.flat_map(|(name, cluster)| {
        let row = |(limit, used, most): (&str, u32, u32)| {
            (vec![name.clone(), limit.to_owned()], pick(used, most).into())
        };
        limited(&cluster).map(row).collect::<Vec<_>>()
    });
    rows.take(MAX_LIMITS).collect()
}

/// Has the number of Service ports in each standing read at each scrape.
pub(in crate::app) fn watch_upstreams(state: &Arc<State>, metrics: &Metrics) {
    let weak = Arc::downgrade(state);
    metrics
        .watch_series(UPSTREAMS, move || weak.upgrade().map_or_else(Vec::new, |s| upstreams(&s)));
}

fn upstreams(state: &State) -> Vec<(Vec<String>, u64)> {
    let standings: Vec<_> = state.targets().iter().map(|target| target.standing()).collect();
    let count = |wanted: Standing| {
        let of = standings.iter().filter(|standing| **standing == wanted).count();
        let of = of + if wanted == Standing::Unused { state.never_called() } else { 0 };
        (vec![super::standing_text(wanted).replace(' ', "_")], of as u64)
    };
    [Standing::InForce, Standing::Waiting, Standing::Absent, Standing::Unused].map(count).to_vec()
}

fn circuits(state: &State) -> Vec<(Vec<String>, u64)> {
    let now = Instant::now();
    let mut rows = Vec::new();
    for (name, cluster) in state.clusters() {
        if !cluster.spec.outlier.is_on() {
            continue;
        }
        for endpoint in &cluster.endpoints {
            if rows.len() == MAX_CIRCUITS {
                return rows;
            }
            let value = match endpoint.outlier.circuit(now) {
                Circuit::Closed => 0,
                Circuit::HalfOpen => 1,
                Circuit::Open(_) => 2,
            };
            let address = endpoint.spec.address.to_string();
            rows.push((vec![name.clone(), endpoint.spec.workload.clone(), address], value));
        }
    }
    rows
}

fn ejections(state: &State) -> Vec<(Vec<String>, u64)> {
    let mut rows = Vec::new();
    for (name, cluster) in state.clusters() {
        let counted = cluster.shared.ejections().filter(|(_, count)| *count > 0);
        rows.extend(counted.map(|(why, count)| (vec![name.clone(), why.as_str().into()], count)));
    }
    rows
}
