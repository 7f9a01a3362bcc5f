//! One try of a request at one endpoint. Called by `retry::send` only.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

use super::{Hop, Outbound};
use crate::body::Body;
use crate::cluster::{Cluster, Endpoint, Sample};
use crate::error::{Error, Fault, Token};
use crate::headers::{self, Mark};
use crate::model::Balancer;
use crate::record::{Answer, Peer, Record, grpc_status};
use crate::telemetry::metrics::is_server_fault;
use crate::upstream::Failure;

/// How a try ended.
#[derive(Debug)]
pub struct Attempt {
    /// Where; `None` if there was no endpoint.
    pub endpoint: Option<Arc<Endpoint>>,
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// What the other sidecar says of its answer.
    pub mark: Option<Mark>,
}

impl Outbound {
    /// Chooses an endpoint, `avoid` last, and sends the request to it. What comes of it is noted for the
    /// balancer and for outlier detection.
    pub async fn attempt(
        &self,
        hop: &Hop<'_>,
        avoid: Option<&Arc<Endpoint>>,
        request: Request<Body>,
        record: &mut Record,
    ) -> Attempt {
        let cluster = hop.cluster;
        let started = Instant::now();
        let Some(endpoint) = cluster.pick(&self.random, started, avoid) else {
            let error = Error::unprocessed(Token::DestinationUnavailable, "no endpoint");
            let result = Err(Failure { error, request: Some(Box::new(request)) });
            return Attempt { endpoint: None, result, mark: None };
        };
        record.attempt();
        record.peer(Peer {
            identity: endpoint.spec.identity.clone(),
            address: Some(endpoint.spec.address),
        });
        let in_flight = endpoint.begin();
        let mut observed = Observed::begin(cluster, endpoint, started);
        let timeout = cluster.spec.connect_timeout;
        // Pinned: the future is held once, however it is awaited.
        let sent = pin!(self.upstream.send(endpoint, hop.version, timeout, request));
        let sent = match hop.retry.per_try_timeout {
            None => sent.await,
            Some(limit) => tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
                let message = format!("no response within {limit:?} of this attempt");
                Err(Failure { error: Error::new(Token::ResponseTimeout, message), request: None })
            }),
        };
        let mut result = sent.map(|(response, lease)| Answer { response, lease, in_flight });
        let mark = match &mut result {
            Ok(answer) => headers::take_mark(&mut answer.response)
                .filter(|_| endpoint.spec.identity.is_some()),
            Err(_) => None,
        };
        observed.end(&result);
        Attempt { endpoint: Some(Arc::clone(endpoint)), result, mark }
    }
}

/// What the balancer and outlier detection learn of a try. One that is dropped before its end was given up by the
/// client or by a deadline: what is known then is that the endpoint takes longer.
struct Observed<'a> {
    cluster: &'a Cluster,
    endpoint: &'a Endpoint,
    started: Instant,
    ended: bool,
}

impl<'a> Observed<'a> {
    fn begin(cluster: &'a Cluster, endpoint: &'a Endpoint, started: Instant) -> Self {
        Self { cluster, endpoint, started, ended: false }
    }

    fn end(&mut self, result: &Result<Answer, Failure>) {
        self.ended = true;
        let now = Instant::now();
        let failed = match result {
            Ok(answer) => is_failure(&answer.response),
            // What is our own fault says nothing about the endpoint.
            Err(failure) => failure.error.token().fault() == Fault::Upstream,
        };
        self.cluster.note(self.endpoint, failed, now);
        let Balancer::PeakEwma(ewma) = self.cluster.spec.balancer else { return };
        let sample = match result {
            Ok(answer) if failed => Sample::Failed(now - answer.lease.written()),
            Ok(answer) => Sample::Answered(now - answer.lease.written()),
            Err(Failure { request: Some(_), .. }) if failed => Sample::Failed(Duration::ZERO),
            Err(_) if failed => Sample::Failed(now - self.started),
            Err(_) => return,
        };
        self.endpoint.latency.note(sample, ewma, now);
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if let (false, Balancer::PeakEwma(ewma)) = (self.ended, &self.cluster.spec.balancer) {
            let now = Instant::now();
            self.endpoint.latency.note(Sample::Abandoned(now - self.started), *ewma, now);
        }
    }
}

/// A gRPC server that fails at once says so in the head, under status 200.
fn is_failure<B>(response: &Response<B>) -> bool {
    response.status().is_server_error()
        || grpc_status(response.headers()).is_some_and(is_server_fault)
}
