//! The client against a control plane whose words are the test's, over real TLS and gRPC.

mod addresses;
mod denied;
mod restart;
mod scene;

use tonic::Status;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;
use weft_proto::names::DENY_LIST;

use super::{Change, Demand, Kind};
use crate::control_channel::fixture::{FakeControlPlane, WORKLOAD};
use crate::xds::fixture::{
    INBOUND, PRODUCT, cluster, endpoint, endpoints, http_listener, inbound, resource, route,
    routes, trust_bundle,
};
use scene::{Scene, serve_product};

const IDENTITY: &str = "spiffe://demo.local/ns/shop/sa/product";
const BUNDLE: &str = "weft:trust-bundle";

#[tokio::test]
async fn asks_for_what_it_was_given_then_for_what_that_leads_to() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = scene.fake.next_stream().await;
    let first = stream.hear().await.unwrap();
    let node = first.node.clone().unwrap();
    assert_eq!((node.id.as_str(), node.user_agent_name.as_str()), (WORKLOAD, "weft-proxy"));
    assert_eq!(first.type_url, Kind::DenyList.type_url(), "before all else");
    assert_eq!(first.resource_names_subscribe, [DENY_LIST]);
    let second = stream.hear().await.unwrap();
    assert_eq!(second.type_url, Kind::Listener.type_url());
    assert_eq!(second.resource_names_subscribe, [INBOUND, PRODUCT]);
    assert!(second.node.is_none(), "only once");
    let third = stream.hear().await.unwrap();
    assert_eq!(third.resource_names_subscribe, [BUNDLE]);
    stream.say(Kind::DenyList, vec![], &[DENY_LIST]).await;

    let nonce =
        stream.say(Kind::Listener, vec![resource(PRODUCT, "1", &http_listener())], &[]).await;
    let ack = stream.hear_reply(&nonce).await;
    assert_eq!((ack.error_detail, ack.resource_names_subscribe), (None, vec![]));
    stream.hear_wish(Kind::Routes, PRODUCT).await;
    stream.say(Kind::Routes, vec![resource(PRODUCT, "1", &routes(vec![route("a")]))], &[]).await;
    stream.hear_wish(Kind::Cluster, "a").await;
    stream.say(Kind::Cluster, vec![resource("a", "1", &cluster("a"))], &[]).await;
    stream.hear_wish(Kind::Endpoints, "a").await;
    assert_eq!(scene.applied(), Vec::<String>::new(), "nothing can serve yet");
    let one = endpoints("a", vec![endpoint("10.0.0.1", IDENTITY)]);
    stream.say(Kind::Endpoints, vec![resource("a", "1", &one)], &[]).await;
    let expected =
        ["endpoints a 1", "cluster a", "routes product.shop:8080", "outbound product.shop:8080"];
    assert_eq!(scene.next_applied().await, expected, "in the order of use, at one blow");
    assert!(!scene.sync().synced, "inbound listener and trust bundle are not answered");

    stream.say(Kind::Listener, vec![resource(INBOUND, "1", &inbound(vec![]))], &[]).await;
    assert_eq!(scene.next_applied().await, ["inbound inbound/shop/product-v1"]);
    let roots = scene.fake.bundle();
    stream.say(Kind::Secret, vec![resource(BUNDLE, "1", &trust_bundle(roots.to_pem()))], &[]).await;
    let sync = scene.until("sync", |sync| sync.synced).await;
    assert!(sync.connected && !sync.stale);
    let listeners = &sync.kinds[Kind::Listener as usize];
    assert_eq!((listeners.wanted, listeners.in_force, listeners.accepted), (2, 2, 2));
    assert_eq!(*scene.bundle.borrow(), Some(roots));
}

