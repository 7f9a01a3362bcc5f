//! The mesh in our own words: what the sources produce and what `translate` reads.
//!
//! One [`Mesh`] is one consistent version of everything; it is built by `source`, never changed, and shared
//! as `Arc<Mesh>`. This module and its children must never name a Kubernetes type, a protobuf type, a
//! socket or a clock.
//!
//! References between objects are resolved by the source (`Route::parents`, `Backend`), so that a reader
//! needs no look-up rules; what could not be resolved is kept as such, because it has a meaning on the wire
//! (a backend that does not exist costs its share of the traffic).

mod access;
mod balancing;
mod denied;
mod endpoints;
mod http;
mod policy;
mod route;
mod telemetry;
mod workload;

use std::collections::BTreeMap;
use std::time::Duration;

pub use access::{AccessAction, AccessPolicy, AccessRule, AccessSource, CallerName, DefaultAccess};
pub(crate) use access::{all, any};
pub use balancing::{Balancer, HashOn, HealthCheck, Probe, RingHash, SessionAffinity, SlowStart};
pub use denied::{DeniedPeer, DeniedWho};
pub use endpoints::{Endpoint, EndpointIndex};
pub use http::HttpLimits;
pub use policy::{
    Backoff, FailurePercentage, Fallback, InboundPolicy, Limits, MtlsMode, OutlierDetection,
    RateLimit, RateLimitKey, RetryBudget, RetryOn, RetryPolicy, TrafficPolicy,
};
pub use route::{
    Backend, BackendRef, HeaderChange, HeaderFilter, HeaderMatch, Mirror, PathMatch, PathModifier,
    QueryMatch, Redirect, Rewrite, Route, RouteKind, RouteMatch, RouteRule, RuleRetry, Timeouts,
    ValueMatch,
};
pub use telemetry::{AccessLog, Collector, OtlpProtocol, RoutePlace, TelemetryPolicy};
pub use weft_proto::origin::{ObjectKey, Origin};
pub use workload::{
    AppProtocol, Listed, Locality, Service, ServicePort, TargetPort, Workload, WorkloadPort,
    WorkloadProbe,
};

/// Namespace and name, as in `shop/product`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name within it.
    pub name: String,
}

impl Key {
    /// `shop`, `product` to `shop/product`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One version of the whole mesh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    /// Settings for all; the defaults where there is no `MeshConfig`.
    pub config: MeshConfig,
    /// Services by key.
    pub services: BTreeMap<Key, Service>,
    /// Workloads by key.
    pub workloads: BTreeMap<Key, Workload>,
    /// Valid routes, oldest first, then by key (Gateway API conflict order).
    pub routes: Vec<Route>,
    /// The one policy in force for a Service, or for one of its ports (the more specific wins).
    pub traffic_policies: BTreeMap<(Key, Option<u16>), TrafficPolicy>,
    /// Inbound policies in order of precedence, first match wins: workload selector before namespace, ports
    /// before all ports, then older, then key.
    pub inbound_policies: Vec<InboundPolicy>,
    /// Access policies by key; all of them count.
    pub access_policies: Vec<AccessPolicy>,
    /// Telemetry policies of workloads in order of precedence, first match wins: workload selector before namespace, then
    /// older, then key.
    pub telemetry_policies: Vec<TelemetryPolicy>,
    /// The one telemetry policy in force for a route, or for one of its rules (the more specific wins).
    pub route_telemetry: BTreeMap<RoutePlace, TelemetryPolicy>,
}

impl Mesh {
    /// The traffic policy for one port of a Service: the port's own, else the Service's.
    #[must_use]
    pub fn traffic_policy(&self, service: &Key, port: u16) -> Option<&TrafficPolicy> {
        self.traffic_policies
            .get(&(service.clone(), Some(port)))
            .or_else(|| self.traffic_policies.get(&(service.clone(), None)))
    }

    /// The inbound policy in force for one port of a workload.
    #[must_use]
    pub fn inbound_policy(
        &self,
        workload: &Key,
        labels: &BTreeMap<String, String>,
        port: u16,
    ) -> Option<&InboundPolicy> {
        self.inbound_policies.iter().find(|policy| policy.applies_to(workload, labels, port))
    }

    /// The mTLS mode of one port of a workload.
    #[must_use]
    pub fn mtls_mode(
        &self,
        workload: &Key,
        labels: &BTreeMap<String, String>,
        port: u16,
    ) -> MtlsMode {
        let policy = self.inbound_policy(workload, labels, port);
        policy.and_then(|policy| policy.mtls).unwrap_or(self.config.mtls)
    }
}

/// `MeshConfig`, the singleton `default` in `weft-system`.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshConfig {
    /// Where it was read; empty where there is none.
    pub origin: Origin,
    /// SPIFFE trust domain.
    pub trust_domain: String,
    /// Mode of inbound ports that no `InboundPolicy` speaks of.
    pub mtls: MtlsMode,
    /// Access where no rule and no `InboundPolicy` speaks of it.
    pub default_access: DefaultAccess,
    /// Life of a leaf certificate.
    pub leaf_lifetime: Duration,
    /// Collector of spans; `None` leaves it to the proxy's `OTEL_*` environment.
    pub tracing_collector: Option<Collector>,
    /// Share of traces started by the mesh that are sampled, 0 to 1.
    pub tracing_sampling: f64,
    /// What is logged where no `TelemetryPolicy` speaks of it; `None`: nothing.
    pub access_log: Option<AccessLog>,
    /// Collector of log lines; `None` leaves it to the proxy's environment.
    pub log_collector: Option<Collector>,
    /// Limits of HTTP connections that sidecars accept.
    pub http: HttpLimits,
    /// Who is denied, whatever anything else says.
    pub denied: Vec<DeniedPeer>,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            trust_domain: "cluster.local".to_owned(),
            mtls: MtlsMode::Permissive,
            default_access: DefaultAccess::AllowAll,
            leaf_lifetime: Duration::from_secs(24 * 3600),
            tracing_collector: None,
            tracing_sampling: 0.1,
            access_log: None,
            log_collector: None,
            http: HttpLimits::default(),
            denied: Vec::new(),
        }
    }
}
