//! The shape of `GET /v1/stat`: a contract with `weft` and with scripts. Fields are added, never renamed or
//! removed, while `schema_version` is 1.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::telemetry::tally::Tally;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Stat {
    pub(crate) schema_version: u32,
    /// Seconds that the numbers cover.
    pub(crate) window_s: u64,
    pub(crate) workloads: Vec<WorkloadStat>,
    pub(crate) edges: Vec<EdgeStat>,
    pub(crate) routes: Vec<RouteStat>,
}

/// One workload as a server, measured by its own sidecar.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadStat {
    /// Display name.
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) version: String,
    /// `name.namespace` of the object.
    pub(crate) workload: String,
    pub(crate) meshed: bool,
    pub(crate) identity: String,
    pub(crate) requests: u64,
    pub(crate) rps: f64,
    pub(crate) success_rate: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Bucket and count, where it was asked for: what quantiles of several answers can be made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency: Vec<(usize, u64)>,
    pub(crate) mtls_share: Option<f64>,
    pub(crate) retries: u64,
}

/// One caller and the Service that it calls.
#[derive(Debug, Serialize)]
pub(crate) struct EdgeStat {
    pub(crate) source: String,
    /// Empty where the source is outside.
    pub(crate) source_namespace: String,
    pub(crate) destination: String,
    /// The destination's.
    pub(crate) namespace: String,
    pub(crate) mesh: bool,
    pub(crate) requests: u64,
    pub(crate) rps: f64,
    pub(crate) success_rate: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Bucket and count, where it was asked for: what quantiles of several answers can be made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency: Vec<(usize, u64)>,
    pub(crate) mtls_share: Option<f64>,
    pub(crate) retries: u64,
    pub(crate) connections: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Failures by the proxy's error token.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// One edge's share of one route and backend.
#[derive(Debug, Serialize)]
pub(crate) struct RouteStat {
    pub(crate) source: String,
    pub(crate) source_namespace: String,
    pub(crate) destination: String,
    /// The destination's.
    pub(crate) namespace: String,
    /// `Kind/namespace/name#rule`; empty where no route object was involved.
    pub(crate) route: String,
    /// Service port that the rule's split chose; empty if none.
    pub(crate) backend: String,
    pub(crate) requests: u64,
    pub(crate) rps: f64,
    pub(crate) success_rate: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Bucket and count, where it was asked for: what quantiles of several answers can be made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency: Vec<(usize, u64)>,
    pub(crate) retries: u64,
    /// Failures by the proxy's error token.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Stat {
    /// The same without buckets.
    pub(crate) fn without_buckets(mut self) -> Self {
        self.workloads.iter_mut().for_each(|row| row.latency = Vec::new());
        self.edges.iter_mut().for_each(|row| row.latency = Vec::new());
        self.routes.iter_mut().for_each(|row| row.latency = Vec::new());
        self
    }
}

/// Per second.
#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
pub(crate) fn rate(count: u64, seconds: u64) -> f64 {
    count as f64 / seconds.max(1) as f64
}

/// Errors as text.
pub(crate) fn errors(tally: &Tally) -> BTreeMap<String, u64> {
    tally.errors.iter().map(|(token, count)| (token.to_string(), *count)).collect()
}
