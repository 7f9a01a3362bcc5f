//! The gRPC face: `envoy.service.discovery.v3.AggregatedDiscoveryService`.
//!
//! A tonic service written by hand, because its responses are not encoded by tonic: see [`super::body`].
//! It takes in who calls, counts the stream, and starts its task.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tonic::body::Body;
use tonic::codec::BufferSettings;
use tonic::{Status, Streaming};
use tonic_prost::ProstDecoder;
use weft_certs::SpiffeId;

use super::body::ResponseBody;
use super::stream::{Shared, Stream, stopping};
use super::{Cache, Registry};
use crate::peer::AuthenticatedPeer;
use crate::share::Shares;

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
    /// Bytes of resources in one response, but for the last resource; more go into further responses.
    /// Clients refuse messages above 4 MiB by default.
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

/// ADS as a tonic service: `Server::builder().add_service(server)`.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    shares: Shares<SpiffeId>,
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
        let permits = Arc::new(Semaphore::new(limits.streams.min(Semaphore::MAX_PERMITS)));
        let shares = Shares::of(limits.streams);
        Self { shared: Arc::new(Shared { cache, registry, limits }), permits, shares, stopping }
    }

    fn serve(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Box<Status>> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        if method == "StreamAggregatedResources" {
            return Err(Box::new(Status::unimplemented(
                "Weft serves delta ADS only: use DeltaAggregatedResources (Envoy: api_type DELTA_GRPC)",
            )));
        }
        if method != "DeltaAggregatedResources" {
            return Err(Box::new(Status::unimplemented(format!("there is no method {method:?}"))));
        }
        let peer = AuthenticatedPeer::require(request.extensions())?;
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| {
            let streams = self.shared.limits.streams;
            Box::new(Status::resource_exhausted(format!("all {streams} streams are in use")))
        })?;
        let share = self.shares.take(&peer.id).ok_or_else(|| {
            let most = self.shares.most();
            Box::new(Status::resource_exhausted(format!("{} has {most} streams", peer.id)))
        })?;

        // Bound: one response waits here, one is being written; the rest is not made yet.
        let (responses, queue) = mpsc::channel(1);
        let (ended, status) = oneshot::channel();
        let gone = responses.clone();
        let decoder = ProstDecoder::new(BufferSettings::default());
        let limit = Some(self.shared.limits.request_bytes);
        let requests = Streaming::new_request(decoder, request.into_body(), None, limit);
        let stream = Stream { shared: self.shared.clone(), peer, requests, responses };
        let mut stop = self.stopping.clone();
        tokio::spawn(async move {
            let status = tokio::select! {
                status = stream.run() => status,
                _ = stop.wait_for(|stop| *stop) => *stopping(),
                () = gone.closed() => return,
            };
            // Order: the status is there before the queue closes, which is when it is looked for.
            let _ = ended.send(status);
            drop((gone, share));
        });
        let response = http::Response::builder().header(CONTENT_TYPE, "application/grpc");
        let body = Body::new(ResponseBody::new(queue, status, permit));
        response.body(body).map_err(|error| Box::new(Status::internal(error.to_string())))
    }
}

impl tonic::server::NamedService for Server {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl tower::Service<http::Request<Body>> for Server {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        ready(Ok(self.serve(request).unwrap_or_else(|status| status.into_http())))
    }
}
