//! The answers of the admin sockets, as far as commands look into them. Unknown fields are let through.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/stat`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stat {
    /// Version of this form.
    pub(crate) schema_version: u32,
    /// Seconds that were measured over.
    #[serde(default)]
    pub(crate) window_s: Value,
    /// One a workload, measured where requests come in.
    #[serde(default)]
    pub(crate) workloads: Vec<Workload>,
    /// One a caller and service, measured where requests go out.
    #[serde(default)]
    pub(crate) edges: Vec<Edge>,
    /// One a route and backend.
    #[serde(default)]
    pub(crate) routes: Vec<Route>,
}

/// Golden metrics; shares are 0 to 1, and absent where there were no requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Golden {
    /// Requests within the window.
    #[serde(default)]
    pub(crate) requests: u64,
    /// Requests per second.
    #[serde(default)]
    pub(crate) rps: f64,
    /// Share that did not fail.
    #[serde(default)]
    pub(crate) success_rate: Option<f64>,
    /// Median latency in milliseconds.
    #[serde(default)]
    pub(crate) p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    #[serde(default)]
    pub(crate) p99_ms: Option<f64>,
    /// Bucket and count, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency: Vec<(usize, u64)>,
    /// Attempts beyond the first.
    #[serde(default)]
    pub(crate) retries: u64,
}

impl Golden {
    /// Requests that failed.
    pub(crate) fn failures(&self) -> u64 {
        let share = self.success_rate.map_or(0.0, |success| (1.0 - success).clamp(0.0, 1.0));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count of requests, far below 2^52"
        )]
        let failures = (share * self.requests as f64).round() as u64;
        failures
    }
}

/// One of `GET /v1/traces/broken`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct BrokenTraces {
    /// Display name, shared by all versions.
    pub(crate) name: String,
    /// Namespace.
    pub(crate) namespace: String,
    /// The workload itself.
    pub(crate) workload: String,
}

/// One workload of [`Stat`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// Display name, shared by all versions: `product`.
    pub(crate) name: String,
    /// Namespace.
    pub(crate) namespace: String,
    /// Label `version`.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// The workload itself: `product-v1.shop`.
    #[serde(default)]
    pub(crate) workload: String,
    /// Does a connected sidecar stand before it?
    #[serde(default)]
    pub(crate) meshed: bool,
    /// SPIFFE id.
    #[serde(default)]
    pub(crate) identity: Option<String>,
    /// Share of requests that came in over mTLS.
    #[serde(default)]
    pub(crate) mtls_share: Option<f64>,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) golden: Golden,
    /// What a newer control plane says besides.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Value>,
}

/// One edge of [`Stat`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Edge {
    /// Who calls; `outside` for whoever has no sidecar.
    pub(crate) source: String,
    /// Its namespace; empty where it is outside.
    #[serde(default)]
    pub(crate) source_namespace: String,
    /// The service called.
    pub(crate) destination: String,
    /// The destination's namespace.
    #[serde(default)]
    pub(crate) namespace: String,
    /// Has the caller a sidecar?
    #[serde(default)]
    pub(crate) mesh: bool,
    /// Share of requests over mTLS.
    #[serde(default)]
    pub(crate) mtls_share: Option<f64>,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) golden: Golden,
    /// What a newer control plane says besides.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Value>,
}

/// One route of [`Stat`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Route {
    /// Who calls.
    pub(crate) source: String,
    /// Its namespace.
    #[serde(default)]
    pub(crate) source_namespace: String,
    /// The service called.
    pub(crate) destination: String,
    /// The route that decided.
    pub(crate) route: String,
    /// Where it sent the request.
    #[serde(default)]
    pub(crate) backend: String,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) golden: Golden,
    /// What a newer control plane says besides.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Value>,
}

