//! Policies: what `TrafficPolicy` asks of the caller's sidecar and `InboundPolicy` of the receiver's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Balancer, DefaultAccess, HeaderChange, HealthCheck, Key, Origin, SessionAffinity, SlowStart,
};

/// In force for one Service or one of its ports. Unset means the proxy's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficPolicy {
    /// Where it was read.
    pub origin: Origin,
    /// How an endpoint is chosen.
    pub balancer: Balancer,
    /// How a new endpoint gets its share; without it at once.
    pub slow_start: Option<SlowStart>,
    /// Endpoints near the caller are used before those far from it.
    pub prefer_local: bool,
    /// Active health checks.
    pub health_check: Option<HealthCheck>,
    /// Sessions; without it every request is chosen for anew.
    pub affinity: Option<SessionAffinity>,
    /// Limit on opening a connection.
    pub connect_timeout: Option<Duration>,
    /// Bulkhead.
    pub limits: Limits,
    /// Ejection of failing endpoints; on with its defaults where a policy does not speak of it.
    pub outlier_detection: Option<OutlierDetection>,
    /// Retries beyond those that are always safe.
    pub retries: Option<RetryPolicy>,
    /// The answer where nothing can serve.
    pub fallback: Option<Fallback>,
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// 200 to 599.
    pub status: u16,
    /// Headers.
    pub headers: Vec<HeaderChange>,
    /// Body.
    pub body: String,
}

/// What one caller's sidecar may have under way to the Service port at once. Unset means no limit but the
/// proxy's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections, at least 1.
    pub connections: Option<u32>,
    /// Requests that may wait for a connection.
    pub pending_requests: Option<u32>,
    /// How long each of them may.
    pub pending_timeout: Option<Duration>,
    /// Requests, at least 1.
    pub requests: Option<u32>,
    /// Retries.
    pub retries: Option<u32>,
}

/// Ejection of endpoints that fail. With every count 0 and no percentage it is off.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierDetection {
    /// 5xx in a row that eject; 0 does not count them. Failures of the way to the endpoint count too, unless
    /// [`Self::consecutive_local_failures`] counts them apart.
    pub consecutive_failures: u32,
    /// 502, 503 and 504 in a row that eject; 0 does not count them apart.
    pub consecutive_gateway_failures: u32,
    /// Connections refused, reset or timed out in a row that eject; 0 does not count them apart.
    pub consecutive_local_failures: u32,
    /// Share of failures that ejects.
    pub failure_percentage: Option<FailurePercentage>,
    /// First ejection; doubles with each further one.
    pub base_ejection: Duration,
    /// Share of the endpoints that may be out at once, 0 to 100.
    pub max_ejected_percent: u32,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            consecutive_gateway_failures: 0,
            consecutive_local_failures: 0,
            failure_percentage: None,
            base_ejection: Duration::from_secs(30),
            max_ejected_percent: 50,
        }
    }
}

/// Ejection by the share of requests to one endpoint that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// 1 to 100.
    pub threshold: u32,
    /// With fewer requests in the window nothing is decided.
    pub minimum_requests: u32,
    /// How far back is looked.
    pub window: Duration,
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self { threshold: 50, minimum_requests: 20, window: Duration::from_secs(10) }
    }
}

/// Retries of requests that the application may have seen; idempotent methods only, but for codes of gRPC.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub attempts: u32,
    /// What earns one.
    pub on: Vec<RetryOn>,
    /// Limit on one attempt.
    pub per_try_timeout: Option<Duration>,
    /// Pauses; the proxy's own where `None`.
    pub backoff: Option<Backoff>,
    /// Bound on the share of retries.
    pub budget: RetryBudget,
}

/// Condition of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// The connection could not be made.
    ConnectFailure,
    /// HTTP/2 REFUSED_STREAM.
    RefusedStream,
    /// The connection broke before a response head.
    Reset,
    /// 502, 503, 504.
    GatewayError,
    /// Any 5xx, or no response at all.
    ServerError,
    /// One status.
    Status(u16),
    /// gRPC's CANCELLED.
    Cancelled,
    /// gRPC's DEADLINE_EXCEEDED.
    DeadlineExceeded,
    /// gRPC's INTERNAL.
    Internal,
    /// gRPC's RESOURCE_EXHAUSTED.
    ResourceExhausted,
    /// gRPC's UNAVAILABLE.
    Unavailable,
}

/// Pauses before retries: at least `base`, more with each further one, with jitter, at most `maximum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// At least 1 ms.
    pub base: Duration,
    /// Not less than `base`.
    pub maximum: Duration,
}

/// Retries may be at most `percent` of requests plus `min_per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Share of the requests of the last 10 s, 0 to 100.
    pub percent: u32,
    /// Floor that is always allowed.
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, min_per_second: 10 }
    }
}

/// What a workload's inbound ports accept.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundPolicy {
    /// Where it was read.
    pub origin: Origin,
    /// Seconds since the epoch; 0 where nobody says when.
    pub created: i64,
    /// Namespace it applies to.
    pub namespace: String,
    /// Labels of the workloads; empty means all of the namespace.
    pub selector: BTreeMap<String, String>,
    /// Ports; empty means all.
    pub ports: Vec<u16>,
    /// The mode; `None` leaves it to the mesh.
    pub mtls: Option<MtlsMode>,
    /// Access where no rule speaks of it; `None` leaves it to the mesh.
    pub default_access: Option<DefaultAccess>,
    /// Limits on requests, each of which every request must pass.
    pub rate_limits: Vec<RateLimit>,
}

/// A token bucket: it holds `requests` and `burst` and is filled evenly by `requests` each `per`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// At least 1.
    pub requests: u32,
    /// 50 ms to 1 h.
    pub per: Duration,
    /// How many more may come at once after a quiet time.
    pub burst: u32,
    /// Whose requests are counted together.
    pub key: RateLimitKey,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateLimitKey {
    /// Everybody's.
    Everybody,
    /// Those of one SPIFFE id; those without one together.
    CallerIdentity,
    /// Those with the same value of this header, in lower case; those without it together.
    Header(String),
}

/// The ports of workloads that a policy of the receiving side is for.
pub(super) struct Selection<'a> {
    pub(super) namespace: &'a str,
    /// Empty means all of the namespace.
    pub(super) selector: &'a BTreeMap<String, String>,
    /// Empty means all.
    pub(super) ports: &'a [u16],
}

impl Selection<'_> {
    /// Is this port of this workload among them?
    pub(super) fn covers(
        &self,
        workload: &Key,
        labels: &BTreeMap<String, String>,
        port: u16,
    ) -> bool {
        self.namespace == workload.namespace
            && (self.ports.is_empty() || self.ports.contains(&port))
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl InboundPolicy {
    /// Does it speak of this port of this workload?
    #[must_use]
    pub fn applies_to(&self, workload: &Key, labels: &BTreeMap<String, String>, port: u16) -> bool {
        let Self { namespace, selector, ports, .. } = self;
        Selection { namespace, selector, ports }.covers(workload, labels, port)
    }

    /// The smaller is in force where several apply; between equals the key decides. Workloads before namespace, ports
    /// before all ports, older before younger.
    #[must_use]
    pub fn precedence(&self) -> (bool, bool, i64) {
        (self.selector.is_empty(), self.ports.is_empty(), self.created)
    }
}

/// Which connections an inbound port takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtlsMode {
    /// Mesh mTLS only.
    Strict,
    /// Mesh mTLS and plaintext.
    #[default]
    Permissive,
    /// Plaintext only.
    Disable,
}