#[tokio::test]
async fn good_resources_apply_beside_bad_ones_and_the_last_good_one_stays() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    let mut bad = routes(vec![route("a"), route("a")]);
    bad.virtual_hosts[0].routes[1].stat_prefix = "ignored".to_owned();
    bad.virtual_hosts[0].routes[1]
        .typed_per_filter_config
        .insert("x".to_owned(), Default::default());
    let nonce = stream.say(Kind::Routes, vec![resource(PRODUCT, "2", &bad)], &[]).await;
    let text = "RouteConfiguration product.shop:8080: \
                virtual_hosts[0].routes[1].typed_per_filter_config: not supported by weft-proxy";
    let nack = stream.hear_reply(&nonce).await.error_detail.unwrap();
    assert_eq!((nack.code, nack.message.as_str()), (3, text));
    let sync = scene.until("the rejection", |sync| sync.kinds[3].rejection.is_some()).await;
    assert_eq!(sync.kinds[3].rejection.as_deref(), Some(text));
    assert_eq!(scene.applied(), Vec::<String>::new());

    let (mut broken, good) = (cluster("a"), endpoints("a", vec![]));
    broken.lb_policy = 3;
    let mut renamed = resource("stranger", "1", &cluster("stranger"));
    renamed.name = "stranger".to_owned();
    let nonce = stream.say(Kind::Cluster, vec![resource("a", "2", &broken), renamed], &[]).await;
    let nack = stream.hear_reply(&nonce).await.error_detail.unwrap();
    assert_eq!(nack.message, "Cluster a: lb_policy: contradicts `load_balancing_policy`");
    stream.say(Kind::Endpoints, vec![resource("a", "2", &good)], &[]).await;
    assert_eq!(scene.next_applied().await, ["endpoints a 0"], "never asked for `stranger`");

    stream.say(Kind::Routes, vec![resource(PRODUCT, "3", &routes(vec![route("a")]))], &[]).await;
    assert_eq!(scene.next_applied().await, ["routes product.shop:8080"]);
    let sync = scene.until("the mending", |sync| sync.kinds[3].rejection.is_none()).await;
    assert_eq!((sync.kinds[3].accepted, sync.kinds[3].rejected), (2, 1));
}

#[tokio::test]
async fn comes_back_with_what_it_holds_and_takes_only_what_changed() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let stream = serve_product(&mut scene).await;
    stream.fail(Status::unavailable("restarting")).await;
    let mut stream = scene.fake.next_stream().await;
    let mut requests: Vec<DeltaDiscoveryRequest> = Vec::new();
    for _ in Kind::ALL.iter().filter(|kind| **kind != Kind::Addresses) {
        requests.push(stream.hear().await.unwrap());
    }
    assert!(requests[0].node.is_some());
    let held = |request: &DeltaDiscoveryRequest| {
        let mut held: Vec<_> = request.initial_resource_versions.clone().into_iter().collect();
        held.sort();
        held
    };
    let version = |name: &str| (name.to_owned(), "1".to_owned());
    assert_eq!(requests[0].type_url, Kind::DenyList.type_url());
    assert_eq!(held(&requests[1]), [version("a")]);
    assert_eq!(requests[1].type_url, Kind::Cluster.type_url());
    assert_eq!(held(&requests[3]), [version(INBOUND), version(PRODUCT)]);

    // A server that does not look at the versions sends everything again.
    stream.say(Kind::Cluster, vec![resource("a", "1", &cluster("a"))], &[]).await;
    let two = endpoints("a", vec![endpoint("10.0.0.1", IDENTITY), endpoint("10.0.0.2", IDENTITY)]);
    stream.say(Kind::Endpoints, vec![resource("a", "2", &two)], &[]).await;
    assert_eq!(scene.next_applied().await, ["endpoints a 2"], "the cluster is as it was");
    assert!(scene.sync().synced);
}

#[tokio::test]
async fn a_rejected_version_is_not_held_the_one_before_is() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    let mut broken = cluster("a");
    broken.lb_policy = 3;
    let nonce = stream.say(Kind::Cluster, vec![resource("a", "2", &broken)], &[]).await;
    stream.hear_reply(&nonce).await;
    stream.fail(Status::unavailable("restarting")).await;
    let mut stream = scene.fake.next_stream().await;
    stream.hear().await.unwrap();
    let second = stream.hear().await.unwrap();
    assert_eq!(second.type_url, Kind::Cluster.type_url());
    assert_eq!(second.initial_resource_versions["a"], "1");
}

#[tokio::test]
async fn a_version_used_again_for_something_else_is_not_taken_for_the_same() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    let two = endpoints("a", vec![endpoint("10.0.0.1", IDENTITY), endpoint("10.0.0.2", IDENTITY)]);
    stream.say(Kind::Endpoints, vec![resource("a", "1", &two)], &[]).await;
    assert_eq!(scene.next_applied().await, ["endpoints a 2"]);
}

#[tokio::test]
async fn what_is_removed_leaves_with_all_that_only_it_used() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    stream.say(Kind::Listener, vec![], &[PRODUCT]).await;
    let expected = [
        "- Listener product.shop:8080",
        "- Routes product.shop:8080",
        "- Cluster a",
        "- Endpoints a",
    ];
    assert_eq!(scene.next_applied().await, expected);
    let unsubscribed = loop {
        let request = stream.hear().await.unwrap();
        if !request.resource_names_unsubscribe.is_empty() {
            break request;
        }
    };
    assert_eq!(unsubscribed.resource_names_unsubscribe, ["a"]);
    stream.say(Kind::Listener, vec![resource(PRODUCT, "2", &http_listener())], &[]).await;
    stream.hear_wish(Kind::Routes, PRODUCT).await;
}

