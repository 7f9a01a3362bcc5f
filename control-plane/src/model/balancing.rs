//! Balancing: how a caller's sidecar chooses among the endpoints of a Service.

use std::time::Duration;

/// Load balancing algorithm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balancer {
    /// In turn.
    RoundRobin,
    /// Uniformly.
    Random,
    /// The less loaded of two, by requests in flight.
    LeastRequest,
    /// The cheaper of two, by peak EWMA latency times requests in flight.
    #[default]
    PeakEwma,
    /// The one that the request's key belongs to.
    RingHash(RingHash),
}

/// A new endpoint's share grows evenly over a while. For RoundRobin, LeastRequest and PeakEwma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    /// How long.
    pub window: Duration,
    /// Where its share begins, 1 to 100 per cent.
    pub minimum_percent: u32,
}

/// A hash ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingHash {
    /// The first that yields a value is the key; without one the choice is random.
    pub hash_on: Vec<HashOn>,
    /// Places on the ring, at least.
    pub minimum: u32,
    /// At most.
    pub maximum: u32,
}

impl Default for RingHash {
    fn default() -> Self {
        Self { hash_on: Vec::new(), minimum: 1024, maximum: 8_388_608 }
    }
}

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// A request header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// The address of whoever called the application.
    SourceAddress,
}

/// Sessions that a cookie of the sidecar's own keeps with their endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAffinity {
    /// Name of the cookie.
    pub cookie: String,
    /// The paths that it is for, as cookies have it.
    pub path: String,
    /// Its life; without one it ends with the client.
    pub ttl: Option<Duration>,
}

/// An active health check of every endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy endpoint healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make an endpoint unhealthy.
    pub unhealthy_threshold: u32,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// GET.
    Http {
        /// Path and query.
        path: String,
        /// `Host`; without one the Service port's name.
        host: Option<String>,
        /// Statuses that are well.
        expected: Vec<u16>,
    },
    /// `grpc.health.v1.Health/Check` of a service; empty: the server as a whole.
    Grpc(String),
    /// A connection.
    Tcp,
}
