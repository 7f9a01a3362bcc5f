//! The shapes of the admin's answers, a contract with `weft` and with scripts: fields are added, never renamed
//! or removed. `GET /v1/stat` and `GET /v1/analysis` have theirs in `telemetry::stat` and `finding`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use weft_certs::life;

use crate::model::Key;
use crate::telemetry::ProxyState;
use crate::xds::{ProxyStatus, TypeStatus};

/// `GET /v1/version`.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// `GET /v1/mesh`.
#[derive(Debug, Serialize)]
pub(crate) struct MeshSummary {
    pub(crate) name: String,
    pub(crate) trust_domain: String,
    /// Where the gRPC port is bound.
    pub(crate) grpc_address: String,
    /// What proxies are told to connect to.
    pub(crate) advertised_address: String,
    /// The control plane's own id.
    pub(crate) identity: String,
    pub(crate) counts: Counts,
}

/// What the mesh consists of.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) services: usize,
    pub(crate) workloads: usize,
    /// Of the workloads, those with a sidecar.
    pub(crate) meshed: usize,
    pub(crate) routes: usize,
    pub(crate) traffic_policies: usize,
    pub(crate) inbound_policies: usize,
    /// Proxies with an open stream.
    pub(crate) proxies: usize,
    pub(crate) findings: usize,
}

/// Body of `POST /v1/join-tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinRequest {
    /// `product-v1.shop`.
    pub(crate) workload: String,
}

/// Answer of `POST /v1/join-tokens`: the bootstrap file of a proxy, as it is.
#[derive(Serialize)]
pub(crate) struct Bootstrap {
    pub(crate) workload: String,
    pub(crate) identity: String,
    pub(crate) control_plane: ControlPlane,
    /// PEM.
    pub(crate) trust_bundle: String,
    /// A secret.
    pub(crate) join_token: String,
    pub(crate) service: ServiceName,
    pub(crate) locality: Locality,
}

/// Where a workload is; empty where it is not known.
#[derive(Default, Serialize)]
pub(crate) struct Locality {
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) sub_zone: String,
}

/// What a workload is called in traces.
#[derive(Default, Serialize)]
pub(crate) struct ServiceName {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Where a proxy finds the control plane, and who must answer there.
#[derive(Serialize)]
pub(crate) struct ControlPlane {
    pub(crate) address: String,
    pub(crate) identity: String,
}

/// One of `GET /v1/proxies`.
#[derive(Debug, Serialize)]
pub(crate) struct Proxy {
    pub(crate) workload: String,
    pub(crate) identity: String,
    pub(crate) version: String,
    pub(crate) connected: bool,
    /// RFC 3339.
    pub(crate) connected_since: String,
    pub(crate) stale: bool,
    pub(crate) draining: bool,
    /// RFC 3339; null before its first report.
    pub(crate) leaf_not_after: Option<String>,
    /// The same.
    pub(crate) leaf_not_before: Option<String>,
    /// From then on the leaf ought to have been replaced: RFC 3339.
    pub(crate) leaf_overdue_at: Option<String>,
    /// Version of the configuration that it last accepted whole, as the control plane that it had it from counts; empty before
    /// its first report.
    pub(crate) config_version: String,
    /// RFC 3339: when that was.
    pub(crate) config_accepted: Option<String>,
    /// By kind: `clusters`, `endpoints`, `listeners`, `routes`, `secrets`.
    pub(crate) resources: BTreeMap<&'static str, Resources>,
    pub(crate) traces: Traces,
    /// Lines of its access log that were lost, since its start.
    pub(crate) log_lines_dropped: u64,
    /// RFC 3339: when it last told this replica of itself; null if it never did. A sidecar reports by another connection than
    /// its configuration comes by, so with several replicas one may know the one half of it and one the other.
    pub(crate) reported: Option<String>,
}

/// What one proxy has of one kind of resource.
#[derive(Debug, Serialize)]
pub(crate) struct Resources {
    pub(crate) sent: u64,
    pub(crate) acked: Option<u64>,
    pub(crate) rejected: Option<Rejected>,
}

/// What a proxy refused.
#[derive(Debug, Serialize)]
pub(crate) struct Rejected {
    pub(crate) version: u64,
    pub(crate) reason: String,
}

/// Spans since the proxy's start.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Traces {
    pub(crate) started: u64,
    pub(crate) exported: u64,
    pub(crate) dropped: u64,
}

impl Proxy {
    /// One that reports here, and whose configuration comes from another replica.
    pub(crate) fn elsewhere(
        key: Key,
        workload: String,
        identity: String,
        state: ProxyState,
    ) -> Self {
        let status = ProxyStatus {
            workload: key,
            identity,
            version: String::new(),
            connected: false,
            connected_since: SystemTime::UNIX_EPOCH,
            resources: Vec::new(),
        };
        Self::new(workload, status, Some(state))
    }

    /// What the xDS server knows of it, with what it last reported of itself.
    pub(crate) fn new(workload: String, status: ProxyStatus, reported: Option<ProxyState>) -> Self {
        let version = status.version;
        let version = version.strip_prefix("weft-proxy/").unwrap_or(&version).to_owned();
        let reported_leaf = reported.as_ref().and_then(|state| rfc3339(state.leaf_not_after));
        let reported = reported.unwrap_or_default();
        let overdue_at = overdue_at(&reported);
        let config_accepted = config_accepted(&reported);
        Self {
            workload,
            identity: status.identity,
            version: if reported.version.is_empty() { version } else { reported.version },
            connected: status.connected,
            connected_since: rfc3339_of(status.connected_since),
            stale: reported.stale,
            draining: reported.draining,
            leaf_not_after: reported_leaf,
            leaf_not_before: rfc3339(reported.leaf_not_before),
            leaf_overdue_at: overdue_at,
            config_accepted,
            config_version: reported.config_version,
            resources: status.resources.into_iter().map(resources).collect(),
            traces: Traces {
                started: reported.spans_started,
                exported: reported.spans_exported,
                dropped: reported.spans_dropped,
            },
            log_lines_dropped: reported.log_lines_dropped,
            reported: i64::try_from(reported.reported).ok().and_then(rfc3339),
        }
    }
}

fn resources(status: TypeStatus) -> (&'static str, Resources) {
    let rejected = status
        .rejected
        .map(|rejection| Rejected { version: rejection.version, reason: rejection.reason });
    let resources = Resources { sent: status.sent, acked: status.acked, rejected };
    (status.kind.plural(), resources)
}

fn rfc3339_of(time: SystemTime) -> String {
    let unix = i64::try_from(crate::clock::unix(time)).unwrap_or(i64::MAX);
    rfc3339(unix).unwrap_or_default()
}

/// Of a sidecar that has accepted any.
fn config_accepted(state: &ProxyState) -> Option<String> {
    let at = state.reported.saturating_sub(state.config_age);
    let accepted = !state.config_version.is_empty();
    accepted.then(|| rfc3339(i64::try_from(at).unwrap_or(i64::MAX))).flatten()
}

/// Of a sidecar that says from when to when its leaf is valid.
fn overdue_at(state: &ProxyState) -> Option<String> {
    let time = |unix: i64| {
        let since = u64::try_from(unix).ok().filter(|seconds| *seconds > 0)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
    };
    let (from, until) = (time(state.leaf_not_before)?, time(state.leaf_not_after)?);
    Some(rfc3339_of(life::overdue_at(from, until)))
}

/// `None` of a time that is unset or that no calendar has.
fn rfc3339(unix: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(unix).ok().filter(|_| unix != 0)?;
    time.format(&Rfc3339).ok()
}
