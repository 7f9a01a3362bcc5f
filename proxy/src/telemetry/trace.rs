//! Distributed tracing: trace context in and out of the headers of a request, spans of sampled requests, and
//! their export. Called by the request path through [`Tracing::begin`] and [`RequestTrace`].
//!
//! 1. [`context`]: headers to context and back.
//! 2. `span`: a span while it is open, once it is closed, and as OpenTelemetry knows it.
//! 3. `route`: what the receiver hears of the caller's route.
//! 4. [`broken`]: does the application hand context on?
//! 5. `settings`: what the `OTEL_*` variables ask for.
//! 6. [`crate::telemetry::export`]: the queue and the thread that sends spans to the collector.
//!
//! It must never block or fail a request, and costs an unsampled request no more than reading its headers. As
//! long as no collector is known, contexts pass through untouched: a trace that nobody records is not
//! started, and the applications' own tracing is left alone.

mod broken;
mod context;
mod route;
mod settings;
mod span;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::SpanId;
pub use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use self::broken::{UnderWay, Watch};
use self::context::{Hex, Incoming, Outgoing};
use self::route::Told;
use self::span::{Open, Span};
use super::RequestEnd;
use super::export::otlp::About;
use super::export::{Collector, Exporter};
use super::metrics::{Metrics, SPANS_DROPPED, SPANS_EXPORTED, SPANS_STARTED};

pub use broken::Broken;
pub use context::Formats;
pub(crate) use route::value as route_value;
pub use settings::{Sampler, Settings};
pub use span::Workload;
pub(crate) use span::resource;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which half of a hop a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Outbound: one span per attempt.
    Client,
    /// Inbound.
    Server,
}

/// Starts traces and exports spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    exporter: Arc<Exporter<Span>>,
    /// Spans begun.
    started: Arc<AtomicU64>,
    /// Share of the traces begun by this workload, as bits; no number while nobody has said.
    sampling: AtomicU64,
    watch: Arc<Watch>,
}

/// Spans since the start of the process. Those begun and in neither other count are open or waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Begun.
    pub started: u64,
    /// Taken by a collector.
    pub exported: u64,
    /// Taken by none.
    pub dropped: u64,
}

impl Default for Tracing {
    /// No collector and no environment: contexts pass through.
    fn default() -> Self {
        Self::new(Settings::default(), &Workload::default(), &Metrics::default())
    }
}

impl Tracing {
    /// Tracing for the workload that this proxy serves. Exports to the collector of `settings` from now on, or
    /// to the one of [`Self::set_collector`].
    #[must_use]
    pub fn new(settings: Settings, workload: &Workload, metrics: &Metrics) -> Self {
        let about = About::new(&resource(&settings, workload));
        let exporter = Exporter::new(&settings.otlp, about);
        let started = Arc::new(AtomicU64::new(0));
        let (begun, out, lost) = (started.clone(), exporter.clone(), exporter.clone());
        metrics.watch(SPANS_STARTED, move || begun.load(Relaxed));
        metrics.watch(SPANS_EXPORTED, move || out.exported());
        metrics.watch(SPANS_DROPPED, move || lost.dropped());
        let sampling = AtomicU64::new(f64::NAN.to_bits());
        let tracing =
            Self(Arc::new(Shared { settings, exporter, started, sampling, watch: Watch::new() }));
        tracing.collect_at(tracing.0.settings.otlp.collector.clone());
        tracing
    }

    /// The mesh's collector, as the configuration names it now. The environment's goes before it. May be called at any
    /// time, from any thread.
    pub fn set_collector(&self, collector: Option<&Collector>) {
        if self.0.settings.otlp.collector.is_none() {
            self.collect_at(collector.cloned());
        }
    }

    /// Share of the traces begun by this workload that are sampled, as the configuration says now.
    pub fn set_sampling(&self, share: f64) {
        self.0.sampling.store(share.to_bits(), Relaxed);
    }

    /// That share; `None` while the configuration has not said.
    #[must_use]
    pub fn sampling(&self) -> Option<f64> {
        let share = f64::from_bits(self.0.sampling.load(Relaxed));
        (!share.is_nan()).then_some(share)
    }

