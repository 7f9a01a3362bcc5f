//! `TelemetryPolicy`, `weft.dev/v1alpha1`, and what the MeshConfig says of traces and logs.
//!
//! The comments on fields are what `kubectl explain` shows; the bounds beside them are those that the modules
//! of the kinds check, and `crd` holds both in step.

use schemars::JsonSchema;
use serde::Deserialize;

use super::policy::Selector;
use super::text::{LogField, OtlpProtocol, rule};

/// How much of its traffic a workload tells of: shares of traces, and lines of the access log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.tracing) || has(self.accessLog)", "the policy asks for nothing: write tracing or accessLog"),
    rule(
        "!has(self.targetRefs) || size(self.targetRefs) == 0 || !has(self.selector)",
        "targetRefs and selector exclude each other",
    ),
    rule(
        "!has(self.accessLog) || !has(self.targetRefs) || self.targetRefs.all(t, t.kind == 'Namespace')",
        "the access log is a workload's, not a route's",
    ),
]))]
pub(crate) struct TelemetryPolicySpec {
    /// The policy's own namespace, or routes of it; absent means the workloads of the selector.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) target_refs: Vec<TelemetryTarget>,
    /// The workloads of the policy's own namespace that it is for; absent means all.
    pub(crate) selector: Option<Selector>,
    /// Of traces that begin here.
    pub(crate) tracing: Option<PolicyTracing>,
    /// Lines of requests and connections, on both sides of a workload.
    pub(crate) access_log: Option<AccessLog>,
}

/// `targetRefs[]`: always in the policy's own namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(self.kind == 'Namespace') == (!has(self.group) || self.group == '')",
        "routes are of the group gateway.networking.k8s.io, a Namespace is of none",
    ),
    rule("self.kind != 'Namespace' || !has(self.sectionName)", "a Namespace has no sections"),
]))]
pub(crate) struct TelemetryTarget {
    /// `gateway.networking.k8s.io` of a route, else empty.
    #[serde(default)]
    #[schemars(extend("enum" = ["", "gateway.networking.k8s.io"]))]
    pub(crate) group: String,
    /// HTTPRoute or GRPCRoute: requests that it routes. Namespace: all workloads of it.
    #[schemars(extend("enum" = ["HTTPRoute", "GRPCRoute", "Namespace"]))]
    pub(crate) kind: String,
    /// The route's name; a Namespace's is the policy's own.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) name: String,
    /// Name of one rule of the route; absent means all.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) section_name: Option<String>,
}

/// `tracing` of a policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PolicyTracing {
    /// Share of the traces that begin with these requests, 0 to 1. A trace that has begun already goes on as it was
    /// decided there.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) sampling: f64,
}

/// `accessLog`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLog {
    /// Share of the requests and connections that go well, 0 to 1; absent means none. What fails is always logged.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) successes: Option<f64>,
    /// What a line has; absent means everything.
    #[serde(default)]
    #[schemars(length(max = 32), with = "Vec<LogField>")]
    pub(crate) fields: Vec<String>,
}

/// `accessLog` of the mesh.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MeshAccessLog {
    /// Share of the requests and connections that go well, 0 to 1; what fails is then logged too. Absent means that nothing
    /// is logged where no TelemetryPolicy says so.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) successes: Option<f64>,
    /// What a line has; absent means everything.
    #[serde(default)]
    #[schemars(length(max = 32), with = "Vec<LogField>")]
    pub(crate) fields: Vec<String>,
    /// OTLP collector that gets the lines besides, as in http://otel.logs.svc:4317, or https://.
    #[schemars(regex(pattern = r"^https?://[^/?#\s]+"))]
    pub(crate) endpoint: Option<String>,
    /// `grpc` or `http/protobuf`; absent means http/protobuf where the endpoint has port 4318 or a path, else grpc.
    #[schemars(with = "Option<OtlpProtocol>")]
    pub(crate) protocol: Option<String>,
    /// Who signs the collector's certificate, as PEM; absent means whom the sidecar's OTEL_* variables or its system believe.
    #[schemars(length(max = 65_536))]
    pub(crate) certificate_authorities: Option<String>,
}
