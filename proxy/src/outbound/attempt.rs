//! One try of a request at one endpoint. Called by `retry::send` only.

use std::pin::pin;
use std::sync::Arc;

use http::Request;
use tokio::time::Instant;

use super::{Hop, Outbound};
use crate::body::Body;
use crate::cluster::{Cluster, Endpoint};
use crate::error::{Error, Fault, Token};
use crate::headers::{self, Mark};
use crate::model::Balancer;
use crate::record::{Answer, Peer, Record};
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
        note(cluster, endpoint, &result, started);
        Attempt { endpoint: Some(Arc::clone(endpoint)), result, mark }
    }
}

fn note(
    cluster: &Cluster,
    endpoint: &Endpoint,
    result: &Result<Answer, Failure>,
    started: Instant,
) {
    let failed = match result {
        Ok(answer) => answer.response.status().is_server_error(),
        // What is our own fault says nothing about the endpoint.
        Err(failure) => failure.error.token().fault() == Fault::Upstream,
    };
    let now = Instant::now();
    cluster.note(endpoint, failed, now);
    if let Balancer::PeakEwma { decay, default_rtt } = cluster.spec.balancer {
        endpoint.latency.note(now - started, failed, now, decay, default_rtt);
    }
}