    fn collect_at(&self, collector: Option<Collector>) {
        if !self.0.settings.disabled {
            self.0.exporter.collect_at(collector);
        }
    }

    /// Takes up or starts the trace of a request: reads the incoming context, decides on sampling, writes the
    /// outgoing headers with this hop as parent, and gives the request an `x-request-id` if it has none.
    ///
    /// `sampling` is the share of the traces started here that are sampled, 0 to 1. Every
    /// [`RequestTrace`] is to be finished, or its span is lost.
    #[must_use]
    pub fn begin(&self, kind: SpanKind, headers: &mut HeaderMap, sampling: f64) -> RequestTrace {
        let settings = &self.0.settings;
        // Nothing is inserted where the map has no room for more, which is far beyond all bounds.
        if let Ok(Entry::Vacant(place)) = headers.try_entry(REQUEST_ID) {
            place.insert(request_id());
        }
        let incoming = Incoming::read(headers, settings.formats);
        if !self.0.exporter.is_open() {
            // For logs, and for whoever asks why.
            let trace_id = incoming.ids.map(|(trace_id, _)| trace_id);
            // What others trace the application can break too.
            let under_way = self.watch(kind, incoming.arrived, incoming.arrived);
            return RequestTrace { trace_id, span: None, under_way };
        }
        let formats = incoming.arrived.or(settings.always_written);
        let under_way = self.watch(kind, incoming.arrived, formats);
        let taken_up = incoming.ids.map(|(trace_id, _)| trace_id);
        let trace_id = taken_up.unwrap_or_else(new_trace_id);
        let sampled = is_sampled(settings.sampler, &incoming, trace_id, sampling);
        if !sampled && incoming.from_w3c && incoming.sampled == Some(false) {
            return RequestTrace { trace_id: taken_up, span: None, under_way };
        }
        let outgoing = Outgoing {
            trace_id,
            // Where no span of ours will be, the one before stays the parent.
            span_id: match incoming.ids {
                Some((_, parent)) if !sampled => parent,
                _ => new_span_id(),
            },
            sampled,
            debug: incoming.debug && sampled,
            random: incoming.random,
        };
        // What `tracestate` says belongs to the trace that goes on, in whatever format it came.
        let continued = incoming.ids.is_some();
        outgoing.write(headers, formats, continued);
        let parent = incoming.ids.map_or(SpanId::INVALID, |(_, parent)| parent);
        let span = sampled.then(|| {
            self.0.started.fetch_add(1, Relaxed);
            Box::new(Sampled {
                shared: Arc::clone(&self.0),
                open: Open::new(kind, outgoing, parent),
                formats,
                continued,
                over: false,
                told: None,
            })
        });
        RequestTrace { trace_id: Some(trace_id), span, under_way }
    }

    /// Tells the watch of a request for the application, which gets its context in these formats, or of a call of the
    /// application's, that came with a context in those.
    fn watch(&self, kind: SpanKind, arrived: Formats, formats: Formats) -> Option<UnderWay> {
        let none = Formats::default();
        match kind {
            SpanKind::Server => (formats != none).then(|| self.0.watch.given()),
            SpanKind::Client => {
                self.0.watch.called(arrived != none);
                None
            }
        }
    }

    /// Does the application break traces? See [`broken`].
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        self.0.watch.broken()
    }

    /// Watches for ever whether it does; one task has to.
    pub async fn watch_for_broken(&self) {
        self.0.watch.run().await;
    }

    /// Spans begun, exported and dropped since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            started: self.0.started.load(Relaxed),
            exported: self.0.exporter.exported(),
            dropped: self.0.exporter.dropped(),
        }
    }

    /// The collector in force.
    #[must_use]
    pub fn collector(&self) -> Option<String> {
        self.0.exporter.collector()
    }

    /// Exports what waits, for at most `limit`, and ends the export. What is left is dropped and counted.
    pub async fn shutdown(&self, limit: Duration) {
        self.0.exporter.shutdown(limit).await;
    }
}

/// The trace of one request on its way through this proxy.
#[derive(Debug)]
pub struct RequestTrace {
    trace_id: Option<TraceId>,
    span: Option<Box<Sampled>>,
    under_way: Option<UnderWay>,
}

