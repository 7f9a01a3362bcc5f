//! Distributed tracing: trace context in and out of the headers of a request, spans of sampled requests, and
//! their export. Called by the request path through [`Tracing::begin`] and [`RequestTrace`].
//!
//! It must never block or fail a request, and costs an unsampled request no more than reading its headers.

use http::HeaderMap;
pub use opentelemetry::trace::TraceId;

use super::RequestEnd;

/// Which half of a hop a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Outbound: one span per attempt.
    Client,
    /// Inbound.
    Server,
}

/// Starts traces and exports spans. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tracing {}

impl Tracing {
    /// Takes up or starts the trace of a request: reads the incoming context, decides on sampling, writes the
    /// outgoing headers with this hop as parent, and gives the request an `x-request-id` if it has none.
    ///
    /// `sampling` is the share of the traces started here that are sampled, 0 to 1.
    pub fn begin(&self, _kind: SpanKind, _headers: &mut HeaderMap, _sampling: f64) -> RequestTrace {
        RequestTrace { trace_id: TraceId::INVALID }
    }
}

/// The trace of one request on its way through this proxy.
#[derive(Debug)]
pub struct RequestTrace {
    trace_id: TraceId,
}

impl RequestTrace {
    /// Belongs into logs; `None` if the request has no trace.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        (self.trace_id != TraceId::INVALID).then_some(self.trace_id)
    }

    /// Is a span being recorded?
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        false
    }

    /// Closes the span of the attempt that just ended with `end` and opens the next one: `attempt` is 1 for
    /// the first retry. `headers` get the new span as parent.
    pub fn retry(&mut self, _end: &RequestEnd<'_>, _headers: &mut HeaderMap, _attempt: u32) {}

    /// Closes the request's span, or the last attempt's.
    pub fn finish(self, _end: &RequestEnd<'_>) {}
}
