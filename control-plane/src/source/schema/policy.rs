//! `TrafficPolicy` and `InboundPolicy`, `weft.dev/v1alpha1`.
//!
//! The comments on fields are what `kubectl explain` shows; the bounds beside them are those that the modules
//! of the kinds check, and `crd` holds both in step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::balancing::{LoadBalancer, SessionAffinity};
use super::health_check::HealthCheck;
use super::http_route::Header;
use super::text::{
    LimitKey, PortSection, PositiveDuration, RatePeriod, RetryCondition, Unsupported, rule,
};
use super::{NumberOrText, null_as_default};

/// What the sidecars of a Service's callers do: how they choose an endpoint, what they limit, retry and eject.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TrafficPolicySpec {
    /// The Services, of the policy's own namespace, that it is for.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) target_refs: Vec<TargetRef>,
    /// How an endpoint is chosen.
    pub(crate) load_balancer: Option<LoadBalancer>,
    /// A client stays with its endpoint.
    pub(crate) session_affinity: Option<SessionAffinity>,
    /// Endpoints are asked whether they are well.
    pub(crate) health_check: Option<HealthCheck>,
    /// How long a connection may take to open.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) connect_timeout: Option<String>,
    /// Bounds of one sidecar and one Service port; what is over them is answered with 503 at once.
    pub(crate) limits: Option<Limits>,
    /// Endpoints that fail are left out for a while.
    pub(crate) outlier_detection: Option<OutlierDetection>,
    /// What is sent again, and how often.
    pub(crate) retries: Option<Retries>,
    /// The answer to a request that surely no application has seen.
    pub(crate) fallback: Option<Fallback>,
}

/// `targetRefs[]`: always in the policy's own namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TargetRef {
    /// Empty or `core`: that of a Service.
    #[serde(default)]
    #[schemars(extend("enum" = ["", "core"]))]
    pub(crate) group: String,
    /// `Service`.
    #[schemars(extend("enum" = ["Service"]))]
    pub(crate) kind: String,
    /// The Service's name.
    #[schemars(length(max = 253))]
    pub(crate) name: String,
    /// Name or number of one port; absent means all ports.
    #[schemars(with = "Option<PortSection>")]
    pub(crate) section_name: Option<NumberOrText>,
}

/// `limits`; what is absent is not limited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections: in use on HTTP/1.1 and opaque ports, open on HTTP/2.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: Option<i64>,
    /// Requests that wait for a connection; absent means 1024.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) pending_requests: Option<i64>,
    /// Requests under way.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests: Option<i64>,
    /// Retries under way, beside retries.budget.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) retries: Option<i64>,
    /// How long a request waits for a connection; absent means 50ms.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) pending_timeout: Option<String>,
}

/// `outlierDetection`; absent fields have the defaults of the model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OutlierDetection {
    /// Ejects after so many 5xx in a row, failures of the way to the endpoint included; absent means 5, 0 never.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) consecutive_failures: Option<i64>,
    /// Ejects after so many 502, 503 and 504 in a row; absent means never.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) consecutive_gateway_failures: Option<i64>,
    /// Ejects after so many connections refused, reset or timed out in a row; absent means never.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) consecutive_local_failures: Option<i64>,
    /// Ejects by the share of requests that failed.
    pub(crate) failure_percentage: Option<FailurePercentage>,
    /// The first ejection takes so long, each further one twice as long as the one before, to 5m; absent means 30s.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) base_ejection: Option<String>,
    /// No more than this share of the endpoints is ejected; absent means 50.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) max_ejected_percent: Option<i64>,
}

/// `outlierDetection.failurePercentage`; off where it is not written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FailurePercentage {
    /// Share of failures that ejects, in percent; absent means 50.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) threshold: Option<i64>,
    /// Fewer requests than this in the window decide nothing; absent means 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) minimum_requests: Option<i64>,
    /// What is looked back at; absent means 10s.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) window: Option<String>,
}

