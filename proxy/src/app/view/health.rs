//! Health checks, for Prometheus. Read at each scrape, on the control thread.

use std::sync::Arc;

use crate::cluster::Health;
use crate::state::State;
use crate::telemetry::metrics::{HEALTH_CHECKS, HEALTH_ENDPOINTS, Metrics};

/// Has the verdicts, and the endpoints in each state, read at each scrape. Bound: a few series for each cluster that
/// checks its endpoints.
pub(in crate::app) fn watch(state: &Arc<State>, metrics: &Metrics) {
    // Weak: the state has the metrics, which must not have the state.
    let weak = Arc::downgrade(state);
    metrics
        .watch_series(HEALTH_CHECKS, move || weak.upgrade().map_or_else(Vec::new, |s| checks(&s)));
    let weak = Arc::downgrade(state);
    metrics.watch_series(HEALTH_ENDPOINTS, move || {
        weak.upgrade().map_or_else(Vec::new, |s| endpoints(&s))
    });
}

fn checks(state: &State) -> Vec<(Vec<String>, u64)> {
    let mut rows = Vec::new();
    for (name, cluster) in state.clusters() {
        if cluster.spec.health_check.is_some() {
            let results = ["failed", "passed"].into_iter().zip(cluster.shared.checks());
            rows.extend(results.map(|(result, count)| (vec![name.clone(), result.into()], count)));
        }
    }
    rows
}

fn endpoints(state: &State) -> Vec<(Vec<String>, u64)> {
    let mut rows = Vec::new();
    for (name, cluster) in state.clusters() {
        if cluster.spec.health_check.is_none() {
            continue;
        }
        for health in [Health::Unknown, Health::Healthy, Health::Unhealthy] {
            let of = cluster.endpoints.iter().filter(|e| e.checked.health() == health).count();
            rows.push((vec![name.clone(), health.as_str().to_owned()], of as u64));
        }
    }
    rows
}
