//! `TrafficPolicy` and `InboundPolicy`, `weft.dev/v1alpha1`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::balancing::{LoadBalancer, SessionAffinity};
use super::health_check::HealthCheck;
use super::http_route::Header;
use super::{NumberOrText, null_as_default};

/// `spec` of `TrafficPolicy`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TrafficPolicySpec {
    pub(crate) target_refs: Vec<TargetRef>,
    pub(crate) load_balancer: Option<LoadBalancer>,
    pub(crate) session_affinity: Option<SessionAffinity>,
    pub(crate) health_check: Option<HealthCheck>,
    pub(crate) connect_timeout: Option<String>,
    pub(crate) limits: Option<Limits>,
    pub(crate) outlier_detection: Option<OutlierDetection>,
    pub(crate) retries: Option<Retries>,
    pub(crate) fallback: Option<Fallback>,
}

/// `targetRefs[]`: always in the policy's own namespace.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TargetRef {
    #[serde(default)]
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Port name or number.
    pub(crate) section_name: Option<NumberOrText>,
}

/// `limits`; what is absent is not limited.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) connections: Option<i64>,
    pub(crate) pending_requests: Option<i64>,
    pub(crate) requests: Option<i64>,
    pub(crate) retries: Option<i64>,
    pub(crate) pending_timeout: Option<String>,
}

/// `outlierDetection`; absent fields have the defaults of the model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OutlierDetection {
    pub(crate) consecutive_failures: Option<i64>,
    pub(crate) consecutive_gateway_failures: Option<i64>,
    pub(crate) consecutive_local_failures: Option<i64>,
    pub(crate) failure_percentage: Option<FailurePercentage>,
    pub(crate) base_ejection: Option<String>,
    pub(crate) max_ejected_percent: Option<i64>,
}

/// `outlierDetection.failurePercentage`; off where it is not written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FailurePercentage {
    pub(crate) threshold: Option<i64>,
    pub(crate) minimum_requests: Option<i64>,
    pub(crate) window: Option<String>,
}

/// `retries`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retries {
    pub(crate) attempts: Option<i64>,
    /// Words or status codes. Not `on`: YAML 1.1, which kubectl reads, takes that key for `true`.
    pub(crate) conditions: Option<Vec<NumberOrText>>,
    pub(crate) per_try_timeout: Option<String>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) budget: Option<Budget>,
}

/// `retries.backoff`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Backoff {
    pub(crate) base: Option<String>,
    pub(crate) maximum: Option<String>,
}

/// `fallback`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fallback {
    pub(crate) status: Option<i64>,
    #[serde(default)]
    pub(crate) headers: Vec<Header>,
    #[serde(default)]
    pub(crate) body: String,
}

/// `retries.budget`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Budget {
    pub(crate) percent: Option<i64>,
    pub(crate) min_retries_per_second: Option<i64>,
}

/// `spec` of `InboundPolicy`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct InboundPolicySpec {
    #[serde(default)]
    pub(crate) selector: Selector,
    #[serde(default)]
    pub(crate) ports: Vec<i64>,
    /// Absent: as the `MeshConfig` says.
    pub(crate) mtls: Option<MtlsName>,
    #[serde(default)]
    pub(crate) rate_limits: Vec<RateLimit>,
}

/// `rateLimits[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimit {
    pub(crate) requests: i64,
    pub(crate) per: String,
    pub(crate) burst: Option<i64>,
    /// Absent: one limit for all callers.
    pub(crate) key: Option<RateLimitKey>,
}

/// `rateLimits[].key`.
#[derive(Debug, Deserialize)]
pub(crate) enum RateLimitKey {
    CallerIdentity,
    #[serde(rename = "header")]
    Header(String),
}

/// `selector`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Selector {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) match_labels: BTreeMap<String, String>,
    pub(crate) match_expressions: Option<Value>,
}

/// `mtls`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MtlsName {
    Strict,
    Permissive,
    Disable,
}
