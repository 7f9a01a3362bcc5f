//! Who may have a stream, and how much of it.

use std::time::Duration;

use tonic::Code;
use weft_certs::{Serial, SpiffeId};
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};

use super::super::Limits;
use super::client::{Client, World};
use crate::model::AppProtocol;
use crate::peer::AuthenticatedPeer;
use crate::translate::ResourceType::{Cluster, Endpoint, Listener, Secret};
use crate::translate::fixture::{add_service, key, shop, workload};

#[tokio::test]
async fn a_node_that_the_certificate_does_not_vouch_for_is_refused() {
    let world = World::of(&shop());
    for (node, account) in [("product-v1", "web"), ("nobody", "web"), ("", "web")] {
        let mut client = world.connect(node, account).await;
        client.subscribe(Cluster, &[]).await;
        let status = client.receive().await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{node} {status:?}");
    }
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    client.take(Cluster).await;
}

#[tokio::test]
async fn without_a_valid_certificate_there_is_no_stream() {
    let world = World::of(&shop());
    let id = SpiffeId::parse("spiffe://demo.local/ns/shop/sa/web").unwrap();
    for peer in [None, Some(AuthenticatedPeer { id, serial: Serial::new(&[1]), expired: true })] {
        let opened = Client::open(world.stub_as(peer).await, "web-1.shop").await;
        assert_eq!(opened.err().unwrap().code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn the_first_request_must_name_its_node() {
    let world = World::of(&shop());
    let (requests, queue) = tokio::sync::mpsc::channel(1);
    let request =
        DeltaDiscoveryRequest { type_url: Cluster.type_url().to_owned(), ..Default::default() };
    requests.send(request).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(queue);
    let mut stub = world.stub("web").await;
    let mut responses = stub.delta_aggregated_resources(stream).await.unwrap().into_inner();
    assert_eq!(responses.message().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_outlives_configuration_but_not_its_workload() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut web = world.connect("web-1", "web").await;
    web.subscribe(Secret, &["weft:trust-bundle"]).await;
    web.take(Secret).await;
    let mut product = world.connect("product-v1", "product").await;
    product.subscribe(Secret, &["weft:trust-bundle"]).await;
    product.take(Secret).await;

    add_service(&mut mesh, "new", 1, AppProtocol::Http);
    world.publish(&mesh);
    web.expect_silence().await;

    mesh.workloads.remove(&key("web-1"));
    workload(&mut mesh, "product-v1").service_account = "other".to_owned();
    world.publish(&mesh);
    assert_eq!(web.receive().await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(product.receive().await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn state_of_the_world_is_refused_with_a_hint() {
    let world = World::of(&shop());
    let mut stub = world.stub("web").await;
    let requests = tokio_stream::once(DiscoveryRequest::default());
    let status = stub.stream_aggregated_resources(requests).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("DELTA_GRPC"), "{status:?}");
}

#[tokio::test]
async fn streams_names_and_kinds_are_bounded() {
    let limits = Limits { streams: 1, names: 3, name_bytes: 20, ..Default::default() };
    let world = World::empty(limits);
    world.publish(&shop());
    let mut stub = world.stub("web").await;

    let mut one = Client::open(stub.clone(), "web-1.shop").await.unwrap();
    one.subscribe(Cluster, &["a.b:1", "a.b:2"]).await;
    one.take(Cluster).await;
    let another = Client::open(stub.clone(), "web-1.shop").await;
    assert_eq!(another.err().unwrap().code(), Code::ResourceExhausted);

    one.subscribe(Secret, &["c", "d"]).await;
    assert_eq!(one.receive().await.unwrap_err().code(), Code::ResourceExhausted);
    drop(one);

    let mut one = reopen(&mut stub).await;
    one.subscribe(Secret, &["a name of more than twenty bytes"]).await;
    assert_eq!(one.receive().await.unwrap_err().code(), Code::InvalidArgument);
    drop(one);

    let mut one = reopen(&mut stub).await;
    one.send(DeltaDiscoveryRequest { type_url: "x/y".to_owned(), ..Default::default() }).await;
    let status = one.receive().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("x/y"));
}

/// The place of a stream is free once its end has been worked off.
async fn reopen(stub: &mut Stub) -> Client {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        match Client::open(stub.clone(), "web-1.shop").await {
            Ok(client) => return client,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
        }
        assert!(tokio::time::Instant::now() < end, "the stream is still counted");
        tokio::task::yield_now().await;
    }
}

type Stub = weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient<
    tonic::transport::Channel,
>;

#[tokio::test]
async fn stopping_ends_every_stream_with_unavailable() {
    let world = World::of(&shop());
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    client.take(Cluster).await;
    world.stop.send(true).unwrap();
    assert_eq!(client.receive().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_let_go() {
    let mut mesh = shop();
    for number in 0..200 {
        add_service(&mut mesh, &format!("s{number}"), 1, AppProtocol::Http);
    }
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    // One response fills the connection's window, one waits in the queue, the third finds no place.
    for kind in [Cluster, Listener, Endpoint] {
        client.subscribe(kind, &["*"]).await;
    }
    while world.registry.list().first().is_none_or(|status| !status.connected) {
        tokio::task::yield_now().await;
    }
    let before = tokio::time::Instant::now();
    while world.registry.list()[0].connected {
        assert!(before.elapsed() < Duration::from_secs(60), "it is still waited for");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(before.elapsed() >= Limits::default().send_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_first_request_is_ended() {
    let world = World::of(&shop());
    let mut client = world.connect("web-1", "web").await;
    let before = tokio::time::Instant::now();
    let status = client.end_in(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(before.elapsed().as_secs(), 30);
}
