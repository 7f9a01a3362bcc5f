//! `MeshWorkload` and `MeshConfig`, `weft.dev/v1alpha1`.
//!
//! The comments on fields are what `kubectl explain` shows; the bounds beside them are those that the modules
//! of the kinds check, and `crd` holds both in step.

use schemars::JsonSchema;
use serde::Deserialize;

use super::policy::{DefaultAccessName, MtlsName};
use super::telemetry::MeshAccessLog;
use super::text::{
    DeniedName, LeafLifetime, LimitTimeout, OtlpProtocol, SerialNumber, Subdomain, rule,
};

/// A process with an address, outside of Kubernetes: what a pod is within it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MeshWorkloadSpec {
    /// Where peers dial it: one IPv4 or IPv6 address, without a port.
    #[schemars(length(min = 2, max = 45), extend("x-kubernetes-validations" = [
        rule("isIP(self)", "must be one IPv4 or IPv6 address, without a port"),
    ]))]
    pub(crate) address: String,
    /// Makes its SPIFFE id, spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT; absent means `default`.
    #[schemars(with = "Option<Subdomain>")]
    pub(crate) service_account: Option<String>,
    /// Does a sidecar stand before it? Absent means yes. Without one it is dialled in plaintext.
    pub(crate) meshed: Option<bool>,
    /// Where it runs: `region`, `region/zone` or `region/zone/subzone`; absent means what the labels
    /// `topology.kubernetes.io/region` and `topology.kubernetes.io/zone` say.
    #[schemars(
        length(max = 191),
        regex(
            pattern = r"^[0-9A-Za-z!#$%&'*+.^_`|~-]{1,63}(/[0-9A-Za-z!#$%&'*+.^_`|~-]{1,63}){0,2}$"
        )
    )]
    pub(crate) locality: Option<String>,
    /// What it serves. Ports that are not named are open to a sidecar that intercepts.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["port"]))]
    pub(crate) ports: Vec<WorkloadPort>,
    /// What may be asked without mutual TLS, by the kubelet for one.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(crate) probes: Vec<WorkloadProbe>,
}

/// `probes[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkloadProbe {
    /// The port that is probed.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) port: i64,
    /// The path as the prober sends it. Absent: a probe of TCP, or of the application's own TLS.
    #[schemars(length(max = 1024), regex(pattern = r"^/[!-~]*$"))]
    pub(crate) path: Option<String>,
}

/// `ports[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkloadPort {
    /// What `targetPort` of a Service may call it.
    #[schemars(
        length(max = 15),
        regex(pattern = r"^(([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*)?$")
    )]
    pub(crate) name: Option<String>,
    /// Its number.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) port: i64,
    /// What is spoken on it: `http`, `kubernetes.io/h2c`, `grpc`, `tcp` and so on; absent means as the name says.
    pub(crate) app_protocol: Option<String>,
}

/// Settings of the whole mesh: one object, named `default`, in namespace `weft-system`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MeshConfigSpec {
    /// SPIFFE trust domain, settled at the first start of a control plane; absent means `cluster.local`.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[a-z0-9._-]+$"))]
    pub(crate) trust_domain: Option<String>,
    /// For ports that no InboundPolicy speaks of: STRICT takes mutual TLS only, PERMISSIVE plaintext too, DISABLE
    /// plaintext only. Absent means PERMISSIVE.
    pub(crate) mtls: Option<MtlsName>,
    /// Who may call where neither an AccessPolicy nor an InboundPolicy speaks of it: allow-all, allow-mesh (who has an
    /// identity of the mesh), allow-same-namespace, deny. Absent means allow-all.
    pub(crate) default_access: Option<DefaultAccessName>,
    /// Life of a workload's certificate, 1s to 720h; absent means 24h.
    #[schemars(with = "Option<LeafLifetime>")]
    pub(crate) leaf_lifetime: Option<String>,
    /// Where traces go, and how many.
    pub(crate) tracing: Option<Tracing>,
    /// What is logged where no TelemetryPolicy speaks of it, and where lines go besides standard output.
    pub(crate) access_log: Option<MeshAccessLog>,
    /// What the sidecars take.
    pub(crate) limits: Option<Limits>,
    /// Whom no sidecar serves or calls and who gets no certificate, whatever anything else says.
    pub(crate) denied: Option<Denied>,
}

/// `denied`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Denied {
    /// Workloads, whatever certificate they show.
    #[serde(default)]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["identity"]))]
    pub(crate) identities: Vec<DeniedIdentity>,
    /// Single certificates; their workloads may get others.
    #[serde(default)]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["serial"]))]
    pub(crate) serials: Vec<DeniedSerial>,
}

/// `denied.identities[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeniedIdentity {
    /// A SPIFFE id, or `namespace/account` in the mesh's own trust domain.
    #[schemars(with = "DeniedName")]
    pub(crate) identity: String,
    /// Why, in a few words; errors and logs repeat it.
    #[schemars(length(max = 256))]
    pub(crate) reason: Option<String>,
}

/// `denied.serials[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeniedSerial {
    /// In hexadecimal digits, with or without colons between bytes.
    #[schemars(with = "SerialNumber")]
    pub(crate) serial: String,
    /// Why, in a few words; errors and logs repeat it.
    #[schemars(length(max = 256))]
    pub(crate) reason: Option<String>,
}

/// `limits`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// What they take of HTTP from clients, on both sides.
    pub(crate) http: Option<HttpLimits>,
}

/// `limits.http`; absent fields are left to the proxies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpLimits {
    /// How long a request's head may take, to 1h; absent means 10s.
    #[schemars(with = "Option<LimitTimeout>")]
    pub(crate) head_timeout: Option<String>,
    /// Header fields of one request; absent means 100.
    #[schemars(range(min = 10, max = 10_000))]
    pub(crate) header_fields: Option<i64>,
    /// Streams of one HTTP/2 connection; absent means 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) http2_streams: Option<i64>,
    /// Headers of all streams of one HTTP/2 connection, in KiB; absent means 1024.
    #[schemars(range(min = 64, max = 1_048_576))]
    pub(crate) http2_header_budget: Option<i64>,
    /// Memory of one HTTP/2 connection, in MiB; absent means 16.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub(crate) http2_memory: Option<i64>,
    /// Streams of one HTTP/2 connection that the sidecar may have had to reset; absent means 100.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) http2_local_resets: Option<i64>,
    /// How long a peer may take nothing that waits for it, to 1h; absent means 30s.
    #[schemars(with = "Option<LimitTimeout>")]
    pub(crate) http2_stall_timeout: Option<String>,
}

/// `tracing`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tracing {
    /// OTLP collector, as in http://jaeger.jaeger.svc:4317, or https://; absent means the sidecar's OTEL_* variables.
    #[schemars(regex(pattern = r"^https?://[^/?#\s]+"))]
    pub(crate) endpoint: Option<String>,
    /// `grpc` or `http/protobuf`; absent means http/protobuf where the endpoint has port 4318 or a path, else grpc.
    #[schemars(with = "Option<OtlpProtocol>")]
    pub(crate) protocol: Option<String>,
    /// Who signs the collector's certificate, as PEM; absent means whom the sidecar's OTEL_* variables or its system believe.
    #[schemars(length(max = 65_536))]
    pub(crate) certificate_authorities: Option<String>,
    /// Share of the traces started by the mesh, 0 to 1; absent means 0.1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) sampling: Option<f64>,
}
