//! What proxies, strangers and thieves of an identity ask.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http::Method;
use tokio::task::JoinSet;
use tonic::codegen::tokio_stream::{self, StreamExt};
use tonic::transport::Channel;
use tonic::{Code, Request};
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::identity::IssueRequest;
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::telemetry::ReportRequest;
use weft_proto::telemetry::telemetry_client::TelemetryClient;

use super::{HOUR, LIVE, costs, others_are_served, shop};
use crate::harness::{control_channel, eventually, http1, http2, request};

const CLUSTERS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const STREAMS: usize = 1_000;

fn subscription(node: &str) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(Node { id: node.to_owned(), ..Node::default() }),
        type_url: CLUSTERS.to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// Opens a stream with this first request and waits for its end; the code that it ends with.
async fn stream(channel: Channel, first: DeltaDiscoveryRequest) -> Code {
    let requests = tokio_stream::once(first).chain(tokio_stream::pending());
    let mut client = AggregatedDiscoveryServiceClient::new(channel);
    let mut responses = match client.delta_aggregated_resources(requests).await {
        Ok(responses) => responses.into_inner(),
        Err(status) => return status.code(),
    };
    loop {
        match responses.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

/// Nobody without a certificate gets anything; nobody with one gets what is another's.
#[tokio::test]
async fn calls_without_the_right_identity_are_refused() {
    let mesh = shop().absent_caller("web").start().await;
    let control_plane = mesh.control_plane();
    let nobody = || async { control_channel(control_plane, None).await.unwrap() };
    assert_eq!(stream(nobody().await, subscription("web.shop")).await, Code::Unauthenticated);
    let report = |workload: &str| {
        tokio_stream::once(ReportRequest {
            workload: workload.to_owned(),
            ..ReportRequest::default()
        })
    };
    let refused = TelemetryClient::new(nobody().await).report(report("web.shop")).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    for csr in [Vec::new(), b"nonsense".to_vec(), vec![0x30; 30_000]] {
        let refused =
            IdentityClient::new(nobody().await).issue(Request::new(IssueRequest { csr })).await;
        let code = refused.unwrap_err().code();
        assert!(matches!(code, Code::InvalidArgument | Code::Unauthenticated), "{code:?}");
    }
    let web = mesh.leaf("web", HOUR);
    let somebody = || async { control_channel(control_plane, Some(&web)).await.unwrap() };
    for other in ["product-v1.shop", "gateway.shop", "ghost.shop", "", "web.shop\0", "../web.shop"]
    {
        let code = stream(somebody().await, subscription(other)).await;
        assert!(
            matches!(code, Code::PermissionDenied | Code::InvalidArgument),
            "{other:?}: {code:?}"
        );
    }
    let mut acks = TelemetryClient::new(somebody().await)
        .report(report("product-v1.shop"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(acks.message().await.unwrap_err().code(), Code::PermissionDenied);
    // Its admin endpoints are on no port.
    for path in ["/v1/proxies", "/v1/join-tokens", "/v1/mesh", "/metrics", "/debug/pprof", "/"] {
        let post = || request(Method::POST, path, &[], "{}");
        assert!(http1(control_plane.address(), post()).await.is_err(), "{path}");
        assert!(http2(control_plane.address(), post()).await.is_err(), "{path}");
    }
    others_are_served(&mesh, 1).await;
}

/// 1,000 streams of one identity, for one workload: a handful of them lives.
#[tokio::test]
async fn a_thousand_streams_of_one_identity_shut_nobody_out() {
    let mesh = shop().absent_caller("web").start().await;
    others_are_served(&mesh, 0).await;
    let (web, process) = (mesh.leaf("web", HOUR), mesh.control_plane().process());
    process.forget_peak();
    let before = process.rss();
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS / 50 {
        let channel = control_channel(mesh.control_plane(), Some(&web)).await.unwrap();
        for _ in 0..50 {
            streams.spawn(stream(channel.clone(), subscription("web.shop")));
        }
    }
    let mut ended = 0;
    let all = async {
        while ended < STREAMS - 4 {
            let code = streams.join_next().await.unwrap().unwrap();
            assert!(matches!(code, Code::Aborted | Code::ResourceExhausted), "{code:?}");
            ended += 1;
        }
    };
    crate::harness::within("all but a few are ended", Duration::from_secs(60), all).await;
    let open = eventually("a handful is open", LIVE, async || {
        let listed = mesh.control_plane().admin().get("/v1/proxies").await?;
        let open = listed.as_array().into_iter().flatten();
        let open = open
            .filter(|proxy| proxy["workload"] == "web.shop" && proxy["connected"] == true)
            .count();
        ensure!((1..=4).contains(&open), "{open} are open: {listed}");
        Ok(open)
    })
    .await;
    let served = others_are_served(&mesh, 1).await;
    costs(
        &mesh,
        &format!("{STREAMS} streams of one identity, {open} live, others served in {served:?}"),
        before,
        40.0,
    );
}

/// A request of 100 MB, and as many names as fit into one that is small enough.
#[tokio::test]
async fn large_requests_are_refused_before_they_are_read() {
    let mesh = shop().absent_caller("web").start().await;
    others_are_served(&mesh, 0).await;
    let (web, process) = (mesh.leaf("web", HOUR), mesh.control_plane().process());
    process.forget_peak();
    let before = process.rss();
    let named = |names: Vec<String>| DeltaDiscoveryRequest {
        resource_names_subscribe: names,
        ..subscription("web.shop")
    };
    for (what, first) in [
        ("100 MB in one name", named(vec!["x".repeat(100 << 20)])),
        ("100 MB in many names", named(vec!["x".repeat(500); 200_000])),
        (
            "100 MB of node",
            DeltaDiscoveryRequest {
                node: Some(Node { id: "x".repeat(100 << 20), ..Node::default() }),
                ..subscription("")
            },
        ),
        ("60,000 names", named((0..60_000).map(|number| format!("n{number}")).collect())),
        ("a name of 10 KB", named(vec!["x".repeat(10_000)])),
    ] {
        let channel = control_channel(mesh.control_plane(), Some(&web)).await.unwrap();
        let started = Instant::now();
        let code = stream(channel, first).await;
        // Refused by its length, by its bounds, or by the end of a connection whose rest nobody reads.
        let refused = [
            Code::OutOfRange,
            Code::ResourceExhausted,
            Code::InvalidArgument,
            Code::Unknown,
            Code::Internal,
            Code::Cancelled,
            Code::Unavailable,
            Code::PermissionDenied,
        ];
        assert!(refused.contains(&code), "{what}: {code:?}");
        costs(&mesh, &format!("{what}: {code:?} after {:?}", started.elapsed()), before, 40.0);
    }
    others_are_served(&mesh, 1).await;
}

/// Clients that ask and never read, through many changes.
#[tokio::test]
async fn slow_readers_hold_little_and_delay_nobody() {
    let mut builder = shop();
    let readers: Vec<String> = (0..40).map(|number| format!("reader{number}")).collect();
    for reader in &readers {
        builder = builder.absent_caller(reader);
    }
    let mesh = builder.start().await;
    others_are_served(&mesh, 0).await;
    let process = mesh.control_plane().process();
    process.forget_peak();
    let before = process.rss();
    let mut held = Vec::new();
    for reader in &readers {
        let leaf = mesh.leaf(reader, HOUR);
        let channel = control_channel(mesh.control_plane(), Some(&leaf)).await.unwrap();
        let requests = tokio_stream::once(subscription(&format!("{reader}.shop")))
            .chain(tokio_stream::pending());
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        // Held, and never read.
        held.push(client.delta_aggregated_resources(requests).await.unwrap());
    }
    eventually("all of them are connected", LIVE, async || {
        let listed = mesh.control_plane().admin().get("/v1/proxies").await?.to_string();
        ensure!(listed.matches("reader").count() >= readers.len(), "{listed}");
        Result::Ok(())
    })
    .await;
    let mut slowest = Duration::ZERO;
    for round in 1..=20 {
        slowest = slowest.max(others_are_served(&mesh, round).await);
    }
    costs(
        &mesh,
        &format!(
            "{} slow readers through 20 changes, others served within {slowest:?}",
            held.len()
        ),
        before,
        40.0,
    );
}
