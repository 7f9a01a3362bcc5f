//! Clusters and their endpoints.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::uri::PathAndQuery;
use serde::Deserialize;
use weft_certs::SpiffeId;
use weft_proto::origin::Origin;

/// One port of a Service as a destination.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    /// `product.shop:8080`.
    pub name: String,
    /// The Service.
    pub origin: Origin,
    /// Limit on opening a connection, TLS included.
    pub connect_timeout: Duration,
    /// How an endpoint is chosen.
    pub balancer: Balancer,
    /// Are near endpoints chosen before far ones?
    pub prefer_local: bool,
    /// How a new endpoint gets its share. Not with a hash ring or a random choice.
    pub slow_start: Option<SlowStart>,
    /// How its endpoints are asked whether they are well.
    pub health_check: Option<Arc<HealthCheck>>,
    /// What may be under way at once.
    pub limits: LimitsSpec,
    /// When an endpoint is left out.
    pub outlier: OutlierSpec,
    /// Bound on retries.
    pub budget: BudgetSpec,
}

/// Load balancing algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// In turn.
    RoundRobin,
    /// Uniformly.
    Random,
    /// The less loaded of two, by requests in flight.
    LeastRequest,
    /// The cheaper of two, by peak EWMA latency times requests in flight.
    PeakEwma(PeakEwma),
    /// The one that the request's key belongs to.
    RingHash(RingHash),
}

/// A new endpoint's share grows over a while, as in Envoy: the part of the window that has passed, to the power of
/// `1 / aggression`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes.
    pub window: Duration,
    /// Where it begins, 0 to 1.
    pub minimum: f64,
    /// 1: evenly; more: sooner; less: later. Over 0.
    pub aggression: f64,
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// How often, jittered.
    pub interval: Duration,
    /// How long an answer may take, connecting included.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy endpoint healthy; at least 1.
    pub healthy_threshold: u32,
    /// Failures in a row that make an endpoint unhealthy; at least 1.
    pub unhealthy_threshold: u32,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// GET, over HTTP/1.1.
    Http {
        /// Path and query.
        path: PathAndQuery,
        /// `Host`; empty: the cluster's name.
        host: String,
        /// Statuses that are well.
        expected: Vec<RangeInclusive<u16>>,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// Of which service; empty: the server as a whole.
        service: String,
    },
    /// A connection.
    Tcp,
}

/// A hash ring and the keys on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingHash {
    /// Places on the ring, at least.
    pub minimum: u64,
    /// At most, unless there are more endpoints.
    pub maximum: u64,
    /// Where the key comes from, in order.
    pub policies: Vec<HashPolicy>,
}

impl Default for RingHash {
    /// Envoy's sizes; without policies every choice is random.
    fn default() -> Self {
        Self { minimum: 1024, maximum: 8 * 1024 * 1024, policies: Vec::new() }
    }
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    /// Where it comes from.
    pub source: HashSource,
    /// If there is a key by now, the rest of the policies is not asked.
    pub terminal: bool,
}

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashSource {
    /// All values of a request header.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// Who called the application, else the application's own address.
    SourceAddress,
}

/// Settings of the moving average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakEwma {
    /// Time constant.
    pub decay: Duration,
    /// Latency assumed of an endpoint that has not answered yet.
    pub default_rtt: Duration,
}

/// The bulkhead: what this sidecar may have under way to the cluster at once, over all workers. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsSpec {
    /// Connections, at least 1. An endpoint may have one more on each worker that has none to it.
    pub connections: Option<u32>,
    /// Requests that may wait for a connection.
    pub pending: u32,
    /// How long each of them may.
    pub pending_timeout: Duration,
    /// Requests, from their sending to the end of their response.
    pub requests: Option<u32>,
    /// Retries.
    pub retries: Option<u32>,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            connections: None,
            pending: 1024,
            pending_timeout: Duration::from_millis(50),
            requests: None,
            retries: None,
        }
    }
}

