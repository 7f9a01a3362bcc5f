//! What the proxy says about its traffic. Read in this order:
//!
//! 1. [`metrics`]: counters of one edge (who, route, backend), resolved when a route is built; every name
//!    and label of the Prometheus side.
//! 2. [`trace`]: trace context in and out of headers, spans of sampled requests, OTLP export.
//! 3. [`access_log`]: one JSON line a request.
//! 4. [`export`]: the way of spans and lines to a collector.
//! 5. [`recent`]: the failed and slow requests of the last while, for whoever asks why.
//! 6. [`tap`]: requests as they end, for whoever watches.
//! 7. [`report`]: the golden metrics to the control plane, each second, and its questions.
//!
//! The request path calls [`crate::telemetry::trace::Tracing::begin`] when a request's headers are there and
//! [`Telemetry::finish_request`] when its last byte has gone. Neither may block, fail, or wait for anybody:
//! a reader that is slow or away costs lines and spans, which are counted, and never a request.

pub mod access_log;
pub mod conventions;
pub mod export;
pub mod metrics;
pub mod recent;
pub mod report;
pub mod tap;
pub mod trace;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Token;
use crate::record::Story;

use self::access_log::AccessLog;
use self::conventions::Verb;
use self::metrics::{Direction, Edge, Metrics, Observation};
use self::recent::Recent;
use self::tap::Taps;
use self::trace::{RequestTrace, Traced, Tracing};

/// Everything that a request or connection reports to. Cheap to clone; by default nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Counters.
    pub metrics: Metrics,
    /// Spans.
    pub tracing: Tracing,
    /// Lines.
    pub access_log: AccessLog,
    /// What went wrong lately.
    pub recent: Recent,
    /// Whoever watches.
    pub taps: Taps,
}

/// What is known of a request, or of one attempt of it, at its end. Borrowed: nothing is copied unless it is
/// sampled or logged.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnd<'a> {
    /// Which sidecar of the two speaks.
    pub direction: Direction,
    /// Method.
    pub method: &'a http::Method,
    /// Path without query.
    pub path: &'a str,
    /// Host as the client sent it.
    pub host: &'a str,
    /// Version of HTTP.
    pub version: http::Version,
    /// Status of the response; 0 if there was none.
    pub status: u16,
    /// Is it a call of gRPC?
    pub grpc: bool,
    /// `grpc-status`, if the response had one.
    pub grpc_status: Option<u16>,
    /// Why this proxy failed it, if it did.
    pub error: Option<Token>,
    /// From the request's head to the last byte of the response.
    pub duration: Duration,
    /// Attempts made; 0 if it was never sent.
    pub attempts: u32,
    /// How long the last attempt waited for its connection; `None` if it had no answer.
    pub connect: Option<Duration>,
    /// From the request's head to the head of the response; `None` if there was none from the other side.
    pub first_byte: Option<Duration>,
    /// Is the answer a policy's fallback?
    pub fallback: bool,
    /// Path pattern of the rule that matched (`/products`), never the path itself.
    pub http_route: Option<&'a str>,
    /// The route object as `Kind/namespace/name#rule`; empty if none.
    pub route: &'a str,
    /// Service port that was asked for (`product.shop:8080`); inbound, the workload's own.
    pub service: &'a str,
    /// SPIFFE id of the other side; empty in plaintext.
    pub peer_identity: &'a str,
    /// Address of the other side: outbound the endpoint, inbound the client.
    pub peer_address: Option<SocketAddr>,
    /// Did it travel over mutual TLS?
    pub mtls: bool,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// `x-request-id`; empty if none.
    pub request_id: &'a str,
    /// Who denied it and why, where rules about access did.
    pub denial: Option<(&'a str, &'a str)>,
    /// When its head came.
    pub started: Instant,
    /// How it got there; nobody knows of what has no record.
    pub story: Option<&'a Story>,
}

