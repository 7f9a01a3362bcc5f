//! Clusters and their endpoints.

use std::net::SocketAddr;
use std::time::Duration;

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
    /// When an endpoint is left out.
    pub outlier: OutlierSpec,
    /// Bound on retries.
    pub budget: BudgetSpec,
}

/// Load balancing algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// In turn.
    RoundRobin,
    /// Uniformly.
    Random,
    /// The less loaded of two, by requests in flight.
    LeastRequest,
    /// The cheaper of two, by peak EWMA latency times requests in flight.
    PeakEwma(PeakEwma),
}

/// Settings of the moving average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakEwma {
    /// Time constant.
    pub decay: Duration,
    /// Latency assumed of an endpoint that has not answered yet.
    pub default_rtt: Duration,
}

/// Ejection by consecutive failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierSpec {
    /// Failures in a row that eject; 0 never does.
    pub consecutive_failures: u32,
    /// First ejection; each further one lasts twice as long, at most 300 s.
    pub base_ejection: Duration,
    /// Share of the endpoints that may be out at once, 0 to 100. One may always be out if there are two.
    pub max_ejected_percent: u32,
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
    pub endpoints: Vec<EndpointSpec>,
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