/// `retries`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retries {
    /// Retries after the first attempt; absent means 2.
    #[schemars(range(min = 0, max = 10))]
    pub(crate) attempts: Option<i64>,
    // Not `on`: YAML 1.1, which kubectl reads, takes that key for `true`.
    /// What is retried: connect-failure, refused-stream, reset, gateway-error, 5xx, statuses from 400 to 599,
    /// and of gRPC cancelled, deadline-exceeded, internal, resource-exhausted, unavailable. Absent means the
    /// first four.
    #[schemars(length(max = 16), with = "Option<Vec<RetryCondition>>")]
    pub(crate) conditions: Option<Vec<NumberOrText>>,
    /// For one attempt, to the response head.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) per_try_timeout: Option<String>,
    /// How long a retry waits; absent means up to 25ms, 50ms and so on to 250ms.
    pub(crate) backoff: Option<Backoff>,
    /// Bounds all retries to the Service port, over ten seconds.
    pub(crate) budget: Option<Budget>,
}

/// `retries.backoff`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "!has(self.maximum) || duration(self.maximum) >= duration(has(self.base) ? self.base : '25ms')",
        "maximum must not be shorter than base, which is 25ms where it is not written",
    ),
]))]
pub(crate) struct Backoff {
    /// The first retry waits from this to twice this; absent means 25ms.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) base: Option<String>,
    /// No retry waits longer; absent means ten times base.
    #[schemars(with = "Option<PositiveDuration>")]
    pub(crate) maximum: Option<String>,
}

/// `fallback`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "!has(self.status) || !(self.status in [204, 205, 304]) || !has(self.body) || self.body == ''",
        "an answer of this status has no body",
    ),
]))]
pub(crate) struct Fallback {
    /// The answer's status; absent means 503.
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: Option<i64>,
    /// Its headers.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) headers: Vec<Header>,
    /// Its body, at most 16 KiB.
    #[serde(default)]
    #[schemars(length(max = 16_384))]
    pub(crate) body: String,
}

/// `retries.budget`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Budget {
    /// Retries as a share of the requests, in percent; absent means 20.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) percent: Option<i64>,
    /// So many a second are allowed whatever the share; absent means 10.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) min_retries_per_second: Option<i64>,
}

/// Who may call a workload, how, and how much: enforced by the workload's own sidecar.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "has(self.mtls) || has(self.defaultAccess) || (has(self.rateLimits) && size(self.rateLimits) > 0)",
        "the policy asks for nothing: write mtls, defaultAccess or rateLimits",
    ),
]))]
pub(crate) struct InboundPolicySpec {
    /// The workloads of the policy's own namespace that it is for; absent means all.
    #[serde(default)]
    pub(crate) selector: Selector,
    /// Their ports that it is for; absent means all.
    #[serde(default)]
    #[schemars(length(max = 256), inner(range(min = 1, max = 65_535)))]
    pub(crate) ports: Vec<i64>,
    /// STRICT takes mutual TLS only, PERMISSIVE plaintext too, DISABLE plaintext only. Absent means as the MeshConfig
    /// says.
    pub(crate) mtls: Option<MtlsName>,
    /// Who may call where no AccessPolicy of the action ALLOW speaks of it: allow-all, allow-mesh (who has an identity of
    /// the mesh), allow-same-namespace, deny. Absent means as the MeshConfig says.
    pub(crate) default_access: Option<DefaultAccessName>,
    /// A request must pass every limit, in this order.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) rate_limits: Vec<RateLimit>,
}

/// `rateLimits[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Requests that may come in each period.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests: i64,
    /// The period, 50ms to 1h.
    #[schemars(with = "RatePeriod")]
    pub(crate) per: String,
    /// How many more may come at once after a quiet time; absent means none.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) burst: Option<i64>,
    /// `CallerIdentity`: a limit for each SPIFFE id; `{header: NAME}`: for each value of it; absent: one for
    /// all callers.
    #[schemars(with = "Option<LimitKey>")]
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "x-kubernetes-validations" = [
    rule("!has(self.matchExpressions)", "only matchLabels is supported"),
]))]
pub(crate) struct Selector {
    /// Labels that a workload must have, all of them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) match_labels: BTreeMap<String, String>,
    /// Not supported.
    #[schemars(with = "Option<Unsupported>")]
    pub(crate) match_expressions: Option<Value>,
}

/// `defaultAccess`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DefaultAccessName {
    AllowAll,
    AllowMesh,
    AllowSameNamespace,
    Deny,
}

/// `mtls`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MtlsName {
    Strict,
    Permissive,
    Disable,
}
