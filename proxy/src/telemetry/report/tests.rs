//! Against a scripted control plane in this process: whatever it does, the acknowledged deltas add up to what
//! was counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use weft_proto::telemetry as wire;
use weft_proto::telemetry::telemetry_server::{self, TelemetryServer};

use super::{Connecting, EDGES_PER_MESSAGE, Reporter};
use crate::access::Traffic;
use crate::error::Token;
use crate::telemetry::Telemetry;
use crate::telemetry::conventions::Verb;
use crate::telemetry::metrics::{ConfigStanding, Direction, EdgeKey, Observation};
use crate::testing::nobody;

const DEADLINE: Duration = Duration::from_secs(60);

/// What the control plane does on one stream.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Refuses it.
    Refuse,
    /// Acknowledges so many reports, reads one more and ends.
    EndAfter(usize),
    /// Acknowledges all.
    Acknowledge,
    /// The same, and asks once what callers asked for.
    Ask,
    /// The same, and opens a tap.
    OpenTap,
}

struct ControlPlane {
    /// One for each stream; the last one for all further ones.
    script: Vec<Act>,
    streams: Arc<AtomicUsize>,
    acknowledged: mpsc::UnboundedSender<wire::ReportRequest>,
    /// Taps that sidecars have come with.
    taps: mpsc::UnboundedSender<u64>,
}

#[tonic::async_trait]
impl telemetry_server::Telemetry for ControlPlane {
    type ReportStream = ReceiverStream<Result<wire::ReportAck, Status>>;
    type TapStream = ReceiverStream<Result<wire::TapControl, Status>>;

    async fn tap(
        &self,
        request: Request<Streaming<wire::TapEvents>>,
    ) -> Result<Response<Self::TapStream>, Status> {
        if let Ok(Some(events)) = request.into_inner().message().await {
            let _ = self.taps.send(events.id);
        }
        Err(Status::not_found("nobody watches any more"))
    }

    async fn report(
        &self,
        request: Request<Streaming<wire::ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let stream = self.streams.fetch_add(1, Relaxed);
        let most = match self.script[stream.min(self.script.len() - 1)] {
            Act::Refuse => return Err(Status::permission_denied("not you")),
            Act::EndAfter(most) => most,
            Act::Acknowledge | Act::Ask | Act::OpenTap => usize::MAX,
        };
        let mut asks = match self.script[stream.min(self.script.len() - 1)] {
            Act::Ask => {
                let ask = Some(wire::AskTraffic { id: 7, seconds: 60 });
                Some(wire::ReportAck { ask, ..Default::default() })
            }
            Act::OpenTap => {
                let tap = Some(wire::OpenTap { id: 9, ..Default::default() });
                Some(wire::ReportAck { tap, ..Default::default() })
            }
            Act::Refuse | Act::EndAfter(_) | Act::Acknowledge => None,
        };
        let (acks, answer) = mpsc::channel(1);
        let mut reports = request.into_inner();
        let acknowledged = self.acknowledged.clone();
        tokio::spawn(async move {
            for count in 0.. {
                let Ok(Some(report)) = reports.message().await else { return };
                if count == most {
                    return;
                }
                acknowledged.send(report).unwrap();
                acks.send(Ok(wire::ReportAck::default())).await.unwrap();
                if let Some(ack) = asks.take() {
                    acks.send(Ok(ack)).await.unwrap();
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answer)))
    }
}

/// A control plane with its reporter, which reports every few milliseconds.
struct Mesh {
    telemetry: Arc<Telemetry>,
    acknowledged: mpsc::UnboundedReceiver<wire::ReportRequest>,
    streams: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    reporter: JoinHandle<()>,
}

fn connect(address: SocketAddr) -> impl Fn() -> Connecting {
    move || {
        Box::pin(async move {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            endpoint.connect().await.map_err(|error| error.to_string())
        })
    }
}

async fn mesh(script: &[Act]) -> Mesh {
    mesh_with(script, Duration::from_millis(5), None).await
}

/// A control plane that does this: its address, what it was told, the taps that came to it, and its streams of reports.
async fn control_plane(
    script: &[Act],
) -> (
    SocketAddr,
    mpsc::UnboundedReceiver<wire::ReportRequest>,
    mpsc::UnboundedReceiver<u64>,
    Arc<AtomicUsize>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, acknowledged) = mpsc::unbounded_channel();
    let (taps, tapped) = mpsc::unbounded_channel();
    let streams = Arc::new(AtomicUsize::new(0));
    let (script, counted) = (script.to_vec(), streams.clone());
    let service = ControlPlane { script, streams: counted, acknowledged: sender, taps };
    tokio::spawn(
        Server::builder()
            .add_service(TelemetryServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, acknowledged, tapped, streams)
}

async fn mesh_with(script: &[Act], period: Duration, traffic: Option<Arc<Traffic>>) -> Mesh {
    let (address, acknowledged, _, streams) = control_plane(script).await;
    let telemetry = Arc::new(Telemetry::default());
    let mut reporter =
        Reporter::new("web-v1.shop", telemetry.clone(), Arc::default(), connect(address));
    (reporter.period, reporter.traffic) = (period, traffic);
    let (stop, stopped) = watch::channel(false);
    let reporter = tokio::spawn(reporter.run(stopped));
    Mesh { telemetry, acknowledged, streams, stop, reporter }
}

fn key(peer: &str) -> EdgeKey {
    EdgeKey {
        route: "HTTPRoute/shop/web#0".into(),
        backend: "product-v2.shop:8080".into(),
        ..EdgeKey::unrouted(Direction::Outbound, peer)
    }
}

fn request(status: u16) -> Observation {
    Observation {
        method: Verb::of(&http::Method::GET),
        version: http::Version::HTTP_11,
        grpc: false,
        status,
        grpc_status: None,
        duration: Duration::from_millis(1),
        retries: 1,
        mtls: true,
        error: (status >= 500).then_some(Token::ConnectionRefused),
        fallback: false,
    }
}

impl Mesh {
    async fn next(&mut self) -> wire::ReportRequest {
        tokio::time::timeout(DEADLINE, self.acknowledged.recv()).await.unwrap().unwrap()
    }

