//! `MeshWorkload` and `MeshConfig`, `weft.dev/v1alpha1`.

use serde::Deserialize;

use super::policy::MtlsName;

/// `spec` of `MeshWorkload`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MeshWorkloadSpec {
    pub(crate) address: String,
    /// Absent means `default`.
    pub(crate) service_account: Option<String>,
    /// Absent means yes.
    pub(crate) meshed: Option<bool>,
    /// `region/zone/subzone`; absent means what the topology labels say.
    pub(crate) locality: Option<String>,
    #[serde(default)]
    pub(crate) ports: Vec<WorkloadPort>,
    /// What may be asked without mutual TLS.
    #[serde(default)]
    pub(crate) probes: Vec<WorkloadProbe>,
}

/// `probes[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkloadProbe {
    pub(crate) port: i64,
    /// Absent: of TCP, or of the application's own TLS.
    pub(crate) path: Option<String>,
}

/// `ports[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkloadPort {
    pub(crate) name: Option<String>,
    pub(crate) port: i64,
    pub(crate) app_protocol: Option<String>,
}

/// `spec` of `MeshConfig`; absent fields have the defaults of the model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MeshConfigSpec {
    pub(crate) trust_domain: Option<String>,
    pub(crate) mtls: Option<MtlsName>,
    pub(crate) leaf_lifetime: Option<String>,
    pub(crate) tracing: Option<Tracing>,
    pub(crate) limits: Option<Limits>,
}

/// `limits`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) http: Option<HttpLimits>,
}

/// `limits.http`; absent fields are left to the proxies.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpLimits {
    pub(crate) head_timeout: Option<String>,
    pub(crate) header_fields: Option<i64>,
    pub(crate) http2_streams: Option<i64>,
    /// KiB.
    pub(crate) http2_header_budget: Option<i64>,
    /// MiB.
    pub(crate) http2_memory: Option<i64>,
    pub(crate) http2_local_resets: Option<i64>,
    pub(crate) http2_stall_timeout: Option<String>,
}

/// `tracing`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tracing {
    pub(crate) endpoint: Option<String>,
    /// Share of traces, 0 to 1.
    pub(crate) sampling: Option<f64>,
}
