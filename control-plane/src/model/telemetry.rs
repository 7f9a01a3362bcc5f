//! How much workloads tell of their traffic: traces and logs.

use std::collections::BTreeMap;

use super::policy::Selection;
use super::{Key, Mesh, Origin, RouteKind, Workload};

/// What a policy asks of the workloads or of the route that it is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryPolicy {
    /// Where it was read.
    pub origin: Origin,
    /// Seconds since the epoch; 0 where nobody says when.
    pub created: i64,
    /// Namespace it applies to.
    pub namespace: String,
    /// Labels of the workloads; empty means all of the namespace.
    pub selector: BTreeMap<String, String>,
    /// Share of the traces begun here that are sampled, 0 to 1; `None` leaves it to what is less specific.
    pub sampling: Option<f64>,
    /// What is logged; `None` leaves it to the mesh.
    pub access_log: Option<AccessLog>,
}

/// What is logged: all that failed, and a share of the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessLog {
    /// Share of the requests and connections that went well, 0 to 1.
    pub successes: f64,
    /// Names of a line's fields; empty means all.
    pub fields: Vec<String>,
}

/// An OTLP collector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collector {
    /// URL.
    pub endpoint: String,
    /// `None` leaves it to the proxy, which goes by its environment, else by the port.
    pub protocol: Option<OtlpProtocol>,
    /// Who signs the certificate of one that is `https://`, as PEM; `None` leaves it to the proxy's environment and system.
    pub authorities: Option<String>,
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    HttpProtobuf,
}

/// A route, or one rule of it.
pub type RoutePlace = (RouteKind, Key, Option<String>);

impl OtlpProtocol {
    /// As OpenTelemetry writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

impl TelemetryPolicy {
    /// Is it for this workload?
    #[must_use]
    pub fn applies_to(&self, workload: &Key, labels: &BTreeMap<String, String>) -> bool {
        let Self { namespace, selector, .. } = self;
        Selection { namespace, selector, ports: &[] }.covers(workload, labels, 0)
    }

    /// The smaller is in force where several apply; between equals the key decides. Workloads before namespace, older
    /// before younger.
    #[must_use]
    pub fn precedence(&self) -> (bool, i64) {
        (self.selector.is_empty(), self.created)
    }
}

impl Mesh {
    /// The policy in force for a workload.
    #[must_use]
    pub fn telemetry_policy(&self, workload: &Workload) -> Option<&TelemetryPolicy> {
        let mut all = self.telemetry_policies.iter();
        all.find(|policy| policy.applies_to(&workload.key, &workload.labels))
    }

    /// Share of the traces begun by a workload that are sampled.
    #[must_use]
    pub fn sampling(&self, workload: &Workload) -> f64 {
        let policy = self.telemetry_policy(workload);
        policy.and_then(|policy| policy.sampling).unwrap_or(self.config.tracing_sampling)
    }

    /// What of a workload's traffic is logged; `None`: nothing.
    #[must_use]
    pub fn access_log(&self, workload: &Workload) -> Option<&AccessLog> {
        let policy = self.telemetry_policy(workload).and_then(|policy| policy.access_log.as_ref());
        policy.or(self.config.access_log.as_ref())
    }

    /// The policy in force for one rule of a route: the rule's own, else the route's.
    #[must_use]
    pub fn route_telemetry(
        &self,
        kind: RouteKind,
        key: &Key,
        rule: &str,
    ) -> Option<&TelemetryPolicy> {
        let of = |rule: Option<&str>| {
            self.route_telemetry.get(&(kind, key.clone(), rule.map(str::to_owned)))
        };
        of(Some(rule)).or_else(|| of(None))
    }
}