    /// Requests per peer, once there are as many as expected, or when time is up.
    async fn sum(&mut self, expected: u64) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while sums.values().sum::<u64>() < expected {
            let next = tokio::time::timeout_at(deadline, self.acknowledged.recv()).await;
            let Ok(Some(report)) = next else { break };
            for edge in report.edges {
                *sums.entry(edge.peer).or_default() += edge.requests;
            }
        }
        sums
    }
}

#[tokio::test]
async fn a_report_in_full() {
    let mut mesh = mesh(&[Act::Acknowledge]).await;
    let metrics = &mesh.telemetry.metrics;
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    metrics.identity_valid(at(33), at(99));
    metrics.config_stale(true);
    let accepted = SystemTime::now() - Duration::from_secs(5000);
    metrics.config(ConfigStanding {
        version: "17".into(),
        accepted: Some(accepted),
        ..ConfigStanding::default()
    });
    let edge = metrics.edge(key("product.shop:8080"));
    edge.observe(&request(503));
    edge.connection_opened(false);
    edge.carried(3, 4);
    edge.connection_closed(None);
    let report = mesh.next().await;
    let report = if report.edges.is_empty() { mesh.next().await } else { report };
    assert_eq!(report.workload, "web-v1.shop");
    assert!(report.at > 1_700_000_000);
    let proxy = report.proxy.unwrap();
    assert_eq!((proxy.leaf_not_before, proxy.leaf_not_after), (33, 99));
    assert_eq!((proxy.stale, proxy.draining), (true, false));
    assert_eq!((&*proxy.config_version, proxy.config_age_seconds / 1000), ("17", 5));
    let index = u32::try_from(weft_proto::latency::index(1000)).unwrap();
    let expected = wire::EdgeDelta {
        direction: wire::Direction::Outbound.into(),
        peer: "product.shop:8080".into(),
        route: "HTTPRoute/shop/web#0".into(),
        backend: "product-v2.shop:8080".into(),
        requests: 1,
        failures: 1,
        retries: 1,
        mtls: 1,
        latency: vec![wire::Bucket { index, count: 1 }],
        connections: 1,
        bytes_sent: 3,
        bytes_received: 4,
        errors: [("connection_refused".to_owned(), 1)].into(),
    };
    assert_eq!(report.edges, [expected]);
}

#[tokio::test]
async fn deltas_add_up_across_refusals_and_broken_streams() {
    let script =
        [Act::Refuse, Act::EndAfter(0), Act::EndAfter(1), Act::EndAfter(3), Act::Acknowledge];
    let mut mesh = mesh(&script).await;
    let edges = ["a", "b"].map(|peer| mesh.telemetry.metrics.edge(key(peer)));
    // As long as there are streams to break: requests all the time.
    let mut counted = 0;
    while mesh.streams.load(Relaxed) < script.len() {
        edges.iter().for_each(|edge| edge.observe(&request(200)));
        counted += 1;
        tokio::task::yield_now().await;
    }
    let expected = BTreeMap::from([("a".to_owned(), counted), ("b".to_owned(), counted)]);
    assert_eq!(mesh.sum(2 * counted).await, expected);
}

