//! The configuration in the proxy's own words: small, resolved as far as one resource allows, and ready to
//! be read by the request path.
//!
//! Made by `xds::decode` from Envoy's types and by nothing else; read by `state`, `router` and `cluster`.
//! It holds no sockets, no counters and no protobuf type. Values that a request would otherwise compute
//! (header names, regexes, lower-case hosts) are computed here once.

mod addresses;
mod cluster;
mod listener;
mod retry;
mod route;

pub use addresses::Addresses;
pub use cluster::{
    Balancer, BudgetSpec, ClusterSpec, EndpointSpec, EndpointsSpec, FailurePercentage, HashPolicy,
    HashSource, HealthCheck, LimitsSpec, Locality, OutlierSpec, PeakEwma, PlacedEndpoint, Probe,
    RingHash, SlowStart,
};
pub use listener::{
    AppProtocol, HttpSettings, InboundListener, InboundPort, LimitKey, LogRules, Logging, MtlsMode,
    OutboundListener, PortAccess, PortLimits, Probes, RateLimit, SessionAffinity, Tracing,
};
pub use retry::{Backoff, RetryOn, RetryPolicy};
pub use route::{
    Action, Fallback, HeaderChange, HeaderMatch, HeaderOps, Host, HostPattern, Matcher, Mirror,
    PathMatch, PathRewrite, QueryMatch, Redirect, Rewrite, RouteTable, Rule, Split, ValueMatch,
    VirtualHost,
};
