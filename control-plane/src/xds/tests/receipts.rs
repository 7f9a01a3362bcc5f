//! Who runs which generation, as far as the streams tell.

use super::super::{Receipt, Receipts, Refusal};
use super::client::{Client, World};
use crate::model::{Mesh, ObjectKey, TrafficPolicy};
use crate::translate::ResourceType::{Cluster, Listener, Route};
use crate::translate::fixture::{key, origin, route, shop};

const PRODUCT: &str = "product.shop:8080";
const WEB: &str = "web.shop:80";

fn object(kind: &str, name: &str) -> ObjectKey {
    (kind.to_owned(), "shop".to_owned(), name.to_owned())
}

fn receipt(world: &World, kind: &str, name: &str) -> Receipt {
    let receipts = Receipts::new(world.cache.clone(), world.registry.clone());
    receipts.of(&[object(kind, name)]).remove(0)
}

/// Generation, concerned, programmed, refusing.
fn numbers(receipt: &Receipt) -> (Option<u64>, usize, usize, usize) {
    let Receipt { generation, concerned, programmed, refusing, .. } = receipt;
    (*generation, *concerned, *programmed, *refusing)
}

fn with_route(mesh: &mut Mesh, name: &str, port: (&str, u16), generation: u64) {
    let mut made = route(name, port, &[("web", 80, 1)]);
    made.origin.generation = generation;
    mesh.routes.retain(|route| route.key != made.key);
    mesh.routes.push(made);
}

/// A proxy that has taken the routes of these ports.
async fn proxy(world: &World, workload: &str, account: &str, names: &[&str]) -> Client {
    let mut client = world.connect(workload, account).await;
    client.subscribe(Route, names).await;
    client.take(Route).await;
    client.expect_silence().await;
    client
}

#[tokio::test]
async fn a_proxy_counts_once_it_has_answered_and_only_if_it_holds_something() {
    let mut mesh = shop();
    with_route(&mut mesh, "split", ("product", 8080), 3);
    let world = World::of(&mesh);
    let count = || numbers(&receipt(&world, "HTTPRoute", "split"));
    assert_eq!(count(), (Some(3), 0, 0, 0));

    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Route, &[PRODUCT]).await;
    let response = client.hear(Route).await;
    assert_eq!(count(), (Some(3), 1, 0, 0));
    assert_eq!(receipt(&world, "HTTPRoute", "split").waiting, ["web-1.shop"]);
    client.ack(&response).await;
    client.expect_silence().await;
    assert_eq!(count(), (Some(3), 1, 1, 0));

    let _other = proxy(&world, "product-v1", "product", &[WEB]).await;
    assert_eq!(count(), (Some(3), 1, 1, 0));
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "unknown")), (None, 0, 0, 0));
    drop(client);
    while count() != (Some(3), 0, 0, 0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_generation_is_waited_for_and_changes_for_other_reasons_are_not() {
    let mut mesh = shop();
    with_route(&mut mesh, "split", ("product", 8080), 1);
    let world = World::of(&mesh);
    let mut client = proxy(&world, "web-1", "web", &[PRODUCT]).await;

    with_route(&mut mesh, "split", ("product", 8080), 2);
    world.publish(&mesh);
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "split")), (Some(2), 1, 0, 0));
    client.take(Route).await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "split")), (Some(2), 1, 1, 0));

    // Another route of the same port: one resource, in which `split` is as it was.
    with_route(&mut mesh, "more", ("product", 8080), 1);
    world.publish(&mesh);
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "split")), (Some(2), 1, 1, 0));
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "more")), (Some(1), 1, 0, 0));
    let response = client.hear(Route).await;
    client.nack(&response, "RouteConfiguration product.shop:8080: no").await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "split")), (Some(2), 1, 1, 0));
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "more")), (Some(1), 1, 0, 1));
}

#[tokio::test]
async fn a_refusal_is_of_what_it_names_and_over_when_a_later_version_is_taken() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = proxy(&world, "web-1", "web", &[PRODUCT, WEB]).await;
    with_route(&mut mesh, "good", ("web", 80), 1);
    with_route(&mut mesh, "bad", ("product", 8080), 1);
    world.publish(&mesh);
    let response = client.hear(Route).await;
    assert_eq!(response.resources.len(), 2);
    let reason = "RouteConfiguration product.shop:8080: virtual_hosts[0]: too much";
    client.nack(&response, reason).await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "good")), (Some(1), 1, 1, 0));
    let bad = receipt(&world, "HTTPRoute", "bad");
    assert_eq!(numbers(&bad), (Some(1), 1, 0, 1));
    let said = "product.shop:8080: virtual_hosts[0]: too much".to_owned();
    assert_eq!(bad.refused, [Refusal { proxy: "web-1.shop".to_owned(), reason: said }]);

    with_route(&mut mesh, "bad", ("product", 8080), 2);
    world.publish(&mesh);
    let response = client.hear(Route).await;
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "bad")), (Some(2), 1, 0, 0));
    client.ack(&response).await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "bad")), (Some(2), 1, 1, 0));
}

#[tokio::test]
async fn a_generation_that_changes_nothing_for_proxies_is_run_at_once() {
    let mut mesh = shop();
    let policy = |generation| {
        let mut origin = origin("TrafficPolicy", "calm");
        origin.generation = generation;
        TrafficPolicy { origin, ..TrafficPolicy::default() }
    };
    mesh.traffic_policies.insert((key("product"), None), policy(1));
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    for kind in [Cluster, Listener] {
        client.subscribe(kind, &[]).await;
        client.take(kind).await;
    }
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "TrafficPolicy", "calm")), (Some(1), 1, 1, 0));
    mesh.traffic_policies.insert((key("product"), None), policy(2));
    assert!(world.publish(&mesh).is_empty());
    assert_eq!(numbers(&receipt(&world, "TrafficPolicy", "calm")), (Some(2), 1, 1, 0));
}

/// Listeners of all workloads are made from it, each seen by its own proxy only.
#[tokio::test]
async fn an_object_that_is_in_everything_is_looked_up_by_what_a_proxy_holds() {
    let mut mesh = shop();
    for number in 0..40 {
        let name = format!("s{number}");
        crate::translate::fixture::add_service(&mut mesh, &name, 1, Default::default());
    }
    mesh.config.origin = origin("MeshConfig", "default");
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Listener, &["inbound/shop/web-1"]).await;
    client.take(Listener).await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "MeshConfig", "default")), (Some(1), 1, 1, 0));
    client.subscribe(Listener, &["s1.shop:1"]).await;
    let response = client.hear(Listener).await;
    assert_eq!(numbers(&receipt(&world, "MeshConfig", "default")), (Some(1), 1, 0, 0));
    client.ack(&response).await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "MeshConfig", "default")), (Some(1), 1, 1, 0));
}

/// A proxy that comes back says what it has, and is told and asked nothing.
#[tokio::test]
async fn a_proxy_that_comes_back_with_the_same_versions_runs_them() {
    let mut mesh = shop();
    with_route(&mut mesh, "split", ("product", 8080), 7);
    let world = World::of(&mesh);
    let version = world.cache.read().log(Route).get(PRODUCT).unwrap().version.to_string();
    let mut client = world.connect("web-1", "web").await;
    client.resume(Route, &[PRODUCT], &[(PRODUCT.to_owned(), version)]).await;
    client.expect_silence().await;
    assert_eq!(numbers(&receipt(&world, "HTTPRoute", "split")), (Some(7), 1, 1, 0));
}
