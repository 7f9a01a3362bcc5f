//! What the balancer and outlier detection learn of a try. Begun and ended by `attempt`.

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use tokio::time::Instant;

use super::{Hop, Outbound};
use crate::cluster::{Endpoint, Outcome, Sample, Trial};
use crate::error::Fault;
use crate::model::Balancer;
use crate::record::{Answer, grpc_status};
use crate::upstream::{Failure, Version};

/// A try under way. One that is dropped before its end was given up by the client or by a deadline: what is known
/// then is that the endpoint takes longer; and if it was the deadline, that it failed.
pub(super) struct Observed<'a> {
    outbound: &'a Outbound,
    hop: &'a Hop<'a>,
    endpoint: &'a Arc<Endpoint>,
    trial: Option<Trial>,
    started: Instant,
    ended: bool,
}

impl<'a> Observed<'a> {
    pub(super) fn begin(
        outbound: &'a Outbound,
        hop: &'a Hop<'a>,
        endpoint: &'a Arc<Endpoint>,
        trial: Option<Trial>,
        started: Instant,
    ) -> Self {
        Self { outbound, hop, endpoint, trial, started, ended: false }
    }

    pub(super) fn end(&mut self, result: &Result<Answer, Failure>, now: Instant) {
        self.ended = true;
        let outcome = match result {
            Ok(answer) => judge(&answer.response, self.hop.version),
            Err(failure) if failure.error.token().fault() == Fault::Upstream => Outcome::Local,
            // What is our own fault says nothing about the endpoint; a trial is then the next request's.
            Err(_) => return drop(self.trial.take()),
        };
        self.note(outcome, now);
        let Balancer::PeakEwma(ewma) = self.hop.cluster.spec.balancer else { return };
        let well = outcome == Outcome::Success;
        let sample = match result {
            Ok(answer) if well => Sample::Answered(now - answer.written),
            Ok(answer) => Sample::Failed(now - answer.written),
            Err(Failure { request: Some(_), .. }) => Sample::Failed(Duration::ZERO),
            Err(_) => Sample::Failed(now - self.started),
        };
        self.endpoint.latency.note(sample, ewma, now);
    }

    fn note(&mut self, outcome: Outcome, now: Instant) {
        let (trial, random) = (self.trial.take(), &self.outbound.random);
        self.hop.cluster.note(self.endpoint, trial, outcome, random, now);
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let now = Instant::now();
        if self.hop.deadline.is_some_and(|deadline| deadline <= now) {
            self.note(Outcome::Local, now);
        }
        if let Balancer::PeakEwma(ewma) = self.hop.cluster.spec.balancer {
            self.endpoint.latency.note(Sample::Abandoned(now - self.started), ewma, now);
        }
    }
}

/// A gRPC server that fails at once says so in the head, under status 200.
fn judge<B>(response: &Response<B>, version: Version) -> Outcome {
    let (status, headers) = (response.status(), response.headers());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Outcome::Overload;
    }
    if status.is_server_error() {
        let busy = status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER);
        return if busy { Outcome::Overload } else { Outcome::Status(status.as_u16()) };
    }
    match version {
        Version::Http1 => Outcome::Success,
        Version::Http2 => grpc_status(headers).map_or(Outcome::Success, of_grpc),
    }
}

/// The codes of gRPC that are a server's fault, as the HTTP status that stands for them; RESOURCE_EXHAUSTED is its
/// way to say that it is busy.
fn of_grpc(code: u16) -> Outcome {
    match code {
        2 | 13 | 15 => Outcome::Status(500),
        4 => Outcome::Status(504),
        8 => Outcome::Overload,
        12 => Outcome::Status(501),
        14 => Outcome::Status(503),
        _ => Outcome::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_about_the_endpoint() {
        let busy = &[("retry-after", "1")][..];
        let grpc = |code| [("grpc-status", code)];
        for (version, status, headers, expected) in [
            (Version::Http1, 200, &[][..], Outcome::Success),
            (Version::Http1, 404, &[], Outcome::Success),
            (Version::Http1, 500, busy, Outcome::Status(500)),
            (Version::Http1, 503, &[], Outcome::Status(503)),
            (Version::Http1, 503, busy, Outcome::Overload),
            (Version::Http1, 429, &[], Outcome::Overload),
            (Version::Http1, 200, &grpc("14"), Outcome::Success),
            (Version::Http2, 200, &grpc("0"), Outcome::Success),
            (Version::Http2, 200, &grpc("5"), Outcome::Success),
            (Version::Http2, 200, &grpc("8"), Outcome::Overload),
            (Version::Http2, 200, &grpc("14"), Outcome::Status(503)),
            (Version::Http2, 200, &grpc("13"), Outcome::Status(500)),
        ] {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            let response = response.body(()).unwrap();
            assert_eq!(judge(&response, version), expected, "{status} {headers:?}");
        }
    }
}
