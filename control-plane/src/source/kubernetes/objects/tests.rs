//! What is in force while the API server's objects change, break and go.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::super::last_resort::HELD;
use super::Objects;
use crate::model::{AppProtocol, Key, Locality};
use crate::source::object::Kind;

fn key(name: &str) -> Key {
    Key::new("shop", name)
}

fn metadata(name: &str, generation: u64) -> Value {
    // As an API server has it, with fields of its own.
    json!({"name": name, "namespace": "shop", "generation": generation, "uid": "u", "newField": {}})
}

fn service(objects: &mut Objects, ports: &Value) {
    let spec = json!({"clusterIP": "10.96.0.7", "selector": {"app": "web"}, "ports": ports,
                      "ipFamilies": ["IPv4"], "fromTheFuture": true});
    let status = json!({"loadBalancer": {}});
    objects.apply(
        Kind::Service,
        json!({"metadata": metadata("web", 0), "spec": spec, "status": status}),
    );
}

fn pod(objects: &mut Objects, name: &str, address: &str, node: &str) {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop", "annotations": {"weft.dev/injected": "1"}},
        "spec": {"containers": [], "nodeName": node, "serviceAccountName": "web"},
        "status": {"phase": "Running", "podIP": address},
    }))
    .unwrap();
    objects.apply_pod(&key(name), pod);
}

fn slice(objects: &mut Objects, pods: &[(&str, &str)]) {
    let endpoint = |(name, address): &(&str, &str)| {
        json!({"addresses": [address], "conditions": {"ready": true},
               "targetRef": {"kind": "Pod", "namespace": "shop", "name": name}})
    };
    let slice: EndpointSlice = serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "http", "port": 8080}],
    }))
    .unwrap();
    objects.apply_slice(key("web-1"), &slice);
}

/// The endpoints of port `http` of Service `web`.
fn endpoints(objects: &Objects) -> Vec<String> {
    let (mesh, _) = objects.mesh();
    let index = mesh.endpoint_index();
    let Some(service) = mesh.services.get(&key("web")) else { return Vec::new() };
    let found = index.endpoints_of(service, &service.ports[0]);
    found.iter().map(|e| format!("{}:{}", e.workload.address, e.port)).collect()
}

#[test]
fn endpoints_are_what_the_slices_say_in_whatever_order_they_come() {
    let http = json!([{"name": "http", "port": 80, "targetPort": "http"}]);
    let (mut one, mut other) = (Objects::default(), Objects::default());
    service(&mut one, &http);
    pod(&mut one, "a", "10.0.0.1", "n1");
    slice(&mut one, &[("a", "10.0.0.1")]);

    slice(&mut other, &[("a", "10.0.0.1")]);
    pod(&mut other, "a", "10.0.0.1", "n1");
    service(&mut other, &http);
    assert_eq!(endpoints(&one), ["10.0.0.1:8080"]);
    assert_eq!(endpoints(&other), endpoints(&one));

    slice(&mut one, &[]);
    assert_eq!(endpoints(&one), [] as [&str; 0]);
    slice(&mut one, &[("a", "10.0.0.1"), ("b", "10.0.0.2")]);
    assert_eq!(endpoints(&one), ["10.0.0.1:8080"], "a pod that is not known yet");
    one.forget_slice(&key("web-1"));
    assert_eq!(endpoints(&one), [] as [&str; 0]);
}

#[test]
fn a_services_protocol_is_its_pods_too() {
    let mut objects = Objects::default();
    service(&mut objects, &json!([{"name": "http", "port": 80, "targetPort": 8080}]));
    pod(&mut objects, "a", "10.0.0.1", "n1");
    slice(&mut objects, &[("a", "10.0.0.1")]);
    let (mesh, _) = objects.mesh();
    let ports = &mesh.workloads[&key("a")].ports;
    assert_eq!((ports[0].port, ports[0].protocol), (8080, AppProtocol::Http));
}

