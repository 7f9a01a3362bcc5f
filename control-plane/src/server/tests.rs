//! The port with real TLS and real gRPC clients: who gets in, as whom, and for how long.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use weft_certs::{Authority, Leaf, Lifetimes};
use weft_proto::identity::IssueRequest;
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::telemetry::telemetry_client::TelemetryClient;
use weft_proto::telemetry::{ReportAck, ReportRequest};

use super::{Server, ServerLeaf, Tls};
use crate::ca::IdentityService;
use crate::telemetry::TelemetryService;
use crate::testing::{Client, TestCa, csr, id, own_address, trust_domain};

/// Far above what any of this takes, so that a slow machine does not fail it.
const DEADLINE: Duration = Duration::from_secs(60);

struct Port {
    ca: TestCa,
    client: Client,
    stopping: watch::Sender<bool>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// Identity and telemetry over a mesh of `product` and `payment`.
fn serve() -> Port {
    let ca = TestCa::new(&["product", "payment"]);
    let leaf = ServerLeaf::issue(ca.ca.clone(), id("control-plane")).unwrap();
    let server = Server::bind(own_address()).unwrap();
    let client = Client::new(server.address(), id("control-plane"), ca.ca.bundle());
    let tls = Tls { config: leaf.config(), trust_domain: trust_domain(), clock: ca.clock.clock() };
    tokio::spawn(leaf.run());
    let stopping = watch::Sender::new(false);
    let telemetry = TelemetryService::new(
        ca.mesh.subscribe(),
        watch::Sender::default(),
        stopping.subscribe(),
        ca.clock.clock(),
    );
    let routes =
        tonic::service::Routes::new(IdentityService::new(ca.ca.clone(), None).into_server())
            .add_service(telemetry.into_server());
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(server.run(tls, routes, async {
        let _ = stopped.await;
    }));
    Port { ca, client, stopping, stop, serving }
}

impl Port {
    /// A leaf that was issued `ago` for `life`, both in real time: rustls looks at the system's clock.
    fn leaf(&self, service_account: &str, ago: Duration, life: Duration) -> Leaf {
        let now = SystemTime::now() - ago;
        self.ca.authority().leaf_for(&id(service_account), life, now).unwrap()
    }

