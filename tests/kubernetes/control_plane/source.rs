//! What the API server has becomes what proxies are told: who is behind a Service, where it is dialled, what a pod's
//! probes ask.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weft_proto::config::Addresses;
use weft_proto::envoy::listener::Listener;
use weft_proto::names::{metadata, type_url};

use super::proxy::Proxy;
use super::scene::{Replica, SOON, Scene};
use crate::harness::eventually;

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: order, namespace: shop}
spec: {clusterIP: 10.96.1.1, selector: {app: order}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: database, namespace: shop}
spec: {clusterIP: 10.96.1.2, ports: [{name: sql, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: shop}
spec: {clusterIP: None, selector: {app: order}, ports: [{name: http, port: 9090}]}
";

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
const NAMES: [&str; 3] = ["order.shop:80", "database.shop:5432", "peers.shop:9090"];
const WEB: (&str, &str) = ("web-1", "web");

/// An endpoint of a slice; in `state` as the endpoint controller writes it: `ready`, `starting`, `leaving`.
fn endpoint(pod: &str, address: &str, state: &str) -> Value {
    let (ready, serving) = (state == "ready", state != "starting");
    let mut endpoint = json!({ "addresses": [address],
        "conditions": { "ready": ready, "serving": serving, "terminating": state == "leaving" } });
    if !pod.is_empty() {
        endpoint["targetRef"] = json!({ "kind": "Pod", "name": pod, "namespace": "shop" });
    }
    endpoint
}

async fn slice(scene: &Scene, service: &str, port: (&str, u16), endpoints: &[Value]) {
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": format!("{service}-1"), "labels": { "kubernetes.io/service-name": service } },
        "ports": [{ "name": port.0, "port": port.1, "protocol": "TCP" }],
        "endpoints": endpoints,
    });
    scene.server.post(SLICES, &slice).await.expect("it is taken");
}

/// The endpoint controller changes its mind.
pub(super) async fn change(scene: &Scene, slice: &str, endpoints: &[Value]) {
    let (path, patch) = (format!("{SLICES}/{slice}"), json!({ "endpoints": endpoints }));
    // An API server that starts refuses for a moment what roles allow.
    eventually("it is taken", SOON, async || scene.server.merge(&path, &patch).await).await;
}

/// A shop: a caller, an order service of two pods with a headless twin, and a database outside.
pub(super) async fn shop(scene: &Scene) {
    scene.server.apply(SERVICES).await;
    scene.running("web-1", "web", "10.1.0.4").await;
    scene.running("order-1", "order", "10.1.0.5").await;
    scene.running("order-2", "order", "10.1.0.6").await;
    let both = [ready("order-1", "10.1.0.5"), ready("order-2", "10.1.0.6")];
    slice(scene, "order", ("http", 8080), &both).await;
    slice(scene, "peers", ("http", 9090), &both).await;
    slice(scene, "database", ("sql", 15432), &[endpoint("", "192.0.2.7", "ready")]).await;
}

pub(super) fn ready(pod: &str, address: &str) -> Value {
    endpoint(pod, address, "ready")
}

/// The caller's proxy, which has been told all of the shop.
pub(super) async fn caller(scene: &Scene, replica: &Replica) -> Proxy {
    let authority = scene.authority().await;
    // A pod that a replica has seen is told to proxies a little later.
    let connect = async || {
        let connected = Proxy::connect(replica, &authority, WEB, &NAMES, Default::default());
        Box::pin(connected).await?.let_in().await
    };
    let mut proxy = eventually("it is a pod of the mesh", SOON, connect).await;
    becomes(&mut proxy, "order.shop:80", &["10.1.0.5:8080", "10.1.0.6:8080"]).await;
    // Its address outside, at the port that the slice names; and the headless twin.
    becomes(&mut proxy, "database.shop:5432", &["192.0.2.7:15432"]).await;
    becomes(&mut proxy, "peers.shop:9090", &["10.1.0.5:9090", "10.1.0.6:9090"]).await;
    proxy
}