#[test]
fn a_pod_is_where_its_node_is_whichever_is_told_first() {
    let mut objects = Objects::default();
    pod(&mut objects, "a", "10.0.0.1", "n1");
    let place = Locality { region: "r".to_owned(), zone: "z".to_owned(), sub_zone: String::new() };
    objects.place("n1", Some(place.clone()));
    pod(&mut objects, "b", "10.0.0.2", "n1");
    let (mesh, _) = objects.mesh();
    assert_eq!(mesh.workloads[&key("a")].locality, place);
    assert_eq!(mesh.workloads[&key("b")].locality, place);
}

fn route(objects: &mut Objects, generation: u64, backend: &Value) {
    let spec = json!({"parentRefs": [{"group": "", "kind": "Service", "name": "web"}],
                      "rules": [{"backendRefs": [backend]}]});
    objects
        .apply(Kind::HttpRoute, json!({"metadata": metadata("split", generation), "spec": spec}));
}

#[test]
fn a_broken_object_keeps_its_last_good_generation_and_a_deleted_one_is_gone() {
    let mut objects = Objects::default();
    service(&mut objects, &json!([{"name": "http", "port": 80}]));
    route(&mut objects, 3, &json!({"name": "web", "port": 80}));
    let generation =
        |objects: &Objects| objects.mesh().0.routes.first().map(|r| r.origin.generation);
    assert_eq!(generation(&objects), Some(3));

    route(&mut objects, 4, &json!({"name": "web", "port": 80, "wieght": 3}));
    assert_eq!(generation(&objects), Some(3));
    let (_, findings) = objects.mesh();
    let said = findings.iter().find(|f| f.object == "HTTPRoute shop/split").unwrap();
    assert!(said.message.contains("generation 3, stays in force"), "{said}");
    let raw = objects.raw();
    let newest = &raw[&("HTTPRoute".to_owned(), "shop".to_owned(), "split".to_owned())];
    assert_eq!(newest["metadata"]["generation"], 4);

    objects.delete(Kind::HttpRoute, &key("split"));
    assert_eq!((generation(&objects), objects.raw().len()), (None, 0));
}

#[test]
fn what_every_cluster_has_is_no_finding() {
    let mut objects = Objects::default();
    objects.apply(Kind::Service, json!({"metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]}}));
    pod(&mut objects, "lonely", "10.0.0.9", "n1");
    assert_eq!(objects.mesh().1, []);
}

/// Service `web` with the slice of its only pod, of this `uid`, ready or not.
fn only(objects: &mut Objects, uid: &str, ready: bool) {
    let slice: EndpointSlice = serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
                       "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a", "uid": uid}}],
        "ports": [{"name": "http", "port": 8080}],
    }))
    .unwrap();
    service(objects, &json!([{"name": "http", "port": 80}]));
    objects.apply_slice(key("web-1"), &slice);
}

/// That pod; `changed` is merged into it.
fn its_pod(changed: &Value) -> Pod {
    let mut pod = json!({
        "metadata": {"name": "a", "namespace": "shop", "uid": "1"}, "spec": {"containers": []},
        "status": {"phase": "Running", "podIP": "10.0.0.1",
                   "conditions": [{"type": "ContainersReady", "status": "False"}]},
    });
    for (part, fields) in changed.as_object().into_iter().flatten() {
        for (field, value) in fields.as_object().into_iter().flatten() {
            pod[part][field] = value.clone();
        }
    }
    serde_json::from_value(pod).unwrap()
}

#[test]
fn a_pod_of_a_lost_node_stays_while_nobody_else_is_ready() {
    let mut objects = Objects::default();
    only(&mut objects, "1", false);
    for (ready, expected) in
        [("True", &["10.0.0.1:8080"][..]), ("False", &[]), ("True", &["10.0.0.1:8080"])]
    {
        let conditions = json!([
            {"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": ready}]);
        objects.apply_pod(&key("a"), its_pod(&json!({"status": {"conditions": conditions}})));
        assert_eq!(endpoints(&objects), expected, "containers ready: {ready}");
    }
    assert_eq!(objects.due(), None);
}

/// Seen ready at 100 s, then unready.
fn held() -> Objects {
    let mut objects = Objects::default();
    only(&mut objects, "1", true);
    objects.apply_pod(&key("a"), its_pod(&json!({})));
    objects.advance(Duration::from_secs(100));
    assert_eq!(objects.due(), None);
    only(&mut objects, "1", false);
    assert_eq!(endpoints(&objects), ["10.0.0.1:8080"]);
    assert_eq!(objects.due(), Some(Duration::from_secs(100) + HELD));
    objects
}