#[tokio::test]
async fn a_route_waits_for_its_new_cluster_before_it_leaves_the_old_one() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    let nonce = stream
        .say(Kind::Routes, vec![resource(PRODUCT, "2", &routes(vec![route("b")]))], &[])
        .await;
    let ack = stream.hear_reply(&nonce).await;
    assert!(ack.error_detail.is_none(), "accepted at once, though not in force");
    stream.hear_wish(Kind::Cluster, "b").await;
    stream.say(Kind::Cluster, vec![resource("b", "1", &cluster("b"))], &["a"]).await;
    stream.hear_wish(Kind::Endpoints, "b").await;
    assert_eq!(scene.applied(), Vec::<String>::new(), "a stays, though removed");
    stream.say(Kind::Endpoints, vec![resource("b", "1", &endpoints("b", vec![]))], &[]).await;
    let expected =
        ["endpoints b 0", "cluster b", "routes product.shop:8080", "- Cluster a", "- Endpoints a"];
    assert_eq!(scene.next_applied().await, expected);
}

#[tokio::test]
async fn names_can_be_asked_for_while_running() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = serve_product(&mut scene).await;
    let order = "order.shop:80".to_owned();
    let demand = scene.handle.demand.clone();
    demand.send(Demand::Want(Kind::Listener, order.clone())).await.unwrap();
    stream.hear_wish(Kind::Listener, &order).await;
    stream.say(Kind::Listener, vec![], &[&order]).await;
    demand.send(Demand::Drop(Kind::Listener, order.clone())).await.unwrap();
    let dropped = loop {
        let request = stream.hear().await.unwrap();
        if !request.resource_names_unsubscribe.is_empty() {
            break request.resource_names_unsubscribe;
        }
    };
    assert_eq!(dropped, [order]);
}

#[tokio::test]
async fn a_refusal_is_shown_and_tried_again() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let stream = scene.fake.next_stream().await;
    stream.fail(Status::permission_denied("no MeshWorkload product-v1.shop")).await;
    let sync = scene.until("the error", |sync| sync.last_error.is_some()).await;
    assert_eq!(
        sync.last_error.as_deref(),
        Some("PermissionDenied: no MeshWorkload product-v1.shop")
    );
    serve_product(&mut scene).await;
    assert_eq!(scene.sync().last_error, None);
}

#[tokio::test]
async fn nothing_is_asked_for_without_credentials() {
    let mut scene = Scene::start_without_credentials(FakeControlPlane::start());
    tokio::task::yield_now().await;
    assert!(scene.fake.streams.try_recv().is_err());
    scene.credentials.send_replace(Some(scene.fake.credentials()));
    scene.fake.next_stream().await;
}

#[tokio::test]
async fn a_response_of_a_type_never_asked_for_ends_the_stream() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let mut stream = scene.fake.next_stream().await;
    stream.say_type("type.googleapis.com/acme.Thing").await;
    let sync = scene.until("the error", |sync| sync.last_error.is_some()).await;
    let error = sync.last_error.unwrap();
    assert!(error.contains("\"type.googleapis.com/acme.Thing\", never asked for"), "{error}");
}

#[test]
fn the_client_can_run_on_any_runtime() {
    fn sendable<T: Send>(_: impl FnOnce(super::Client) -> T) {}
    sendable(super::Client::run);
}

/// Words for a change, to compare with.
fn word(change: &Change) -> String {
    match change {
        Change::Outbound(listener) => format!("outbound {}", listener.name),
        Change::Inbound(listener) => format!("inbound {}", listener.name),
        Change::Routes(table) => format!("routes {}", table.name),
        Change::Cluster(spec) => format!("cluster {}", spec.name),
        Change::Endpoints(spec) => format!("endpoints {} {}", spec.cluster, spec.endpoints.len()),
        Change::Addresses(all) => {
            let names: Vec<&str> = all.iter().map(|one| &*one.listener).collect();
            format!("addresses {}", names.join(" "))
        }
        Change::DenyList(list) => format!("denied {}", list.len()),
        Change::Removed(kind, name) => format!("- {kind:?} {name}"),
    }
}