/// When an endpoint is ejected, and for how long. A count of 0 is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierSpec {
    /// 5xx in a row, and failures of the way to the endpoint unless those are counted apart.
    pub consecutive_failures: u32,
    /// 502, 503 and 504 in a row, and failures of the way unless those are counted apart.
    pub consecutive_gateway: u32,
    /// Failures of the way in a row (refused, reset, timed out). `Some` counts them apart (Envoy:
    /// `split_external_local_origin_errors`).
    pub consecutive_local: Option<u32>,
    /// Share of failures.
    pub failure_percentage: Option<FailurePercentage>,
    /// First ejection; each further one lasts twice as long, at most `max_ejection`.
    pub base_ejection: Duration,
    /// Bound of one ejection, before its jitter.
    pub max_ejection: Duration,
    /// An ejection lasts longer by a random part of this, so that endpoints do not come back in step.
    pub jitter: Duration,
    /// Share of the endpoints that may be out at once, 0 to 100, rounded down. One may always be out if there are
    /// two.
    pub max_ejected_percent: u32,
}

/// Ejection by the share of failed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// 1 to 100.
    pub threshold: u32,
    /// With fewer requests nothing is decided.
    pub minimum: u32,
    /// How far back is looked.
    pub window: Duration,
}

impl OutlierSpec {
    /// Is anything counted?
    #[must_use]
    pub fn is_on(&self) -> bool {
        let counts = [self.consecutive_failures, self.consecutive_gateway];
        self.max_ejected_percent > 0
            && (counts.iter().any(|count| *count > 0)
                || self.consecutive_local.is_some_and(|count| count > 0)
                || self.failure_percentage.is_some())
    }
}

impl Default for OutlierSpec {
    /// Nothing is ever ejected.
    fn default() -> Self {
        Self {
            consecutive_failures: 0,
            consecutive_gateway: 0,
            consecutive_local: None,
            failure_percentage: None,
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            jitter: Duration::ZERO,
            max_ejected_percent: 0,
        }
    }
}

/// Retries may be at most `percent` of requests plus `min_per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSpec {
    /// Share, 0 to 100.
    pub percent: u32,
    /// Floor, per second.
    pub min_per_second: u32,
}

/// The endpoints of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointsSpec {
    /// Name of the cluster.
    pub cluster: String,
    /// In the order sent.
    pub endpoints: Vec<PlacedEndpoint>,
}

/// An endpoint, and what may change of it while its connections and its history stay.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedEndpoint {
    /// The endpoint.
    pub spec: EndpointSpec,
    /// Where it is.
    pub locality: Locality,
    /// It is about to go, and is used only if no other is left.
    pub draining: bool,
}

impl From<EndpointSpec> for PlacedEndpoint {
    /// Nowhere in particular, and here to stay.
    fn from(spec: EndpointSpec) -> Self {
        Self { spec, locality: Locality::default(), draining: false }
    }
}

/// A place, from large to small; empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Locality {
    /// `eu-west`.
    pub region: String,
    /// `eu-west-1a`.
    pub zone: String,
    /// A rack, a row.
    pub sub_zone: String,
}

impl Locality {
    /// How near another place is: 0 the same, 1 the same zone, 2 the same region, 3 elsewhere or not known.
    #[must_use]
    pub fn distance(&self, other: &Self) -> usize {
        if self.region.is_empty() || self.region != other.region {
            3
        } else if self.zone.is_empty() || self.zone != other.zone {
            2
        } else {
            usize::from(self.sub_zone != other.sub_zone)
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSpec {
    /// Where to connect.
    pub address: SocketAddr,
    /// `product-v1.shop`, for people.
    pub workload: String,
    /// Who must answer. `None`: outside the mesh, plaintext.
    pub identity: Option<SpiffeId>,
    /// Relative weight, at least 1.
    pub weight: u32,
}