/// The trace of a request as others are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its id.
    pub id: TraceId,
    /// Has this proxy a span of it? Without one a collector knows nothing of this hop, and mostly nothing of the others.
    pub sampled: bool,
}

/// What only a sampled request pays for.
#[derive(Debug)]
struct Sampled {
    shared: Arc<Shared>,
    open: Open,
    /// What [`RequestTrace::retry`] writes again.
    formats: Formats,
    continued: bool,
    /// The attempt's span is closed, and no other has begun.
    over: bool,
    /// By the caller's sidecar, where this is the receiver's.
    told: Option<Told>,
}

impl RequestTrace {
    /// Belongs into logs; `None` if the request has no trace.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// The same with whether a span is recorded.
    #[must_use]
    pub fn traced(&self) -> Option<Traced> {
        self.trace_id.map(|id| Traced { id, sampled: self.is_sampled() })
    }

    /// Is a span being recorded?
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.span.is_some()
    }

    /// Reads by which rule the caller, whose certificate is known, sent the request.
    pub fn hear_route(&mut self, headers: &mut HeaderMap) {
        if let Some(sampled) = &mut self.span {
            sampled.told = Told::take(headers);
        }
    }

    /// Closes the span of the attempt that just ended with `end`. What passes until the next one is nobody's.
    pub fn over(&mut self, end: &RequestEnd<'_>) {
        let Some(sampled) = &mut self.span else { return };
        sampled.over = true;
        sampled.shared.exporter.push(sampled.open.close(end, None));
    }

    /// Opens the span of the next attempt: `attempt` is 1 for the first retry. `headers` get it as parent.
    pub fn retry(&mut self, headers: &mut HeaderMap, attempt: u32) {
        let Some(sampled) = &mut self.span else { return };
        sampled.open = sampled.open.resend(new_span_id(), attempt);
        sampled.over = false;
        sampled.open.outgoing().write(headers, sampled.formats, sampled.continued);
        sampled.shared.started.fetch_add(1, Relaxed);
    }

    /// Closes the request's span, or the last attempt's. Of a request that ends between two attempts all is told already.
    pub fn finish(self, end: &RequestEnd<'_>) {
        if let Some(under_way) = self.under_way {
            under_way.ends((end.started + end.duration).into_std());
        }
        if let Some(sampled) = self.span.filter(|sampled| !sampled.over) {
            let told = sampled.told.as_ref();
            sampled.shared.exporter.push(sampled.open.close(end, told));
        }
    }
}

fn is_sampled(sampler: Sampler, incoming: &Incoming, trace_id: TraceId, sampling: f64) -> bool {
    match incoming.sampled {
        Some(decided) if sampler.parent_based => decided,
        _ => is_in_share(trace_id, sampler.ratio.unwrap_or(sampling)),
    }
}

/// Decides by the trace id, so that every proxy with the same share decides alike (as the OpenTelemetry SDKs
/// do it, on the lower 63 bits).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^63")]
pub(super) fn is_in_share(trace_id: TraceId, share: f64) -> bool {
    const ALL: f64 = (1_u64 << 63) as f64;
    let [.., a, b, c, d, e, f, g, h] = trace_id.to_bytes();
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1) < (share.clamp(0.0, 1.0) * ALL) as u64
}

fn new_trace_id() -> TraceId {
    RandomIdGenerator::default().new_trace_id()
}

fn new_span_id() -> SpanId {
    RandomIdGenerator::default().new_span_id()
}

/// A random UUID (version 4).
fn request_id() -> HeaderValue {
    let mut id = new_trace_id().to_bytes();
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let mut text = Hex::<36>::default();
    text.put(&id[..4]).dash().put(&id[4..6]).dash().put(&id[6..8]);
    text.dash().put(&id[8..10]).dash().put(&id[10..]);
    text.into()
}

/// For fuzzing: trace and parent span of a request, in hex.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_context(headers: &HeaderMap) -> Option<(String, String)> {
    let all = Formats { w3c: true, b3: true, b3_multi: true };
    let (trace, span) = Incoming::read(headers, all).ids?;
    Some((trace.to_string(), span.to_string()))
}

#[cfg(test)]
mod tests;
