//! One try of a request at one endpoint. Called by `retry::send` only.

use std::pin::pin;
use std::sync::Arc;

use http::Request;
use tokio::time::Instant;

use super::observe::Observed;
use super::{Hop, Outbound, TRY_TIMEOUT};
use crate::body::Body;
use crate::cluster::{Ask, Endpoint};
use crate::error::{Error, Token};
use crate::headers::{self, Mark};
use crate::record::{Answer, Peer, Record};
use crate::upstream::{Failure, Sent};

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
    /// Chooses an endpoint, one of those `tried` last, and sends the request to it. What comes of it is noted for the
    /// balancer and for outlier detection.
    pub async fn attempt(
        &self,
        hop: &Hop<'_>,
        tried: &[Arc<Endpoint>],
        mut request: Request<Body>,
        record: &mut Record,
    ) -> Attempt {
        let cluster = hop.cluster;
        // Order: a request that has to wait for its turn chooses when it is its turn.
        let admission = match cluster.limits.admit(hop.version).await {
            Ok(admission) => admission,
            Err(error) => return nowhere(error, request),
        };
        let started = Instant::now();
        // A session's own endpoint was the first.
        let session = hop.session.filter(|_| tried.is_empty());
        let (only, hash) = (self.only, hop.hash);
        let ask = Ask { random: &self.random, now: started, tried, session, only, hash };
        let Some((endpoint, trial)) = cluster.choose(&ask) else {
            let error = Error::unprocessed(Token::DestinationUnavailable, "no endpoint");
            return nowhere(error, request);
        };
        let mut observed = Observed::begin(self, hop, endpoint, trial, started);
        record.attempt(started);
        record.peer(Peer {
            identity: endpoint.spec.identity.clone(),
            address: Some(endpoint.spec.address),
        });
        if record.is_sampled() {
            // Nobody but a sidecar is told.
            let is_meshed = endpoint.spec.identity.is_some();
            let route = record.http_route().filter(|_| is_meshed);
            headers::tell_route(request.headers_mut(), route);
        }
        let in_flight = endpoint.begin_admitted(admission);
        let timeout = cluster.spec.connect_timeout;
        // Pinned: the future is held once, however it is awaited.
        let sent = self.upstream.send(Some(cluster), endpoint, hop.version, timeout, request);
        let sent = pin!(sent);
        let sent = match hop.retry.per_try_timeout {
            None => sent.await,
            Some(limit) => tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
                let message = format!("no response within {limit:?} of this attempt");
                let error = Error::new(Token::ResponseTimeout, message).because(TRY_TIMEOUT);
                Err(Failure { error, request: None })
            }),
        };
        let mut result =
            sent.map(|Sent { response, written }| Answer { response, written, in_flight });
        let mark = match &mut result {
            Ok(answer) => headers::take_mark(&mut answer.response)
                .filter(|_| endpoint.spec.identity.is_some()),
            Err(_) => None,
        };
        let now = Instant::now();
        observed.end(&result, now);
        record.story().heard(result.as_ref().ok().map(|answer| answer.written), now);
        Attempt { endpoint: Some(Arc::clone(endpoint)), result, mark }
    }
}

fn nowhere(error: Error, request: Request<Body>) -> Attempt {
    let result = Err(Failure { error, request: Some(Box::new(request)) });
    Attempt { endpoint: None, result, mark: None }
}
