//! What is sent when: order, coalescing, chunks, sharing, and what the registry says of it.

use std::time::Duration;

use super::super::Limits;
use super::client::{World, names};
use crate::model::AppProtocol;
use crate::translate::ResourceType::{Cluster, Endpoint, Listener, Route};
use crate::translate::fixture::{BUNDLE, add_service, add_workload, key, route, shop, workload};
use crate::translate::{ResourceType, translate};

const PRODUCT: &str = "product.shop:8080";

/// A change that moves product's traffic from `product` to a new Service, and then removes `db`.
#[tokio::test]
async fn additions_go_before_what_refers_to_them_and_removals_last() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    for kind in [Cluster, Listener] {
        client.subscribe(kind, &[]).await;
        client.take(kind).await;
    }
    for kind in [Endpoint, Route] {
        client.subscribe(kind, &[PRODUCT, "canary.shop:1"]).await;
        client.take(kind).await;
    }

    add_service(&mut mesh, "canary", 1, AppProtocol::Http);
    mesh.routes.push(route("split", ("product", 8080), &[("canary", 1, 1)]));
    mesh.services.remove(&key("db"));
    world.publish(&mesh);

    let clusters = client.hear(Cluster).await;
    assert_eq!(names(&clusters), ["canary.shop:1"]);
    assert!(clusters.removed_resources.is_empty());
    assert_eq!(names(&client.take(Endpoint).await), ["canary.shop:1"]);
    // The routes wait until the new cluster is there.
    client.expect_silence().await;
    client.ack(&clusters).await;
    assert_eq!(names(&client.take(Listener).await), ["canary.shop:1"]);
    assert_eq!(names(&client.take(Route).await), ["canary.shop:1", PRODUCT]);
    let listeners = client.hear(Listener).await;
    assert_eq!(listeners.removed_resources, ["db.shop:5432"]);
    // The cluster waits until the listener is gone.
    client.expect_silence().await;
    client.ack(&listeners).await;
    assert_eq!(client.take(Cluster).await.removed_resources, ["db.shop:5432"]);
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_acknowledges_clusters_gets_its_routes_all_the_same() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    client.take(Cluster).await;
    client.subscribe(Route, &[PRODUCT]).await;
    client.take(Route).await;

    add_service(&mut mesh, "canary", 1, AppProtocol::Http);
    mesh.routes.push(route("split", ("product", 8080), &[("canary", 1, 1)]));
    let before = tokio::time::Instant::now();
    world.publish(&mesh);
    client.hear(Cluster).await;
    client.hear(Route).await;
    assert_eq!(before.elapsed().as_secs(), Limits::default().order_timeout.as_secs());
}

#[tokio::test]
async fn many_changes_while_a_response_is_in_flight_make_one_response() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Endpoint, &[PRODUCT, "web.shop:80"]).await;
    let first = client.hear(Endpoint).await;

    for host in 10..60 {
        workload(&mut mesh, "product-v1").address = [127, 66, 0, host].into();
        workload(&mut mesh, "web-1").address = [127, 66, 1, host].into();
        world.publish(&mesh);
    }
    client.expect_silence().await;
    client.ack(&first).await;

    let last = client.take(Endpoint).await;
    assert_eq!(names(&last), [PRODUCT, "web.shop:80"]);
    let wanted = translate(&mesh, BUNDLE);
    for resource in &last.resources {
        let wanted = wanted.get(Endpoint, &resource.name).unwrap();
        assert_eq!(resource.version, wanted.version.to_string());
        assert_eq!(resource.resource.as_ref().unwrap().value, translated(&world, &resource.name));
    }
    client.expect_silence().await;
}

fn translated(world: &World, name: &str) -> Vec<u8> {
    world.cache.read().log(Endpoint).get(name).unwrap().body().to_vec()
}