/// One sidecar of `GET /v1/proxies`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Proxy {
    /// `product-v1.shop`.
    pub(crate) workload: String,
    /// SPIFFE id.
    #[serde(default)]
    pub(crate) identity: String,
    /// Version of the sidecar.
    #[serde(default)]
    pub(crate) version: String,
    /// Has it an open stream?
    #[serde(default)]
    pub(crate) connected: bool,
    /// Since when: RFC 3339.
    #[serde(default)]
    pub(crate) connected_since: Value,
    /// Does it run on its last good configuration?
    #[serde(default)]
    pub(crate) stale: bool,
    /// Is it draining?
    #[serde(default)]
    pub(crate) draining: bool,
    /// When its certificate ends: RFC 3339, or seconds since 1970.
    #[serde(default)]
    pub(crate) leaf_not_after: Value,
    /// When its certificate ought to have been replaced; the same.
    #[serde(default)]
    pub(crate) leaf_overdue_at: Value,
    /// What it has of each type of resource.
    #[serde(default)]
    pub(crate) resources: BTreeMap<String, ResourceState>,
    /// Its traces.
    #[serde(default)]
    pub(crate) traces: TraceCounts,
    /// When it last told this replica of itself: RFC 3339.
    #[serde(default)]
    pub(crate) reported: Option<String>,
    /// What it says of itself besides.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Value>,
}

impl Proxy {
    /// With what another replica knows of it: its configuration comes from one, and it reports to the same or to another.
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        let since = |proxy: &Self| proxy.connected_since.as_str().unwrap_or_default().to_owned();
        let stream = |proxy: &Self| (proxy.connected, since(proxy));
        let (serving, reporting) = match stream(&other) > stream(&self) {
            true => (other, self),
            false => (self, other),
        };
        // Written by one clock's rules and in one form, so text compares as time does.
        if reporting.reported <= serving.reported {
            return serving;
        }
        let Self { connected, connected_since, identity, resources, .. } = serving;
        Self { connected, connected_since, identity, resources, ..reporting }
    }

    /// Connected, with everything accepted that was sent?
    pub(crate) fn is_synced(&self) -> bool {
        self.connected && self.resources.values().all(ResourceState::is_synced)
    }

    /// Reasons of what it rejected, by type.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = (&str, &Rejection)> {
        self.resources
            .iter()
            .filter_map(|(kind, state)| Some((kind.as_str(), state.rejected.as_ref()?)))
    }
}

/// One type of resource of one [`Proxy`]; versions are opaque.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResourceState {
    /// Version last sent.
    #[serde(default)]
    pub(crate) sent: Value,
    /// Version last accepted.
    #[serde(default)]
    pub(crate) acked: Value,
    /// What it last rejected and has not accepted since.
    #[serde(default)]
    pub(crate) rejected: Option<Rejection>,
}

impl ResourceState {
    fn is_synced(&self) -> bool {
        self.rejected.is_none() && self.sent == self.acked
    }
}

/// A rejected version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rejection {
    /// Which.
    #[serde(default)]
    pub(crate) version: Value,
    /// Why: field and reason.
    #[serde(default)]
    pub(crate) reason: String,
}

/// Counts of traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceCounts {
    /// Spans begun.
    #[serde(default)]
    pub(crate) started: u64,
    /// Spans that a collector has taken.
    #[serde(default)]
    pub(crate) exported: u64,
    /// Spans lost.
    #[serde(default)]
    pub(crate) dropped: u64,
}

/// `GET /v1/mesh`, as far as it is looked into.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MeshInfo {
    /// SPIFFE trust domain.
    #[serde(default)]
    pub(crate) trust_domain: String,
    /// Where sidecars connect.
    #[serde(default)]
    pub(crate) grpc_address: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Value>,
}

/// One finding about configuration, of `GET /v1/analysis` and of `weft analyze`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// Stable code: `WEFT0101`.
    pub(crate) code: String,
    /// `error`, `warning` or `info`.
    pub(crate) severity: String,
    /// File, relative to the configuration directory; empty if none is to blame.
    #[serde(default)]
    pub(crate) file: String,
    /// Line in it, from 1; 0 if it is about the file as a whole.
    #[serde(default)]
    pub(crate) line: u64,
    /// `HTTPRoute shop/web`; empty if no object could be read.
    #[serde(default)]
    pub(crate) object: String,
    /// Path of the field; empty if it is about all of the object.
    #[serde(default)]
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    #[serde(default)]
    pub(crate) hint: String,
}

impl Finding {
    /// Is something wrong or odd? What is merely worth knowing is not.
    pub(crate) fn is_complaint(&self) -> bool {
        self.severity != "info"
    }
}
