//! Whose measurement is shown where, and under which name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::stat;
use crate::model::{Key, Mesh, Origin, Service, Workload};
use crate::telemetry::store::{Direction, EdgeKey};
use crate::telemetry::tally::{Counters, Increment, Tally};

fn labels(app: &str, version: &str) -> BTreeMap<String, String> {
    [("app", app), ("version", version)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn workload(name: &str, app: &str, meshed: bool) -> (Key, Workload) {
    let key = Key::new("shop", name);
    let workload = Workload {
        key: key.clone(),
        origin: Origin::default(),
        address: [127, 0, 0, 1].into(),
        ports: Vec::new(),
        service_account: app.to_owned(),
        labels: labels(app, "v1"),
        probes: vec![],
        meshed,
        locality: Default::default(),
        draining: false,
    };
    (key, workload)
}

fn service(name: &str, app: &str) -> (Key, Service) {
    let key = Key::new("shop", name);
    let service = Service {
        key: key.clone(),
        origin: Origin::default(),
        cluster_ips: vec![],
        ports: Vec::new(),
        selector: [("app".to_owned(), app.to_owned())].into(),
        listed: None,
    };
    (key, service)
}

/// `gateway` and two workloads of `product` with sidecars, `legacy` without one.
fn shop() -> Mesh {
    Mesh {
        workloads: [
            workload("gateway-0", "gateway", true),
            workload("product-v1", "product", true),
            workload("product-v2", "product", true),
            workload("legacy", "legacy", false),
        ]
        .into(),
        services: [service("product", "product"), service("old", "legacy")].into(),
        ..Mesh::default()
    }
}

fn edge(direction: Direction, reporter: &str, peer: &str, requests: u64) -> (EdgeKey, Tally) {
    let key = EdgeKey {
        direction,
        reporter: Arc::from(reporter),
        peer: Box::from(peer),
        route: Box::from(""),
        backend: Box::from(""),
    };
    let mut tally = Tally::default();
    let counters =
        Counters { requests, failures: requests / 4, mtls: requests, ..Counters::default() };
    let latency = if requests > 0 { vec![(40, 1)] } else { Vec::new() };
    tally.add(&Increment { counters, latency, errors: Vec::new() });
    (key, tally)
}

fn show(edges: Vec<(EdgeKey, Tally)>) -> Value {
    let edges: Vec<_> = edges;
    let tallies = edges.iter().map(|(key, tally)| (key, tally.clone()));
    serde_json::to_value(stat(tallies, &shop(), 10)).unwrap()
}

const GATEWAY_ID: &str = "spiffe://cluster.local/ns/shop/sa/gateway";

#[test]
fn without_traffic_every_workload_is_listed_with_nulls() {
    let answer = show(vec![]);
    let names: Vec<_> =
        answer["workloads"].as_array().unwrap().iter().map(|w| &w["workload"]).collect();
    assert_eq!(names, ["gateway-0.shop", "legacy.shop", "product-v1.shop", "product-v2.shop"]);
    assert_eq!(
        answer["workloads"][2],
        json!({
            "name": "product", "namespace": "shop", "version": "v1", "workload": "product-v1.shop",
            "meshed": true, "identity": "spiffe://cluster.local/ns/shop/sa/product",
            "requests": 0, "rps": 0.0, "success_rate": null, "p50_ms": null, "p99_ms": null,
            "mtls_share": null, "retries": 0,
        })
    );
    assert_eq!((&answer["edges"], &answer["routes"]), (&json!([]), &json!([])));
}

#[test]
fn a_workload_is_measured_by_its_own_sidecar_from_all_sources() {
    let answer = show(vec![
        edge(Direction::Inbound, "product-v1.shop", GATEWAY_ID, 8),
        edge(Direction::Inbound, "product-v1.shop", "", 8),
        edge(Direction::Outbound, "gateway-0.shop", "product.shop:8080", 1000),
    ]);
    let product = &answer["workloads"][2];
    assert_eq!(product["requests"], 16);
    assert_eq!(product["rps"], 1.6);
    assert_eq!(product["success_rate"], 0.75);
    assert!(product["p50_ms"].is_f64());
}

#[test]
fn an_edge_is_measured_by_its_caller_and_named_after_the_service() {
    let answer = show(vec![
        edge(Direction::Outbound, "gateway-0.shop", "product.shop:8080", 20),
        edge(Direction::Outbound, "gateway-0.shop", "product.shop:9090", 20),
        edge(Direction::Inbound, "product-v1.shop", GATEWAY_ID, 1000),
    ]);
    let edges = answer["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 1, "{edges:?}");
    assert_eq!(edges[0]["source"], "gateway");
    assert_eq!(edges[0]["destination"], "product");
    assert_eq!(edges[0]["requests"], 40);
    assert_eq!((&edges[0]["mesh"], &edges[0]["mtls_share"]), (&json!(true), &json!(1.0)));
}

#[test]
fn plaintext_sources_become_one_outside_edge_per_destination() {
    let answer = show(vec![
        edge(Direction::Inbound, "product-v1.shop", "", 4),
        edge(Direction::Inbound, "product-v2.shop", "", 4),
        edge(Direction::Inbound, "gateway-0.shop", "", 4),
    ]);
    let edges = answer["edges"].as_array().unwrap();
    let shown: Vec<_> = edges
        .iter()
        .map(|e| (&e["source"], &e["destination"], &e["requests"], &e["mesh"]))
        .collect();
    let row = |to, requests| (json!("outside"), json!(to), json!(requests), json!(false));
    let expected = [row("gateway", 4), row("product", 8)];
    assert_eq!(shown, expected.iter().map(|(a, b, c, d)| (a, b, c, d)).collect::<Vec<_>>());
}

#[test]
fn an_edge_to_what_has_no_sidecar_is_not_of_the_mesh() {
    for (peer, mesh) in [
        ("product.shop:8080", true),
        ("old.shop:80", false),
        ("gone.shop:80", true),
        ("10.0.0.1:5432", false),
    ] {
        let answer = show(vec![edge(Direction::Outbound, "gateway-0.shop", peer, 1)]);
        assert_eq!(answer["edges"][0]["mesh"], mesh, "{peer}: {}", answer["edges"]);
    }
}

#[test]
fn routes_are_told_apart_by_route_and_backend() {
    let row = |route: &str, backend: &str| {
        let (mut key, tally) = edge(Direction::Outbound, "gateway-0.shop", "product.shop:8080", 4);
        (key.route, key.backend) = (Box::from(route), Box::from(backend));
        (key, tally)
    };
    let answer = show(vec![
        row("HTTPRoute/shop/canary#0", "product-v2.shop:8080"),
        row("HTTPRoute/shop/canary#0", "product-v1.shop:8080"),
        row("", ""),
    ]);
    let routes = answer["routes"].as_array().unwrap();
    let shown: Vec<_> =
        routes.iter().map(|r| (r["route"].as_str(), r["backend"].as_str())).collect();
    let canary = Some("HTTPRoute/shop/canary#0");
    assert_eq!(
        shown,
        [
            (Some(""), Some("")),
            (canary, Some("product-v1.shop:8080")),
            (canary, Some("product-v2.shop:8080"))
        ]
    );
    assert_eq!(answer["edges"].as_array().unwrap().len(), 1);
    assert_eq!(answer["edges"][0]["requests"], 12);
}

#[test]
fn a_workload_that_is_gone_shows_while_the_window_holds_traffic_of_it() {
    let gone = |requests| {
        show(vec![edge(Direction::Outbound, "cart-7.shop", "product.shop:8080", requests)])
    };
    assert_eq!(gone(1)["edges"][0]["source"], "cart-7");
    assert_eq!(gone(0)["edges"], json!([]));
    let idle = show(vec![edge(Direction::Outbound, "gateway-0.shop", "product.shop:8080", 0)]);
    assert_eq!(idle["edges"][0]["success_rate"], json!(null));
}
