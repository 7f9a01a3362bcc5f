//! The gRPC face: `envoy.service.discovery.v3.AggregatedDiscoveryService`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tonic::Status;

use super::{Cache, Registry};

/// Bounds on what a proxy may ask and hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Streams at once; further ones are refused with `RESOURCE_EXHAUSTED`.
    pub streams: usize,
    /// Names that one stream may subscribe to, all kinds together.
    pub names: usize,
    /// Bytes of one name.
    pub name_bytes: usize,
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes of resources in one response; more go into further ones. Clients refuse messages above
    /// 4 MiB by default.
    pub response_bytes: usize,
    /// How long a client may leave a response unread before its stream is ended.
    pub send_timeout: Duration,
    /// How long routes and removals wait for the ACK of what must come before them.
    pub order_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 10_000,
            names: 50_000,
            name_bytes: 512,
            request_bytes: 4 << 20,
            response_bytes: 2 << 20,
            send_timeout: Duration::from_secs(30),
            order_timeout: Duration::from_secs(3),
        }
    }
}

/// ADS as a tonic service: `Routes::new(server)` or `Server::builder().add_service(server)`.
#[derive(Clone, Debug)]
pub struct Server {
    cache: Arc<Cache>,
    registry: Arc<Registry>,
    limits: Arc<Limits>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    /// Streams end with `UNAVAILABLE` once `stopping` is true or its sender is gone.
    #[must_use]
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<Registry>,
        limits: Limits,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { cache, registry, limits: Arc::new(limits), stopping }
    }
}

impl tonic::server::NamedService for Server {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl tower::Service<http::Request<tonic::body::Body>> for Server {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
        let _ = (&self.cache, &self.registry, &self.limits, &self.stopping);
        ready(Ok(Status::unimplemented("not yet").into_http()))
    }
}