#[tokio::test]
async fn a_change_of_standing_is_told_at_once_and_silence_is_kept() {
    let mut mesh = mesh(&[Act::Acknowledge]).await;
    assert!(!mesh.next().await.proxy.unwrap().draining);
    mesh.telemetry.metrics.draining(true);
    // Ten seconds of silence would be more than a thousand of its periods.
    let next = mesh.next().await;
    assert!(next.proxy.unwrap().draining, "nothing in between");
}

#[tokio::test]
async fn what_callers_asked_for_is_told_at_once_when_it_is_asked() {
    let traffic = Arc::new(Traffic::new(1));
    let page = traffic.page(0, None, [10, 0, 0, 1].into(), 80);
    page.request("GET", "/carts/7", tokio::time::Instant::now());
    // No second report would come for an hour.
    let hour = Duration::from_secs(3600);
    let mut mesh = mesh_with(&[Act::Ask], hour, Some(traffic)).await;
    assert_eq!(mesh.next().await.access, None, "what is not asked for is not told");
    let answer = mesh.next().await.access.unwrap();
    assert_eq!((answer.id, answer.more), (7, false));
    assert_eq!(answer.callers[0].requests[0].path, "/carts/7");
    // The stream goes on.
    mesh.telemetry.metrics.draining(true);
    assert!(mesh.next().await.proxy.unwrap().draining);
    assert_eq!(mesh.streams.load(Relaxed), 1);
}

/// Who connects anew may come to another replica, which knows nothing of the tap.
#[tokio::test]
async fn a_tap_goes_to_the_replica_that_opened_it() {
    let (first, mut reports, mut tapped, _) = control_plane(&[Act::OpenTap]).await;
    let (other, _, mut strays, _) = control_plane(&[Act::Acknowledge]).await;
    let connections = AtomicUsize::new(0);
    let connect = move || match connections.fetch_add(1, Relaxed) {
        0 => connect(first)(),
        _ => connect(other)(),
    };
    let reporter = Reporter::new("web-v1.shop", Arc::default(), Arc::default(), connect);
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(reporter.run(stopped));
    assert!(tokio::time::timeout(DEADLINE, reports.recv()).await.unwrap().is_some());
    let came = async {
        tokio::select! {
            id = tapped.recv() => (id, None),
            id = strays.recv() => (None, id),
        }
    };
    assert_eq!(tokio::time::timeout(DEADLINE, came).await.unwrap(), (Some(9), None));
}

#[tokio::test]
async fn many_edges_are_told_in_several_messages() {
    let mut mesh = mesh(&[Act::EndAfter(1), Act::Acknowledge]).await;
    let count = 2 * EDGES_PER_MESSAGE as u64 + 1;
    for n in 0..count {
        mesh.telemetry.metrics.edge(key(&n.to_string())).observe(&request(200));
    }
    let mut first = mesh.next().await;
    if first.edges.is_empty() {
        first = mesh.next().await;
    }
    assert!(first.edges.len() <= EDGES_PER_MESSAGE);
    let first: BTreeMap<_, _> = first.edges.into_iter().map(|e| (e.peer, e.requests)).collect();
    let mut all = mesh.sum(count - first.len() as u64).await;
    all.extend(first);
    assert_eq!(all.len() as u64, count, "each in one message");
    assert!(all.values().all(|requests| *requests == 1));
}

#[tokio::test]
async fn the_last_requests_are_reported_at_the_end() {
    let mut mesh = mesh(&[Act::Acknowledge]).await;
    let _ = mesh.next().await;
    mesh.telemetry.metrics.edge(key("a")).observe(&request(200));
    mesh.stop.send_replace(true);
    tokio::time::timeout(DEADLINE, &mut mesh.reporter).await.unwrap().unwrap();
    assert_eq!(mesh.sum(1).await, BTreeMap::from([("a".to_owned(), 1)]));
}

#[tokio::test]
async fn without_a_control_plane_the_end_is_not_delayed() {
    let telemetry = Arc::new(Telemetry::default());
    let (stop, stopped) = watch::channel(false);
    let reporter = Reporter::new("web-v1.shop", telemetry, Arc::default(), connect(nobody()));
    let reporter = tokio::spawn(reporter.run(stopped));
    drop(stop);
    tokio::time::timeout(DEADLINE, reporter).await.unwrap().unwrap();
}
