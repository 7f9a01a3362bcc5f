//! The demo's report: what was measured, what was expected to fail, and whether all is well. Pure.
//!
//! `weft demo -o json` prints [`Report`]: everything of `weft stat -o json`, and more.

use std::collections::BTreeMap;

use serde::Serialize;

use super::load::Counts;
use super::topology::{NAMESPACE, WORKLOADS, edges};
use crate::admin::{Edge, Proxy, Stat, TraceCounts};
use crate::shop::{fault_share, most_faults_of};

/// Everything that was observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// Metrics since the start.
    pub(super) stat: Stat,
    /// The sidecars at the end.
    pub(super) proxies: Vec<Proxy>,
    /// The load generator's counts.
    pub(super) load: Counts,
    /// Processes that died and were started again.
    pub(super) restarts: Vec<Restart>,
    /// How long everything was up.
    pub(super) duration_s: f64,
    /// What a person could open, by name.
    pub(super) urls: BTreeMap<String, String>,
    /// Where traces went.
    pub(super) collector: Option<String>,
}

/// A process that died.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Restart {
    /// `sidecar of order`.
    pub(super) process: String,
    /// `was killed by SIGKILL`.
    pub(super) reason: String,
}

/// The JSON of `weft demo -o json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    schema_version: u32,
    /// All meshed, every mesh edge mTLS only, no failures beyond the expected.
    pub(super) ok: bool,
    duration_s: f64,
    urls: BTreeMap<String, String>,
    #[serde(flatten)]
    stat: StatOnly,
    traces: Traces,
    proxies: Proxies,
    load: Counts,
    expected_faults: Vec<ExpectedFault>,
    restarts: Vec<Restart>,
    /// Why it is not `ok`.
    pub(super) errors: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct StatOnly {
    window_s: serde_json::Value,
    workloads: Vec<crate::admin::Workload>,
    edges: Vec<Edge>,
    routes: Vec<crate::admin::Route>,
}

