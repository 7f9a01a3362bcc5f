//! What is in force while the API server's objects change, break and go.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

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

#[test]
fn a_pod_of_a_lost_node_stays_while_nobody_else_is_ready() {
    let mut objects = Objects::default();
    service(&mut objects, &json!([{"name": "http", "port": 80}]));
    let slice: EndpointSlice = serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false},
                       "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a"}}],
        "ports": [{"name": "http", "port": 8080}],
    }))
    .unwrap();
    objects.apply_slice(key("web-1"), &slice);
    let pod = |ready: &str| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "shop"}, "spec": {"containers": []},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [
                {"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": ready}]},
        }))
        .unwrap()
    };
    for (ready, expected) in
        [("True", &["10.0.0.1:8080"][..]), ("False", &[]), ("True", &["10.0.0.1:8080"])]
    {
        objects.apply_pod(&key("a"), pod(ready));
        assert_eq!(endpoints(&objects), expected, "containers ready: {ready}");
    }
}
