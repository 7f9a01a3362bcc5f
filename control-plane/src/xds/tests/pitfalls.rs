//! One test for each pitfall of the list in [`crate::xds`].

use super::client::{World, names, versions};
use crate::model::{AppProtocol, Balancer, TrafficPolicy};
use crate::translate::ResourceType::{Cluster, Endpoint, Listener, Route, Secret};
use crate::translate::fixture::{add_service, key, shop, workload};

const PRODUCT: &str = "product.shop:8080";

#[tokio::test]
async fn pitfall_1_a_cluster_that_is_pushed_brings_its_unchanged_endpoints_along() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[PRODUCT]).await;
    client.take(Cluster).await;
    client.subscribe(Endpoint, &[PRODUCT]).await;
    let before = client.take(Endpoint).await;

    let policy = TrafficPolicy { balancer: Balancer::Random, ..Default::default() };
    mesh.traffic_policies.insert((key("product"), None), policy);
    world.publish(&mesh);

    let cluster = client.hear(Cluster).await;
    assert_eq!(names(&cluster), [PRODUCT]);
    // Not acknowledged: the proxy withholds that until it has the endpoints.
    let again = client.take(Endpoint).await;
    assert_eq!(versions(&again), versions(&before));
}

#[tokio::test]
async fn pitfall_2_endpoints_and_secrets_never_wait_for_the_ack_of_clusters() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    client.hear(Cluster).await; // In flight from here on.

    client.subscribe(Endpoint, &[PRODUCT, "unknown.shop:1"]).await;
    let answer = client.take(Endpoint).await;
    assert_eq!(names(&answer), [PRODUCT]);
    assert_eq!(answer.removed_resources, ["unknown.shop:1"]);
    client.subscribe(Secret, &["weft:trust-bundle"]).await;
    assert_eq!(names(&client.take(Secret).await), ["weft:trust-bundle"]);

    workload(&mut mesh, "product-v1").address = [127, 66, 0, 99].into();
    world.publish(&mesh);
    assert_eq!(names(&client.take(Endpoint).await), [PRODUCT]);
}

#[tokio::test]
async fn pitfall_3_a_service_that_loses_its_endpoints_is_sent_an_empty_assignment() {
    use prost::Message as _;
    use weft_proto::envoy::endpoint::ClusterLoadAssignment;

    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Endpoint, &[PRODUCT]).await;
    client.take(Endpoint).await;

    mesh.workloads.remove(&key("product-v1"));
    mesh.workloads.remove(&key("product-v2"));
    world.publish(&mesh);

    let update = client.take(Endpoint).await;
    assert!(update.removed_resources.is_empty());
    let any = update.resources[0].resource.as_ref().unwrap();
    let assignment = ClusterLoadAssignment::decode(&*any.value).unwrap();
    assert_eq!(assignment.cluster_name, PRODUCT);
    assert!(assignment.endpoints.is_empty());
}

#[tokio::test]
async fn pitfall_4_an_empty_first_subscribe_means_all_clusters_and_listeners_and_is_answered() {
    let mut mesh = shop();
    mesh.services.clear();
    for workload in mesh.workloads.values_mut() {
        workload.meshed = false;
    }
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;

    client.subscribe(Listener, &[]).await;
    let answer = client.take(Listener).await;
    assert!(answer.resources.is_empty() && answer.removed_resources.is_empty());

    // The node came with the first message only; the second one is of another kind.
    client.subscribe(Cluster, &[]).await;
    assert!(client.take(Cluster).await.resources.is_empty());

    add_service(&mut mesh, "new", 1, AppProtocol::Http);
    world.publish(&mesh);
    assert_eq!(names(&client.take(Cluster).await), ["new.shop:1"]);
    assert_eq!(names(&client.take(Listener).await), ["new.shop:1"]);
}

#[tokio::test]
async fn pitfall_4_an_empty_first_subscribe_of_routes_means_none() {
    let world = World::of(&shop());
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Route, &[]).await;
    client.subscribe(Endpoint, &[]).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn pitfall_5_a_reconnect_in_any_order_is_sent_nothing_again() {
    let mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    let clusters = versions(&client.take(Cluster).await);
    client.subscribe(Endpoint, &[PRODUCT]).await;
    let endpoints = versions(&client.take(Endpoint).await);
    client.subscribe(Listener, &[]).await;
    let listeners = versions(&client.take(Listener).await);
    drop(client);

    // Another process, the same mesh: versions are hashes of content.
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.resume(Endpoint, &[PRODUCT], &endpoints).await;
    client.resume(Listener, &[], &listeners).await;
    let answer = client.take(Listener).await;
    assert!(answer.resources.is_empty() && answer.removed_resources.is_empty());
    client.resume(Cluster, &[], &clusters).await;
    let answer = client.take(Cluster).await;
    assert!(answer.resources.is_empty() && answer.removed_resources.is_empty());
    client.expect_silence().await;
}

#[tokio::test]
async fn pitfall_5_a_reconnect_is_told_the_difference() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    let clusters = versions(&client.take(Cluster).await);
    drop(client);

    mesh.services.remove(&key("db"));
    add_service(&mut mesh, "new", 1, AppProtocol::Http);
    world.publish(&mesh);

    let mut client = world.connect("web-1", "web").await;
    client.resume(Cluster, &[], &clusters).await;
    let answer = client.take(Cluster).await;
    assert_eq!(names(&answer), ["new.shop:1"]);
    assert_eq!(answer.removed_resources, ["db.shop:5432"]);
}

#[tokio::test]
async fn pitfall_6_an_equal_mesh_is_no_change() {
    let world = World::of(&shop());
    let applied = world.publish(&shop());
    assert!(applied.is_empty(), "{applied:?}");
}

#[tokio::test]
async fn pitfall_7_a_route_subscribed_after_its_listener_is_answered_at_once() {
    let world = World::of(&shop());
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Listener, &[PRODUCT]).await;
    client.hear(Listener).await; // Acknowledged or not: the listener waits for its routes.
    client.subscribe(Route, &[PRODUCT]).await;
    assert_eq!(names(&client.take(Route).await), [PRODUCT]);
}

#[tokio::test]
async fn pitfall_8_nonces_are_unique_and_a_refused_version_is_not_sent_again() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[PRODUCT]).await;
    let first = client.take(Cluster).await;
    client.subscribe(Endpoint, &[PRODUCT]).await;
    let second = client.take(Endpoint).await;
    assert_ne!(first.nonce, second.nonce);

    let policy = |balancer| TrafficPolicy { balancer, ..Default::default() };
    mesh.traffic_policies.insert((key("product"), None), policy(Balancer::Random));
    world.publish(&mesh);
    let bad = client.hear(Cluster).await;
    client.take(Endpoint).await;
    client.nack(&bad, "no such balancer").await;
    client.expect_silence().await;

    // Something else changes: still not.
    add_service(&mut mesh, "new", 1, AppProtocol::Http);
    world.publish(&mesh);
    client.expect_silence().await;

    // It changes itself: sent.
    mesh.traffic_policies.insert((key("product"), None), policy(Balancer::LeastRequest));
    world.publish(&mesh);
    let good = client.take(Cluster).await;
    assert_ne!(versions(&good), versions(&bad));
}
