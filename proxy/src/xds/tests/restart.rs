//! The last good configuration, and servers that do not answer.

use std::time::Duration;

use prost::Message;
use weft_proto::envoy::discovery::Resource;

use super::scene::{Scene, serve_product};
use super::{IDENTITY, word};
use crate::control_channel::ControlPlane;
use crate::control_channel::fixture::FakeControlPlane;
use crate::store::Store;
use crate::xds::fixture::{
    INBOUND, PRODUCT, cluster, endpoint, endpoints, http_listener, inbound, resource, route, routes,
};
use crate::xds::stream::Response;
use crate::xds::{Client, Kind, Options};

const ALL: [&str; 5] = [
    "endpoints a 1",
    "cluster a",
    "routes product.shop:8080",
    "inbound inbound/shop/product-v1",
    "outbound product.shop:8080",
];

#[tokio::test]
async fn a_restarted_proxy_serves_before_the_control_plane_answers_and_says_that_it_is_stale() {
    let mut scene = Scene::start(FakeControlPlane::start());
    serve_product(&mut scene).await;
    let (mut fake, directory) = scene.stop().await;
    fake.stop().await;

    let mut scene = Scene::start_on(fake, directory);
    assert_eq!(scene.applied(), ALL, "in force when `new` returns");
    let sync = scene.sync();
    assert!(sync.stale && !sync.synced && !sync.connected);
    scene.credentials.send_replace(Some(scene.fake.credentials()));
    scene.until("an error", |sync| sync.last_error.is_some()).await;
    assert!(scene.sync().stale);

    scene.fake.restart();
    let mut stream = serve_product(&mut scene).await;
    assert!(!scene.sync().stale, "confirmed");
    let two = endpoints("a", vec![endpoint("10.0.0.1", IDENTITY), endpoint("10.0.0.2", IDENTITY)]);
    stream.say(Kind::Endpoints, vec![resource("a", "2", &two)], &[]).await;
    assert_eq!(scene.next_applied().await, ["endpoints a 2"]);
}

#[tokio::test]
async fn what_was_confirmed_unchanged_is_not_applied_twice() {
    let mut scene = Scene::start(FakeControlPlane::start());
    serve_product(&mut scene).await;
    let (fake, directory) = scene.stop().await;
    let mut scene = Scene::start_on(fake, directory);
    assert_eq!(scene.applied(), ALL);
    scene.credentials.send_replace(Some(scene.fake.credentials()));
    let mut stream = scene.fake.next_stream().await;
    let first = stream.hear().await.unwrap();
    assert!(first.initial_resource_versions.is_empty(), "a restarted proxy wants to be told all");
    stream.say(Kind::Cluster, vec![resource("a", "1", &cluster("a"))], &[]).await;
    stream.say(Kind::Routes, vec![resource(PRODUCT, "1", &routes(vec![route("a")]))], &[]).await;
    let listeners =
        vec![resource(PRODUCT, "1", &http_listener()), resource(INBOUND, "1", &inbound(vec![]))];
    stream.say(Kind::Listener, listeners, &[]).await;
    let gone = endpoints("a", vec![]);
    stream.say(Kind::Endpoints, vec![resource("a", "2", &gone)], &[]).await;
    assert_eq!(scene.next_applied().await, ["endpoints a 0"]);
}

#[tokio::test]
async fn the_store_follows_what_is_in_force() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    stream.say(Kind::Listener, vec![], &[PRODUCT]).await;
    scene.next_applied().await;
    let (fake, directory) = scene.stop().await;
    let mut scene = Scene::start_on(fake, directory);
    assert_eq!(scene.applied(), ["inbound inbound/shop/product-v1"]);
}

type Changes = tokio::sync::mpsc::UnboundedReceiver<String>;

/// A client that talks to nobody, for what needs a clock that stands still.
fn alone(store: &tempfile::TempDir) -> (Client, Changes) {
    alone_as(store, false)
}