impl RequestEnd<'_> {
    /// What the counters take of it.
    #[must_use]
    pub fn observation(&self) -> Observation {
        Observation {
            method: Verb::of(self.method),
            version: self.version,
            grpc: self.grpc,
            status: self.status,
            grpc_status: self.grpc_status,
            duration: self.duration,
            retries: self.attempts.saturating_sub(1),
            mtls: self.mtls,
            error: self.error,
            fallback: self.fallback,
        }
    }

    /// Until the head of the response; where none came, all of it. A body lasts as long as it is long.
    fn waited(&self) -> Duration {
        let answered = self.story.and_then(Story::answered);
        answered.map_or(self.duration, |at| at - self.started)
    }
}

/// What is known of an opaque connection at its end.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionEnd<'a> {
    /// Which sidecar of the two speaks.
    pub direction: Direction,
    /// Service port that was asked for (`product.shop:8080`); inbound, the workload's own.
    pub service: &'a str,
    /// The route object as `Kind/namespace/name#rule`; empty if none.
    pub route: &'a str,
    /// SPIFFE id of the other side; empty in plaintext.
    pub peer_identity: &'a str,
    /// Address of the other side: outbound the endpoint, inbound the client.
    pub peer_address: Option<SocketAddr>,
    /// Did it travel over mutual TLS?
    pub mtls: bool,
    /// Bytes to the accepting side.
    pub sent: u64,
    /// Bytes from the accepting side.
    pub received: u64,
    /// From accept to close.
    pub duration: Duration,
    /// Why this proxy failed it, if it did.
    pub error: Option<Token>,
    /// Who denied it and why, where rules about access did.
    pub denial: Option<(&'a str, &'a str)>,
}

impl Telemetry {
    /// Closes a request's record: counters, span and log line. Never blocks. A request that was answered
    /// before its trace began has none.
    pub fn finish_request(
        &self,
        end: &RequestEnd<'_>,
        edge: &Edge,
        trace: impl Into<Option<RequestTrace>>,
    ) {
        if cfg!(feature = "unobserved") {
            return;
        }
        let trace = trace.into();
        edge.observe(&end.observation());
        let traced = trace.as_ref().and_then(RequestTrace::traced);
        self.access_log.request(end, traced.map(|trace| trace.id));
        // Order: what is far from slow costs this comparison and no other.
        let floor = self.recent.floor();
        let slow = end.duration >= floor
            && edge.pace.is_slow(end.waited(), floor, || self.recent.second());
        if slow || Recent::is_failure(end) {
            self.remember(end, traced, slow);
        }
        if self.taps.is_open() {
            self.taps.offer(end, || self.recent.record(end, traced, slow));
        }
        if let Some(trace) = trace {
            trace.finish(end);
        }
    }

    #[cold]
    fn remember(&self, end: &RequestEnd<'_>, traced: Option<Traced>, slow: bool) {
        self.recent.keep(self.recent.record(end, traced, slow));
    }

    /// Closes an opaque connection's record: counters and log line. Never blocks. Its opening was
    /// counted by [`Edge::connection_opened`], its bytes by [`Edge::carried`].
    pub fn finish_connection(&self, end: &ConnectionEnd<'_>, edge: &Edge) {
        if cfg!(feature = "unobserved") {
            return;
        }
        edge.connection_closed(end.error);
        self.access_log.connection(end);
        self.recent.connection(end);
    }

    /// Sends and writes what waits, for at most `limit` altogether.
    pub async fn shutdown(&self, limit: Duration) {
        tokio::join!(self.tracing.shutdown(limit), self.access_log.shutdown(limit));
    }
}

/// The first `most` bytes of a text, or a few less so that no character is cut.
fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The same without what terminals take commands by (controls, those of C1 too) and what has readers see lines or an
/// order of letters that are not there.
fn plain(text: &str, most: usize) -> Cow<'_, str> {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let text = clip(text, most);
    match text.contains(odd) {
        true => Cow::Owned(text.replace(odd, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod docs;
#[cfg(test)]
pub(crate) mod tests;
