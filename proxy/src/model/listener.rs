//! Listeners: what travels to a Service port, and what an inbound port accepts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;
use weft_policy::Access;
use weft_proto::names::OTHER_PORTS;
use weft_proto::origin::Origin;

use super::cluster::Locality;
use crate::telemetry::access_log::Fields;
use crate::telemetry::export::Collector;

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppProtocol {
    /// HTTP/1.1 or HTTP/2, told apart by the connection preface.
    Http,
    /// Opaque bytes.
    Tcp,
    /// HTTP if the first bytes say so, else opaque.
    Detect,
}

/// One port of a Service, as a caller's sidecar sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundListener {
    /// `product.shop:8080`.
    pub name: String,
    /// The Service.
    pub origin: Origin,
    /// What travels.
    pub protocol: AppProtocol,
    /// RouteConfiguration, unless the port is opaque only.
    pub routes: Option<String>,
    /// Cluster of opaque connections, unless the port is HTTP only.
    pub tcp_cluster: Option<String>,
    /// Sessions that are kept by a cookie.
    pub affinity: Option<SessionAffinity>,
    /// Limits of the application's connections.
    pub http: HttpSettings,
    /// How traces are started.
    pub tracing: Tracing,
}

/// A cookie of the proxy's own that names the endpoint to come back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAffinity {
    /// Its name.
    pub cookie: String,
    /// The paths that it is for, as cookies have it.
    pub path: String,
    /// Its life, in whole seconds; without one it ends with the client.
    pub ttl: Option<Duration>,
}

/// Settings of tracing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracing {
    /// Share of the traces started here that are sampled, 0 to 1.
    pub sampling: f64,
    /// OTLP collector, if the mesh names one.
    pub collector: Option<Collector>,
}

/// Settings of the access log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logging {
    /// What is logged; `None`: nothing.
    pub rules: Option<LogRules>,
    /// OTLP collector of lines, if the mesh names one.
    pub collector: Option<Collector>,
}

/// What is logged: all that failed, and some of the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRules {
    /// Share of the requests and connections that did not fail, 0 to 1.
    pub successes: f64,
    /// What a line has.
    pub fields: Fields,
}

/// What the sidecar accepts on behalf of its application.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundListener {
    /// `inbound/shop/product-v1`.
    pub name: String,
    /// The workload.
    pub origin: Origin,
    /// By port, and under [`OTHER_PORTS`] what holds for all others. A port that neither speaks of is closed.
    pub ports: BTreeMap<u16, InboundPort>,
    /// Of those ports that have any.
    pub limits: BTreeMap<u16, PortLimits>,
    /// Of those ports that have any; who may do what.
    pub access: BTreeMap<u16, Arc<PortAccess>>,
    /// Of those ports that have any: what may be asked where plaintext is refused.
    pub probes: BTreeMap<u16, Arc<Probes>>,
    /// Where the workload is, if the control plane says so.
    pub place: Option<Locality>,
    /// Limits of callers' connections.
    pub http: HttpSettings,
    /// How traces are started, on both sides of the workload.
    pub tracing: Tracing,
    /// What of both sides is logged.
    pub logging: Logging,
}

/// Probes of one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// What a GET may ask for, to the letter, or a call of gRPC.
    pub paths: Vec<String>,
    /// It may be connected to, and speaks TLS of its own.
    pub port: bool,
}

impl InboundListener {
    /// What holds for a port; `None` if it is closed.
    #[must_use]
    pub fn port(&self, port: u16) -> Option<InboundPort> {
        self.ports.get(&port).or_else(|| self.ports.get(&OTHER_PORTS)).copied()
    }

    /// Who may do what on a port; `None` if everybody may do everything.
    #[must_use]
    pub fn access(&self, port: u16) -> Option<&Arc<PortAccess>> {
        let spoken_of = self.ports.contains_key(&port);
        self.access.get(if spoken_of { &port } else { &OTHER_PORTS })
    }
}

/// Limits of HTTP connections, as far as somebody has set them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// From the first byte of an HTTP/1 head to its last.
    pub head_timeout: Option<Duration>,
    /// Header fields of a request.
    pub header_fields: Option<u32>,
    /// Streams of one HTTP/2 connection side by side.
    pub streams: Option<u32>,
    /// Request headers held for one HTTP/2 connection, KiB.
    pub header_budget: Option<u32>,
    /// Memory of all HTTP/2 connections, MiB.
    pub memory: Option<u32>,
    /// Streams that a client may make us reset.
    pub local_resets: Option<u32>,
    /// How long the data of an HTTP/2 response may wait.
    pub stall: Option<Duration>,
}

impl HttpSettings {
    /// These, and `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            head_timeout: self.head_timeout.or(other.head_timeout),
            header_fields: self.header_fields.or(other.header_fields),
            streams: self.streams.or(other.streams),
            header_budget: self.header_budget.or(other.header_budget),
            memory: self.memory.or(other.memory),
            local_resets: self.local_resets.or(other.local_resets),
            stall: self.stall.or(other.stall),
        }
    }
}

/// One inbound port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundPort {
    /// What it carries.
    pub protocol: AppProtocol,
    /// Which connections it takes.
    pub mtls: MtlsMode,
}

/// Who may do what on one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortAccess {
    /// For requests.
    pub http: Access,
    /// For connections whose bytes are opaque.
    pub tcp: Access,
}

/// Limits on the requests of one port.
#[derive(Clone, Debug, PartialEq)]
pub struct PortLimits {
    /// The policy.
    pub origin: Origin,
    /// Every request must pass each of them.
    pub limits: Vec<RateLimit>,
}

/// A token bucket, filled evenly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Tokens that flow in each `per`; at least 1.
    pub requests: u32,
    /// More than zero.
    pub per: Duration,
    /// Tokens that it holds.
    pub capacity: u32,
    /// Whose requests are counted together.
    pub key: LimitKey,
}

/// Whose requests are counted together; those without a key are, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// Everybody's.
    Everybody,
    /// Those of one SPIFFE id.
    CallerIdentity,
    /// Those with one value of this header.
    Header(HeaderName),
}

/// Which connections an inbound port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtlsMode {
    /// Mesh mTLS only.
    Strict,
    /// Mesh mTLS and plaintext, told apart by the first bytes.
    Permissive,
    /// Plaintext only.
    Disable,
}