    fn fresh_leaf(&self, service_account: &str) -> Leaf {
        self.leaf(service_account, Duration::ZERO, Duration::from_secs(3600))
    }
}

async fn issue(channel: Channel, request: Request<IssueRequest>) -> Result<i64, Status> {
    IdentityClient::new(channel).issue(request).await.map(|answer| answer.into_inner().not_after)
}

/// One report of `workload`; its acknowledgement.
async fn report(channel: Channel, workload: &str) -> Result<Option<ReportAck>, Status> {
    let report = ReportRequest { workload: workload.to_owned(), ..ReportRequest::default() };
    let answers = TelemetryClient::new(channel).report(tokio_stream::once(report)).await?;
    answers.into_inner().next().await.transpose()
}

fn plain(service_account: &str) -> Request<IssueRequest> {
    Request::new(IssueRequest { csr: csr(service_account) })
}

#[tokio::test]
async fn a_token_is_enough_for_identity_and_for_nothing_else() {
    let port = serve();
    let channel = port.client.connect(None).await.unwrap();
    let mut request = plain("product");
    let token = port.ca.token("product");
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    issue(channel.clone(), request).await.unwrap();

    let status = report(channel.clone(), "product.shop").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    let status = issue(channel, plain("product")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
}

#[tokio::test]
async fn a_certificate_speaks_for_its_own_workload() {
    let port = serve();
    let channel = port.client.connect(Some(&port.fresh_leaf("product"))).await.unwrap();
    issue(channel.clone(), plain("product")).await.unwrap();
    let status = issue(channel.clone(), plain("payment")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");

    assert!(report(channel.clone(), "product.shop").await.unwrap().is_some());
    for other in ["payment.shop", "nobody.shop", "", "product"] {
        let status = report(channel.clone(), other).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{other}: {status}");
    }
}

#[tokio::test]
async fn an_expired_certificate_can_be_renewed_and_nothing_else() {
    let port = serve();
    let day = Duration::from_secs(24 * 3600);
    let leaf = port.leaf("product", 6 * day, Duration::from_secs(3600));
    let channel = port.client.connect(Some(&leaf)).await.unwrap();
    issue(channel.clone(), plain("product")).await.unwrap();
    let status = issue(channel.clone(), plain("payment")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    let status = report(channel, "product.shop").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert!(status.message().contains("expired"), "{status}");
}

#[tokio::test]
async fn a_certificate_that_expired_long_ago_is_refused() {
    let port = serve();
    let day = Duration::from_secs(24 * 3600);
    let leaf = port.leaf("product", 8 * day, Duration::from_secs(3600));
    assert_refused(&port, &leaf).await;
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let port = serve();
    let other = Authority::create(&trust_domain(), SystemTime::now(), Lifetimes::default());
    let hour = Duration::from_secs(3600);
    let leaf = other.unwrap().leaf_for(&id("product"), hour, SystemTime::now()).unwrap();
    assert_refused(&port, &leaf).await;
}

/// In TLS 1.3 a client learns of a refusal only when it reads.
async fn assert_refused(port: &Port, leaf: &Leaf) {
    if let Ok(channel) = port.client.connect(Some(leaf)).await {
        let status = issue(channel, plain("product")).await.unwrap_err();
        assert!(status.code() != Code::PermissionDenied, "the handshake let it in: {status}");
        assert!(status.code() != Code::Unauthenticated, "the handshake let it in: {status}");
    }
}

#[tokio::test]
async fn a_connection_outlives_its_leaf_but_its_rights_do_not() {
    let port = serve();
    let channel = port.client.connect(Some(&port.fresh_leaf("product"))).await.unwrap();
    assert!(report(channel.clone(), "product.shop").await.is_ok());
    port.ca.clock.advance(Duration::from_secs(3700));
    let status = report(channel.clone(), "product.shop").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    issue(channel, plain("product")).await.unwrap();
}

#[tokio::test]
async fn a_resumed_connection_is_looked_at_as_well() {
    let port = serve();
    let config = port.client.tls(Some(&port.fresh_leaf("product")));
    let first = port.client.connect_with(config.clone()).await.unwrap();
    assert!(report(first, "product.shop").await.is_ok());
    port.ca.clock.advance(Duration::from_secs(3700));
    let second = port.client.connect_with(config).await.unwrap();
    let status = report(second, "product.shop").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
}

#[tokio::test]
async fn the_server_renews_its_leaf_and_drops_no_connection() {
    let ca = TestCa::new(&["product"]);
    let leaf = ServerLeaf::issue(ca.ca.clone(), id("control-plane")).unwrap();
    let mut config = leaf.config();
    let before = config.borrow_and_update().clone();
    tokio::time::pause();
    tokio::spawn(leaf.run());
    ca.clock.advance(Duration::from_secs(24 * 3600 * 60 / 100));
    config.changed().await.unwrap();
    assert!(!Arc::ptr_eq(&before, &config.borrow()));
}

#[tokio::test]
async fn stopping_ends_streams_and_frees_the_port() {
    let port = serve();
    let address = port.client.address();
    let channel = port.client.connect(Some(&port.fresh_leaf("product"))).await.unwrap();
    // A report that never ends, acknowledged once.
    let endless = tokio_stream::once(ReportRequest {
        workload: "product.shop".to_owned(),
        ..ReportRequest::default()
    })
    .chain(tokio_stream::pending());
    let answers = TelemetryClient::new(channel).report(endless).await.unwrap();
    let mut answers = answers.into_inner();
    assert!(answers.next().await.unwrap().is_ok());

    port.stopping.send_replace(true);
    port.stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, port.serving).await.unwrap().unwrap().unwrap();
    assert!(!matches!(answers.next().await, Some(Ok(_))));
    Server::bind(address).unwrap();
}

#[tokio::test]
async fn streams_that_do_not_end_are_cut_off() {
    let port = serve();
    let channel = port.client.connect(Some(&port.fresh_leaf("product"))).await.unwrap();
    let endless = tokio_stream::pending::<ReportRequest>();
    let answers = TelemetryClient::new(channel).report(endless).await.unwrap();
    // Nobody tells the telemetry service to stop.
    port.stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, port.serving).await.unwrap().unwrap().unwrap();
    let end = tokio::time::timeout(DEADLINE, answers.into_inner().next()).await;
    assert!(!matches!(end.expect("the stream ends"), Some(Ok(_))));
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_is_in_nobodys_way() {
    let port = serve();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(port.client.address()).await.unwrap());
    }
    let channel = port.client.connect(Some(&port.fresh_leaf("product"))).await.unwrap();
    assert!(report(channel, "product.shop").await.is_ok());
}

#[tokio::test]
async fn an_anonymous_connection_is_closed_after_a_minute() {
    let port = serve();
    let channel = port.client.connect(None).await.unwrap();
    assert_eq!(
        issue(channel.clone(), plain("product")).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let closed = tokio::time::timeout(DEADLINE, async {
        loop {
            let status = issue(channel.clone(), plain("product")).await.unwrap_err();
            if status.code() != Code::Unauthenticated {
                return status;
            }
        }
    });
    closed.await.expect("the connection is closed");
}
