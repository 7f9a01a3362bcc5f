//! Retries: the loop around one attempt. Called by `outbound::route_and_send`; whether to try again is a pure
//! decision in [`decide()`], the attempt itself is `outbound`'s.
//!
//! What the application surely never saw is tried again whatever its method, everything else only if the
//! method is idempotent (RFC 9110 §9.2.2) and the policy asks for it. The cluster's budget bounds both.
//! Another endpoint comes first. Nothing is retried once a response head has gone to the client.

mod decide;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::body::Body;
use crate::cluster::Endpoint;
use crate::error::Error;
use crate::headers::Mark;
use crate::outbound::{Attempt, Hop, Outbound};
use crate::random::Random;
use crate::record::{Answer, Record};

pub use decide::{Outcome, Verdict, decide, is_idempotent};
pub use replay::{ReplayBody, ReplaySource};

/// First pause; doubles with each further retry. Jittered over its whole length.
const BASE_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(250);

/// A request that can be sent more than once.
///
/// Bound: a body is kept up to [`replay::MAX_BYTES`]; beyond it the request goes out once only.
#[derive(Debug)]
pub struct Replayable {
    head: Head,
    body: Option<ReplaySource>,
}

#[derive(Debug)]
struct Head {
    method: http::Method,
    uri: http::Uri,
    version: http::Version,
    headers: http::HeaderMap,
}

impl Replayable {
    /// Splits a request into the copy that is kept and the one that is sent first. The head is copied: a
    /// failed attempt has consumed it.
    #[must_use]
    pub fn new(request: Request<Incoming>) -> (Self, Request<Body>) {
        let (parts, body) = request.into_parts();
        let head = Head {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            headers: parts.headers.clone(),
        };
        let (kept, sent) = match Body::received(body) {
            Body::Incoming(body) => {
                let source = ReplaySource::new(body);
                let first = source.read();
                (Some(source), Body::Replay(first))
            }
            empty => (None, empty),
        };
        (Self { head, body: kept }, Request::from_parts(parts, sent))
    }

    /// Can it be sent again?
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.body.as_ref().is_none_or(ReplaySource::is_whole)
    }

    /// The request once more, from the start.
    #[must_use]
    pub fn again(&self) -> Request<Body> {
        let mut request = Request::new(match &self.body {
            Some(source) => Body::Replay(source.read()),
            None => Body::Empty,
        });
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.version_mut() = self.head.version;
        *request.headers_mut() = self.head.headers.clone();
        request
    }

    /// Method.
    #[must_use]
    pub fn method(&self) -> &http::Method {
        &self.head.method
    }
}

/// Sends a request until an answer is final.
///
/// # Errors
/// The failure of the last attempt.
pub async fn send(
    outbound: &Outbound,
    hop: &Hop<'_>,
    request: Request<Incoming>,
    record: &mut Record,
) -> Result<Answer, Error> {
    let budget = &hop.cluster.shared.budget;
    budget.deposit(Instant::now());
    let (kept, mut next) = Replayable::new(request);
    let mut failed_at: Option<Arc<Endpoint>> = None;
    let mut retries = 0;
    // The place of this retry within the cluster's limit of retries.
    let mut retrying = None;
    loop {
        let attempt = outbound.attempt(hop, failed_at.as_ref(), next, record).await;
        let outcome = outcome(&attempt);
        drop(retrying.take());
        let again = kept.is_possible()
            && decide(hop.retry, kept.method(), retries, &outcome) == Verdict::Retry
            && hop.cluster.limits.retry().is_some_and(|held| {
                retrying = held;
                true
            })
            && budget.withdraw(&hop.cluster.spec.budget, Instant::now());
        if !again {
            return attempt.result.map_err(|failure| failure.error);
        }
        let elsewhere = hop.cluster.endpoints.len() > 1;
        tokio::time::sleep(backoff(retries, elsewhere, &outbound.random)).await;
        retries += 1;
        failed_at = attempt.endpoint;
        let (status, token, unsent) = match attempt.result {
            Ok(answer) => (answer.response.status().as_u16(), None, None),
            Err(failure) => (0, Some(failure.error.token()), failure.request.map(|unsent| *unsent)),
        };
        next = unsent.unwrap_or_else(|| kept.again());
        record.retry(status, token, next.headers_mut());
    }
}

/// How long to wait before retry number `retries` (from 0). Not at all before the first one if another endpoint
/// can take it.
fn backoff(retries: u32, elsewhere: bool, random: &Random) -> Duration {
    if retries == 0 && elsewhere {
        return Duration::ZERO;
    }
    let ceiling = BASE_BACKOFF.saturating_mul(1 << retries.min(8)).min(MAX_BACKOFF);
    ceiling.mul_f64(random.unit())
}

/// How an attempt ended, as [`decide()`] wants to see it.
fn outcome(attempt: &Attempt) -> Outcome<'_> {
    match (&attempt.result, attempt.mark) {
        (Ok(_), Some(Mark::Unprocessed)) => Outcome::Unprocessed,
        (Ok(_), Some(Mark::Broken)) => Outcome::Broken,
        (Ok(answer), None) => Outcome::Status(answer.response.status()),
        (Err(failure), _) => Outcome::Failed(&failure.error),
    }
}
