//! Spans over real OTLP into a collector in this process, and what a collector that is away can do to
//! the proxy: nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;

use super::settings::{Batch, Collector as At, Otlp};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::tests::end;
use crate::telemetry::trace::{Counts, Settings, SpanKind, Tracing, Workload};
use crate::testing::nobody;

const DEADLINE: Duration = Duration::from_secs(60);

struct Collector {
    requests: mpsc::UnboundedSender<ExportTraceServiceRequest>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.requests.send(request.into_inner()).unwrap();
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collector() -> (String, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (requests, received) = mpsc::unbounded_channel();
    let service = TraceServiceServer::new(Collector { requests });
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (endpoint, received)
}

fn tracing(endpoint: Option<&str>, batch: Batch) -> (Tracing, Metrics) {
    let metrics = Metrics::default();
    let otlp = Otlp { collector: endpoint.map(At::at), batch, ..Otlp::default() };
    let settings = Settings { otlp, ..Settings::default() };
    let workload = Workload { name: "product".into(), ..Workload::default() };
    (Tracing::new(settings, &workload, &metrics), metrics)
}

fn request(tracing: &Tracing) {
    tracing.begin(SpanKind::Client, &mut HeaderMap::new(), 1.0).finish(&end());
}

async fn next(received: &mut mpsc::UnboundedReceiver<ExportTraceServiceRequest>) -> Vec<Span> {
    let request = tokio::time::timeout(DEADLINE, received.recv()).await.unwrap().unwrap();
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let attributes = format!("{:?}", resource.resource.unwrap().attributes);
        assert!(attributes.contains("service.name") && attributes.contains("product"));
        for scope in resource.scope_spans {
            assert_eq!(scope.scope.unwrap().name, "weft-proxy");
            spans.extend(scope.spans);
        }
    }
    spans
}

/// Waits for a condition that another thread brings about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn spans_of_every_attempt_reach_the_collector() {
    let (endpoint, mut received) = collector().await;
    let batch = Batch { delay: Duration::from_millis(10), ..Batch::default() };
    let (tracing, metrics) = tracing(Some(&endpoint), batch);
    let mut headers = HeaderMap::new();
    let mut trace = tracing.begin(SpanKind::Client, &mut headers, 1.0);
    trace.over(&end());
    // Order: what passes between two attempts belongs to neither.
    let between = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    trace.retry(&mut headers, 1);
    trace.finish(&end());
    let mut spans = next(&mut received).await;
    while spans.len() < 2 {
        spans.extend(next(&mut received).await);
    }
    assert_eq!(spans[0].trace_id, spans[1].trace_id);
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    assert!(format!("{:?}", spans[1].attributes).contains("resend_count"));
    let parent = headers["traceparent"].to_str().unwrap().to_owned();
    let id: String = spans[1].span_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(parent.contains(&id), "{parent} names {id}");
    assert!(Duration::from_nanos(spans[0].end_time_unix_nano) <= between);
    assert!(Duration::from_nanos(spans[1].start_time_unix_nano) >= between);
    let mut given_up = tracing.begin(SpanKind::Client, &mut HeaderMap::new(), 1.0);
    given_up.over(&end());
    given_up.finish(&end());
    let all = Counts { started: 3, exported: 3, dropped: 0 };
    until("of one that is given up in between there is one", || tracing.counts() == all).await;
    assert!(metrics.encode().contains("weft_spans_exported_total 3"));
}

#[tokio::test]
async fn a_collector_named_later_gets_what_comes_later() {
    let (endpoint, mut received) = collector().await;
    let (tracing, _) = tracing(None, Batch::default());
    request(&tracing);
    assert_eq!((tracing.counts(), tracing.collector()), (Counts::default(), None));
    tracing.set_collector(Some(&At::at(&endpoint)));
    assert_eq!(tracing.collector().as_deref(), Some(endpoint.as_str()));
    request(&tracing);
    tracing.shutdown(DEADLINE).await;
    assert_eq!(next(&mut received).await.len(), 1);
    assert_eq!(tracing.counts(), Counts { started: 1, exported: 1, dropped: 0 });
    request(&tracing);
    assert_eq!(tracing.counts().started, 1, "no spans after the end");
}

#[tokio::test]
async fn a_collector_taken_away_ends_the_spans() {
    let (endpoint, _received) = collector().await;
    let (tracing, _) = tracing(None, Batch::default());
    tracing.set_collector(Some(&At::at(&endpoint)));
    tracing.set_collector(None);
    request(&tracing);
    assert_eq!((tracing.counts(), tracing.collector()), (Counts::default(), None));
}

#[tokio::test]
async fn a_full_batch_does_not_wait_for_the_delay() {
    let (endpoint, mut received) = collector().await;
    let batch = Batch { size: 8, delay: Duration::from_hours(1), ..Batch::default() };
    let (tracing, _) = tracing(Some(&endpoint), batch);
    (0..8).for_each(|_| request(&tracing));
    assert_eq!(next(&mut received).await.len(), 8);
}

#[tokio::test]
async fn a_dead_collector_costs_spans_and_says_how_many() {
    bounds(nobody(), 500).await;
}

#[tokio::test]
async fn a_silent_collector_costs_spans_and_says_how_many() {
    // Connections wait in the backlog for ever.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bounds(listener.local_addr().unwrap(), 500).await;
}

/// Nobody waits for the collector, and every span is accounted for.
async fn bounds(collector: SocketAddr, spans: u64) {
    // The way to it has patience: what ends within the deadline has not waited for it.
    let patience = Duration::from_hours(1);
    let batch = Batch { queue: 64, size: 16, timeout: patience, ..Batch::default() };
    let collector = Some(At::at(&format!("http://{collector}")));
    let otlp = Otlp { collector, batch, timeout: patience, ..Otlp::default() };
    let settings = Settings { otlp, ..Settings::default() };
    let tracing = Tracing::new(settings, &Workload::default(), &Metrics::default());
    let start = Instant::now();
    (0..spans).for_each(|_| request(&tracing));
    assert!(start.elapsed() < DEADLINE, "requests waited: {:?}", start.elapsed());
    // All that fits neither into the queue nor into a batch on its way is lost at once.
    let least = spans - 64 - 16;
    until("the queue overflows", || tracing.counts().dropped >= least).await;
    let start = Instant::now();
    tracing.shutdown(Duration::from_secs(1)).await;
    assert!(start.elapsed() < DEADLINE, "the exit waited: {:?}", start.elapsed());
    let counts = Counts { started: spans, exported: 0, dropped: spans };
    until("every span is counted", || tracing.counts() == counts).await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_used_ends_the_spans() {
    let (tracing, _) = tracing(Some("http://\u{1}"), Batch::default());
    until("it is noticed", || tracing.collector().is_none()).await;
    request(&tracing);
    assert_eq!(tracing.counts().started, 0);
}

#[tokio::test(start_paused = true)]
async fn losses_are_told_once_a_minute() {
    let mut log = super::worker::LossLog::default();
    let told = |log: &mut super::worker::LossLog, dropped| log.tell("spans", dropped);
    assert!(!told(&mut log, 0), "no loss, no line");
    assert!(told(&mut log, 5), "the first at once");
    for dropped in 6..100 {
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(!told(&mut log, dropped));
    }
    tokio::time::advance(Duration::from_secs(13)).await;
    assert!(told(&mut log, 100));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(!told(&mut log, 100), "nothing new");
}