#[tokio::test]
async fn a_large_set_comes_in_parts_of_bounded_size() {
    let mut mesh = shop();
    for number in 0..500 {
        add_service(&mut mesh, &format!("s{number}"), 1, AppProtocol::Http);
    }
    let limits = Limits { response_bytes: 20_000, ..Default::default() };
    let world = World::empty(limits);
    world.publish(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;

    let all = translate(&mesh, BUNDLE).all(Cluster).count();
    let (mut seen, mut parts) = (std::collections::BTreeSet::new(), 0);
    while seen.len() < all {
        let part = client.take(Cluster).await;
        let bytes: usize =
            part.resources.iter().map(|r| r.resource.as_ref().unwrap().value.len()).sum();
        assert!(bytes < 22_000, "{bytes}");
        seen.extend(part.resources.into_iter().map(|resource| resource.name));
        parts += 1;
    }
    assert!(parts > 10);
    client.expect_silence().await;
}

#[tokio::test]
async fn a_proxy_sees_its_own_inbound_listener_only() {
    let world = World::of(&shop());
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Listener, &[]).await;
    let all = client.take(Listener).await;
    let inbound: Vec<_> = names(&all).into_iter().filter(|n| n.starts_with("inbound/")).collect();
    assert_eq!(inbound, ["inbound/shop/web-1"]);

    client.subscribe(Listener, &["inbound/shop/product-v1"]).await;
    let answer = client.take(Listener).await;
    assert!(answer.resources.is_empty());
    assert_eq!(answer.removed_resources, ["inbound/shop/product-v1"]);
}

#[tokio::test]
async fn other_workloads_come_and_go_without_a_word_to_this_one() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Listener, &[]).await;
    client.take(Listener).await;

    add_workload(&mut mesh, "job-1", "job", 9, (7, AppProtocol::Tcp));
    world.publish(&mesh);
    client.expect_silence().await;
    mesh.workloads.remove(&key("job-1"));
    world.publish(&mesh);
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_has_read_nothing_yet_says_nothing() {
    let world = World::empty(Limits::default());
    let mut client = world.connect("web-1", "web").await;
    client.resume(Cluster, &[], &[(PRODUCT.to_owned(), "0123456789abcdef".to_owned())]).await;
    // The paused clock moves once nobody has anything left to do.
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.publish(&shop());
    let answer = client.take(Cluster).await;
    assert!(names(&answer).contains(&PRODUCT));
    assert!(answer.removed_resources.is_empty());
}

#[tokio::test]
async fn the_registry_tells_what_each_proxy_has_and_refused() {
    let mut mesh = shop();
    let world = World::of(&mesh);
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[PRODUCT]).await;
    client.take(Cluster).await;
    client.expect_silence().await;

    let status = |kind: ResourceType| {
        let list = world.registry.list();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].workload, key("web-1"));
        assert_eq!(list[0].identity, "spiffe://demo.local/ns/shop/sa/web");
        assert_eq!(list[0].version, "weft-proxy");
        assert!(list[0].connected);
        list[0].resources.iter().find(|status| status.kind == kind).cloned().unwrap()
    };
    let clusters = status(Cluster);
    assert_eq!((clusters.sent, clusters.acked), (1, Some(1)));
    assert_eq!(clusters.rejected, None);

    crate::translate::fixture::service(&mut mesh, "product").origin.generation = 2;
    world.publish(&mesh);
    let bad = client.hear(Cluster).await;
    client.nack(&bad, "connect_timeout: too long").await;
    client.expect_silence().await;
    let clusters = status(Cluster);
    assert_eq!((clusters.sent, clusters.acked), (2, Some(1)));
    let rejected = clusters.rejected.unwrap();
    assert_eq!((rejected.version, rejected.reason.as_str()), (2, "connect_timeout: too long"));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_left_is_listed_for_a_minute() {
    let world = World::of(&shop());
    let mut client = world.connect("web-1", "web").await;
    client.subscribe(Cluster, &[]).await;
    client.take(Cluster).await;
    drop(client);
    while world.registry.list()[0].connected {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(world.registry.list().len(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(world.registry.list().is_empty());
}
