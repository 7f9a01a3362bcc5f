//! Retries: the loop around one attempt. Called by `outbound::forward`; whether to try again is a pure
//! decision in [`decide()`], the attempt itself is `outbound`'s.
//!
//! What the application surely never saw is tried again whatever its method, everything else only if the
//! method is idempotent (RFC 9110 §9.2.2) and the policy asks for it; a policy may ask for codes of gRPC, whose
//! calls are all POSTs. The cluster's budget bounds both. Another endpoint comes first ([`mod@pause`] says how soon).
//! Nothing is retried once a response head has gone to the client, and nothing that was tried often enough further
//! on ([`Exhausted`]).

mod decide;
mod exhausted;
mod pause;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use crate::body::{Body, ClientBody, Tee};
use crate::cluster::{Endpoint, Held};
use crate::deadline;
use crate::error::Error;
use crate::headers::Mark;
use crate::outbound::{Attempt, Hop, Outbound};
use crate::record::{Answer, Ended, Record, Stop, grpc_status};

use pause::Hint;

pub use decide::{Facts, Outcome, Verdict, decide, is_idempotent};
pub use exhausted::{Exhausted, Trail};
pub use replay::{ReplayBody, ReplaySource};

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
    pub fn new(request: Request<ClientBody>, tee: Option<Box<Tee>>) -> (Self, Request<Body>) {
        let (parts, body) = request.into_parts();
        let head = Head {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            headers: parts.headers.clone(),
        };
        let (kept, sent) = match Body::received(body) {
            Body::Client(body) => {
                let source = ReplaySource::new(body, tee);
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

/// How a request ended, after all its attempts.
#[derive(Debug)]
pub struct Sent {
    /// The last attempt's answer, or why it had none.
    pub result: Result<Answer, Error>,
    /// Surely no application saw the request.
    pub unseen: bool,
}

/// Sends a request until an answer is final. `tee` copies its body as it passes.
pub async fn send(
    outbound: &Outbound,
    hop: &Hop<'_>,
    request: Request<ClientBody>,
    tee: Option<Box<Tee>>,
    record: &mut Record,
) -> Sent {
    let budget = &hop.cluster.shared.budget;
    budget.deposit(Instant::now());
    let (kept, mut next) = Replayable::new(request, tee);
    // Bound: one less than attempts, which the policy bounds. Nothing is allocated before the first retry.
    let mut tried: Vec<Arc<Endpoint>> = Vec::new();
    let mut retries = 0;
    // The place of this retry within the cluster's limit of retries.
    let mut retrying = None;
    loop {
        announce(hop, &mut next);
        let attempt = outbound.attempt(hop, &tried, next, record).await;
        let facts = Facts { method: kept.method(), grpc: hop.grpc, retries };
        let verdict = decide(hop.retry, &facts, &outcome(&attempt, hop.grpc));
        drop(retrying.take());
        let again = match verdict {
            Verdict::Return => return finished(attempt),
            Verdict::Retry => another(outbound, hop, &kept, &attempt, retries),
            Verdict::Exhausted if attempt.mark == Some(Mark::Exhausted) => Err(Stop::FurtherOn),
            Verdict::Exhausted => Err(Stop::Attempts),
        };
        let pause = match again {
            Ok((pause, held)) => {
                retrying = held;
                pause
            }
            Err(why) => {
                record.story().stopped(why);
                outbound.exhausted.note(&record.trail(), Instant::now());
                return finished(attempt);
            }
        };
        retries += 1;
        tried.extend(attempt.endpoint);
        // Order: an answer that is not wanted is let go before the pause.
        let (status, grpc_status, error, unsent) = match attempt.result {
            Ok(Answer { response, .. }) => {
                (response.status().as_u16(), grpc_status(response.headers()), None, None)
            }
            Err(failure) => (0, None, Some(failure.error), failure.request),
        };
        let ended = Ended { status, grpc_status, error: error.as_ref() };
        record.over(&ended);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        next = unsent.map_or_else(|| kept.again(), |unsent| *unsent);
        record.retry(&ended, next.headers_mut());
    }
}

/// A gRPC server is told how long this attempt may take.
fn announce(hop: &Hop<'_>, request: &mut Request<Body>) {
    if !hop.grpc {
        return;
    }
    let left = hop.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let limit = match (left, hop.retry.per_try_timeout) {
        (Some(left), Some(per_try)) => Some(left.min(per_try)),
        (left, per_try) => left.or(per_try),
    };
    if let Some(limit) = limit {
        deadline::announce(request.headers_mut(), limit);
    }
}

/// How long to wait before the next attempt, and its place within the limit of retries; or why there is to be none.
fn another(
    outbound: &Outbound,
    hop: &Hop<'_>,
    kept: &Replayable,
    attempt: &Attempt,
    retries: u32,
) -> Result<(Duration, Option<Held>), Stop> {
    if !kept.is_possible() {
        return Err(Stop::Body);
    }
    let pause = pause(outbound, hop, attempt, retries)?;
    let held = hop.cluster.limits.retry().ok_or(Stop::RetryLimit)?;
    let cluster = hop.cluster;
    match cluster.shared.budget.withdraw(&cluster.spec.budget, Instant::now()) {
        true => Ok((pause, held)),
        false => Err(Stop::RetryBudget),
    }
}

/// How long to wait before the next attempt.
fn pause(
    outbound: &Outbound,
    hop: &Hop<'_>,
    attempt: &Attempt,
    retries: u32,
) -> Result<Duration, Stop> {
    let elsewhere = hop.cluster.has_other(attempt.endpoint.as_ref(), Instant::now());
    let backoff = pause::backoff(hop.retry.backoff, retries, elsewhere, outbound.random.unit());
    let asked = attempt.result.as_ref().map_or(Hint::Nothing, |answer| {
        pause::hint(answer.response.headers(), hop.grpc, hop.retry.longest_retry_after)
    });
    let pause = match asked {
        Hint::Nothing => backoff,
        Hint::After(asked) => asked.max(backoff),
        Hint::Never => return Err(Stop::AskedNotTo),
    };
    let fits = hop.deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
    if fits { Ok(pause) } else { Err(Stop::Time) }
}

fn finished(attempt: Attempt) -> Sent {
    let unseen = match &attempt.result {
        Ok(_) => attempt.mark == Some(Mark::Unprocessed),
        Err(failure) => failure.error.is_unprocessed(),
    };
    Sent { result: attempt.result.map_err(|failure| failure.error), unseen }
}

/// How an attempt ended, as [`decide()`] wants to see it.
fn outcome(attempt: &Attempt, grpc: bool) -> Outcome<'_> {
    match (&attempt.result, attempt.mark) {
        (Ok(_), Some(Mark::Unprocessed)) => Outcome::Unprocessed,
        (Ok(_), Some(Mark::Broken)) => Outcome::Broken,
        (Ok(_), Some(Mark::Exhausted)) => Outcome::Exhausted,
        (Ok(answer), None) => {
            let response = &answer.response;
            let code = if grpc { grpc_status(response.headers()) } else { None };
            Outcome::Answered(response.status(), code)
        }
        (Err(failure), _) => Outcome::Failed(&failure.error),
    }
}