#[test]
fn who_was_ready_a_moment_ago_is_held_until_the_time_is_over() {
    let mut objects = held();
    objects.advance(Duration::from_secs(99) + HELD);
    assert_eq!(endpoints(&objects), ["10.0.0.1:8080"]);
    objects.advance(Duration::from_secs(100) + HELD);
    assert_eq!((endpoints(&objects).len(), objects.due()), (0, None));

    let mut objects = held();
    only(&mut objects, "1", true);
    assert_eq!(objects.due(), None, "it is ready again");
    objects.advance(Duration::from_secs(200));
    assert_eq!(endpoints(&objects), ["10.0.0.1:8080"]);
    only(&mut objects, "1", false);
    assert_eq!(objects.due(), Some(Duration::from_secs(200) + HELD), "a time of its own");
}

#[test]
fn who_ends_goes_or_is_made_anew_is_held_no_more() {
    let now = "2026-01-01T00:00:00Z";
    for (what, changed) in [
        ("ends", json!({"metadata": {"deletionTimestamp": now}})),
        ("has ended", json!({"status": {"phase": "Failed"}})),
        ("is another", json!({"metadata": {"uid": "2"}})),
        ("is elsewhere", json!({"status": {"podIP": "10.0.0.2"}})),
    ] {
        let mut objects = held();
        objects.apply_pod(&key("a"), its_pod(&changed));
        assert_eq!((endpoints(&objects).len(), objects.due()), (0, None), "{what}");
    }
    let mut objects = held();
    objects.delete_pod(&key("a"));
    assert_eq!(objects.due(), None);
    // The one that comes in its place, at its address, was never ready.
    objects.apply_pod(&key("a"), its_pod(&json!({"metadata": {"uid": "2"}})));
    only(&mut objects, "2", false);
    assert_eq!(endpoints(&objects), [] as [&str; 0]);
    objects.forget_slice(&key("web-1"));
    assert_eq!(endpoints(&objects), [] as [&str; 0]);
}

#[test]
fn of_a_slice_that_is_written_anew_what_was_seen_is_kept() {
    let mut objects = held();
    only(&mut objects, "1", true);
    objects.forget_slice(&key("web-1"));
    only(&mut objects, "1", false);
    assert_eq!(endpoints(&objects), ["10.0.0.1:8080"]);
    let mut fresh = Objects::default();
    fresh.apply_pod(&key("a"), its_pod(&json!({})));
    only(&mut fresh, "1", false);
    assert_eq!(endpoints(&fresh), [] as [&str; 0], "one that starts has seen nobody");
}

#[test]
fn a_slice_that_names_no_pod_finds_the_meshed_one_at_its_address() {
    let by_hand: EndpointSlice = serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {"name": "by-hand", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "ports": [{"name": "http", "port": 8080}],
    }))
    .unwrap();
    let mut objects = Objects::default();
    service(&mut objects, &json!([{"name": "http", "port": 80}]));
    objects.apply_slice(key("by-hand"), &by_hand);
    let behind = |objects: &Objects| {
        let (mesh, _) = objects.mesh();
        let listed = mesh.services[&key("web")].listed.clone().unwrap();
        let names = listed.iter().map(|one| {
            let workload = &mesh.workloads[&one.workload];
            format!("{} {}", one.workload.name, workload.meshed)
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(behind(&objects), ["web-10-0-0-1 false"]);
    pod(&mut objects, "a", "10.0.0.1", "n1");
    assert_eq!(behind(&objects), ["a true"], "it is called over mutual TLS");
    // Its address goes to another before its end is told.
    pod(&mut objects, "b", "10.0.0.1", "n1");
    objects.delete_pod(&key("a"));
    assert_eq!(behind(&objects), ["b true"]);
    pod(&mut objects, "b", "10.0.0.2", "n1");
    assert_eq!(behind(&objects), ["web-10-0-0-1 false"]);
}