/// The same; does it intercept connections?
pub(super) fn alone_as(store: &tempfile::TempDir, intercepts: bool) -> (Client, Changes) {
    let fake = FakeControlPlane::start();
    let bootstrap = fake.bootstrap();
    let options = Options {
        upstreams: vec![PRODUCT.to_owned()],
        on_demand: Vec::new(),
        intercepts,
        control_plane: ControlPlane::new(&bootstrap),
        credentials: tokio::sync::watch::channel(None).1,
        store: std::sync::Arc::new(Store::open(store.path()).unwrap()),
        trust_bundle: tokio::sync::watch::channel(None).0,
        denials: Default::default(),
    };
    let (applied, changes) = tokio::sync::mpsc::unbounded_channel();
    let apply = move |update: crate::xds::Update| {
        for change in &update.changes {
            let _ = applied.send(word(change));
        }
    };
    (Client::new(&bootstrap, options, Box::new(apply)).0, changes)
}

pub(super) fn response<R>(kind: Kind, resources: R) -> Response
where
    R: IntoIterator<Item = Resource>,
{
    Response {
        system_version_info: String::new(),
        type_url: kind.type_url().to_owned(),
        nonce: "1".to_owned(),
        resources: resources.into_iter().map(|one| one.encode_to_vec().into()).collect(),
        removed: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_owes_answers_holds_nothing_up_for_ever() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, mut changes) = alone(&store);
    client.reconnect();
    client
        .take_response(response(Kind::Listener, vec![resource(PRODUCT, "1", &http_listener())]))
        .unwrap();
    let table = routes(vec![route("a")]);
    client.take_response(response(Kind::Routes, vec![resource(PRODUCT, "1", &table)])).unwrap();
    client.give_up_waiting();
    assert!(changes.try_recv().is_err(), "cluster `a` may still come");
    tokio::time::advance(Duration::from_secs(11)).await;
    client.give_up_waiting();
    let applied: Vec<String> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert_eq!(applied, ["routes product.shop:8080", "outbound product.shop:8080"]);
}

#[tokio::test(start_paused = true)]
async fn silence_does_not_end_the_last_good_configuration() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, _changes) = alone(&store);
    client.reconnect();
    let mut opaque = http_listener();
    opaque.filter_chains =
        vec![crate::xds::fixture::chain(&crate::xds::fixture::tcp_filter("a"), &[])];
    client.take_response(response(Kind::Endpoints, vec![])).unwrap();
    client.take_response(response(Kind::Listener, vec![resource(PRODUCT, "1", &opaque)])).unwrap();
    client.take_response(response(Kind::Cluster, vec![resource("a", "1", &cluster("a"))])).unwrap();
    let none = endpoints("a", vec![]);
    client.take_response(response(Kind::Endpoints, vec![resource("a", "1", &none)])).unwrap();
    drop(client);

    let (mut client, mut changes) = alone(&store);
    let restored: Vec<String> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert_eq!(restored, ["endpoints a 0", "cluster a", "outbound product.shop:8080"]);
    client.reconnect();
    tokio::time::advance(Duration::from_secs(60)).await;
    client.give_up_waiting();
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn resources_with_a_life_of_their_own_or_without_content_are_refused() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, _changes) = alone(&store);
    client.reconnect();
    while client.subscription.next_request().is_some() {}
    let mut mortal = resource(PRODUCT, "1", &http_listener());
    mortal.ttl = Some(Default::default());
    let mut empty = resource(INBOUND, "1", &inbound(vec![]));
    empty.resource = None;
    client.take_response(response(Kind::Listener, vec![mortal, empty])).unwrap();
    let nack = client.subscription.next_request().unwrap().error_detail.unwrap();
    assert_eq!(
        nack.message,
        "Listener product.shop:8080: ttl: not supported by weft-proxy; \
         Listener inbound/shop/product-v1: resource: missing"
    );
}

#[tokio::test]
async fn a_nack_names_the_first_rejections_and_counts_the_rest() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, _changes) = alone(&store);
    let names: Vec<String> = (0..20).map(|index| format!("s{index:02}.shop:80")).collect();
    for name in &names {
        client.take_demand(crate::xds::Demand::Want(Kind::Listener, name.clone()));
    }
    while client.subscription.next_request().is_some() {}
    let wrong = names.iter().map(|name| resource(name, "1", &http_listener()));
    client.take_response(response(Kind::Listener, wrong)).unwrap();
    let nack = client.subscription.next_request().unwrap().error_detail.unwrap();
    assert!(nack.message.starts_with("Listener s00.shop:80: name: \"product.shop:8080\" in a"));
    assert!(nack.message.ends_with("; and 4 more"), "{}", nack.message);
}