#[derive(Clone, Debug, Serialize)]
struct Traces {
    #[serde(flatten)]
    counts: TraceCounts,
    collector: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Proxies {
    connected: usize,
    synced: usize,
    rejected: usize,
}

/// A fault that is built in.
#[derive(Clone, Debug, Serialize)]
struct ExpectedFault {
    workload: &'static str,
    request: &'static str,
    status: u16,
    share: f64,
    /// Measured by the caller's sidecar.
    observed_share: Option<f64>,
    /// What fails because of it, no more often.
    follows: [&'static str; 2],
}

/// Judges what was observed.
pub(super) fn report(observed: Observed) -> Report {
    let errors = judge(&observed);
    let charges = edge(&observed.stat, "order", "payment");
    let fault = ExpectedFault {
        workload: "payment",
        request: "POST /charge",
        status: 503,
        share: fault_share(),
        observed_share: charges
            .and_then(|edge| edge.golden.success_rate)
            .map(|rate| ((1.0 - rate) * 1e4).round() / 1e4),
        follows: ["gateway → order: POST /orders", "outside → gateway: POST /checkout"],
    };
    Report {
        schema_version: observed.stat.schema_version.max(1),
        ok: errors.is_empty(),
        duration_s: (observed.duration_s * 1000.0).round() / 1000.0,
        urls: observed.urls,
        traces: Traces { counts: sum(&observed.proxies), collector: observed.collector },
        proxies: Proxies {
            connected: observed.proxies.iter().filter(|proxy| proxy.connected).count(),
            synced: observed.proxies.iter().filter(|proxy| proxy.is_synced()).count(),
            rejected: observed.proxies.iter().filter(|p| p.rejections().next().is_some()).count(),
        },
        stat: StatOnly {
            window_s: observed.stat.window_s,
            workloads: observed.stat.workloads,
            edges: observed.stat.edges,
            routes: observed.stat.routes,
        },
        load: observed.load,
        expected_faults: vec![fault],
        restarts: observed.restarts,
        errors,
    }
}

fn sum(proxies: &[Proxy]) -> TraceCounts {
    proxies.iter().fold(TraceCounts::default(), |sum, proxy| TraceCounts {
        started: sum.started + proxy.traces.started,
        exported: sum.exported + proxy.traces.exported,
        dropped: sum.dropped + proxy.traces.dropped,
    })
}

/// Everything that is not as it should be.
fn judge(observed: &Observed) -> Vec<String> {
    let mut errors = Vec::new();
    for workload in &WORKLOADS {
        errors.extend(meshed(observed, &workload.full_name()));
    }
    errors.extend(transport(observed));
    errors.extend(failures(observed));
    if observed.load.unanswered > 0 {
        errors.push(format!(
            "{} of {} requests from outside got no answer",
            observed.load.unanswered, observed.load.sent
        ));
    }
    errors
}

/// Is the workload meshed, and its sidecar connected and in step?
fn meshed(observed: &Observed, name: &str) -> Option<String> {
    let known = observed.stat.workloads.iter().any(|found| found.workload == name && found.meshed);
    if !known {
        return Some(format!("{name} is not meshed"));
    }
    match observed.proxies.iter().find(|proxy| proxy.workload == name) {
        None => Some(format!("the sidecar of {name} is not connected")),
        Some(proxy) if !proxy.connected => Some(format!("the sidecar of {name} is not connected")),
        Some(proxy) => {
            let (kind, rejection) = proxy.rejections().next()?;
            Some(format!("the sidecar of {name} rejected {kind}: {}", rejection.reason))
        }
    }
}

/// Every edge of the shop carried requests, and over mTLS only.
fn transport(observed: &Observed) -> Vec<String> {
    let mut errors = Vec::new();
    for (source, destination) in edges() {
        let requests = edge(&observed.stat, source, destination).map_or(0, |e| e.golden.requests);
        if observed.load.sent > 0 && requests == 0 {
            errors.push(format!("no request was seen from {source} to {destination}"));
        }
    }
    for edge in observed.stat.edges.iter().filter(|edge| edge.mesh && edge.golden.requests > 0) {
        if edge.mtls_share.is_none_or(|share| share < 1.0) {
            let (source, destination) = (&edge.source, &edge.destination);
            errors.push(format!("not all requests from {source} to {destination} were mTLS"));
        }
    }
    errors
}

/// Failures beyond the expected: payment's own share, and at its callers no more than it caused.
fn failures(observed: &Observed) -> Vec<String> {
    let failed = |source, destination| {
        edge(&observed.stat, source, destination).map_or(0, |edge| edge.golden.failures())
    };
    let charges = edge(&observed.stat, "order", "payment").map_or(0, |edge| edge.golden.requests);
    let allowed = |edge: &Edge| match (edge.source.as_str(), edge.destination.as_str()) {
        ("order", "payment") => most_faults_of(charges),
        ("gateway", "order") => failed("order", "payment"),
        ("outside", "gateway") => failed("gateway", "order"),
        _ => 0,
    };
    let shop = observed.stat.edges.iter().filter(|edge| edge.namespace == NAMESPACE);
    shop.filter(|edge| edge.golden.failures() > allowed(edge))
        .map(|edge| {
            let (failures, requests) = (edge.golden.failures(), edge.golden.requests);
            let (source, destination) = (&edge.source, &edge.destination);
            format!(
                "{failures} of {requests} requests from {source} to {destination} failed, \
                 at most {} expected",
                allowed(edge)
            )
        })
        .collect()
}

fn edge<'a>(stat: &'a Stat, source: &str, destination: &str) -> Option<&'a Edge> {
    stat.edges
        .iter()
        .filter(|edge| edge.namespace == NAMESPACE)
        .find(|edge| edge.source == source && edge.destination == destination)
}

/// Do the figures of callers and called agree? Sidecars report once a second, not all at the same time.
pub(super) fn has_settled(stat: &Stat, load: Counts) -> bool {
    let from_outside = edge(stat, "outside", WORKLOADS[0].service).map_or(0, |e| e.golden.requests);
    let answered = load.good + load.failed;
    from_outside >= answered
        && WORKLOADS.iter().all(|workload| {
            let service = workload.service;
            let called = stat.edges.iter().filter(|edge| edge.destination == service);
            let sent: u64 = called.map(|edge| edge.golden.requests).sum();
            let took = stat.workloads.iter().filter(|found| found.name == service);
            sent == took.map(|found| found.golden.requests).sum::<u64>()
        })
}

#[cfg(test)]
mod tests;