/// Waits until a Service port has these endpoints.
pub(super) async fn becomes(proxy: &mut Proxy, name: &str, wanted: &[&str]) {
    let what = format!("{name} becomes {wanted:?}");
    proxy
        .until(&what, |proxy| {
            let found = proxy.endpoints(name)?;
            ensure!(found == wanted, "{found:?}");
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn endpoints_follow_the_slices() {
    let Some(scene) = Scene::start("slices").await else { return };
    let replica = scene.replica("one").await;
    shop(&scene).await;
    let mut proxy = caller(&scene, &replica).await;
    let order = "order.shop:80";
    let first = ready("order-1", "10.1.0.5");
    let second = |state| endpoint("order-2", "10.1.0.6", state);
    change(&scene, "order-1", &[first.clone(), second("starting")]).await;
    becomes(&mut proxy, order, &["10.1.0.5:8080"]).await;
    change(&scene, "order-1", &[first.clone(), second("ready")]).await;
    becomes(&mut proxy, order, &["10.1.0.5:8080", "10.1.0.6:8080"]).await;
    // One that ends serves what it has and gets nothing new.
    change(&scene, "order-1", &[first, second("leaving")]).await;
    becomes(&mut proxy, order, &["-10.1.0.6:8080", "10.1.0.5:8080"]).await;
    change(&scene, "database-1", &[endpoint("", "192.0.2.8", "ready")]).await;
    becomes(&mut proxy, "database.shop:5432", &["192.0.2.8:15432"]).await;
    // An empty list is told as that: a removal would leave the proxy with what it has.
    scene.server.delete(&format!("{SLICES}/order-1")).await.unwrap();
    becomes(&mut proxy, order, &[]).await;
    becomes(&mut proxy, "peers.shop:9090", &["10.1.0.5:9090", "10.1.0.6:9090"]).await;
}

fn ips(addresses: &[weft_proto::config::Address]) -> Vec<String> {
    let text = |address: &weft_proto::config::Address| {
        let ip: Vec<_> = address.ip.iter().map(u8::to_string).collect();
        format!("{}:{}", ip.join("."), address.port)
    };
    let mut all: Vec<_> = addresses.iter().map(text).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_proxy_that_intercepts_is_told_where_services_are_dialled() {
    let Some(scene) = Scene::start("addresses").await else { return };
    shop(&scene).await;
    let replica = scene.replica("one").await;
    let mut proxy = caller(&scene, &replica).await;
    proxy.subscribe(type_url::ADDRESSES, &NAMES).await;
    let found = |proxy: &Proxy, name: &str| -> Result<(Vec<String>, Vec<String>)> {
        let found: Addresses = proxy.resource(type_url::ADDRESSES, name)?;
        Ok((ips(&found.service), ips(&found.endpoints)))
    };
    let order = proxy.until("order's addresses", |proxy| found(proxy, "order.shop:80")).await;
    assert_eq!(order.0, ["10.96.1.1:80"]);
    let peers = proxy.until("the headless one's", |proxy| found(proxy, "peers.shop:9090")).await;
    assert!(peers.0.is_empty(), "it has none of its own: {peers:?}");
    assert_eq!(peers.1, ["10.1.0.5:9090", "10.1.0.6:9090"]);
    let database = proxy.until("the database's", |proxy| found(proxy, "database.shop:5432")).await;
    assert_eq!(database.0, ["10.96.1.2:5432"]);
}

#[tokio::test]
async fn a_pods_own_proxy_knows_its_probes_and_no_other_does() {
    let Some(scene) = Scene::start("probes").await else { return };
    let replica = scene.replica("one").await;
    let container = json!({
        "ports": [{ "name": "web", "containerPort": 8080 }],
        "readinessProbe": { "httpGet": { "path": "/ready", "port": "web" } },
        "livenessProbe": { "tcpSocket": { "port": 8081 } },
        "startupProbe": { "grpc": { "port": 9000 } },
    });
    scene.pod("web-1", "web", &container).await;
    scene.phase("web-1", "Running", "10.1.0.4").await;
    scene.running("order-1", "order", "10.1.0.5").await;
    replica.has("MeshWorkload", 2).await;
    let authority = scene.authority().await;
    let connect = async || {
        let connected = Proxy::connect(&replica, &authority, WEB, &NAMES, Default::default());
        Box::pin(connected).await?.let_in().await
    };
    let mut proxy = eventually("it is a pod of the mesh", SOON, connect).await;
    proxy.subscribe(type_url::LISTENER, &["inbound/shop/web-1", "inbound/shop/order-1"]).await;
    let listener: Listener = proxy
        .until("its listener", |proxy| proxy.resource(type_url::LISTENER, "inbound/shop/web-1"))
        .await;
    let probes = &listener.metadata.unwrap().filter_metadata[metadata::PROBES];
    let mut asked: Vec<_> = probes.fields.keys().map(String::as_str).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["8080", "8081", "9000"]);
    let paths = format!("{probes:?}");
    assert!(
        paths.contains("\"/ready\"") && paths.contains("/grpc.health.v1.Health/Check"),
        "{paths}"
    );
    let foreign: Result<Listener> = proxy.resource(type_url::LISTENER, "inbound/shop/order-1");
    assert!(foreign.is_err(), "another pod's is nobody else's business");
}

/// A proxy that comes from a replica that is gone has everything already: it is told nothing again, and above all not that
/// something is gone which is only not read yet.
#[tokio::test]
async fn one_that_starts_says_the_whole_truth_at_first() {
    let Some(scene) = Scene::start("truth").await else { return };
    shop(&scene).await;
    let one = scene.replica("one").await;
    let proxy = caller(&scene, &one).await;
    let held = proxy.into_held();
    one.process().kill();

    let two = scene.spawn("two");
    let authority = scene.authority().await;
    // As soon as anybody listens, ready or not.
    eventually("it listens", SOON, async || {
        two.process().pid()?;
        tokio::net::TcpStream::connect(two.address()).await?;
        Ok(())
    })
    .await;
    let connected = Proxy::connect(&two, &authority, WEB, &NAMES, held).await;
    let mut proxy = connected.expect("its pod is known from the first moment");
    change(&scene, "order-1", &[ready("order-2", "10.1.0.6")]).await;
    becomes(&mut proxy, "order.shop:80", &["10.1.0.6:8080"]).await;
    assert_eq!(proxy.told, ["order.shop:80"], "this has changed, and nothing else");
}
