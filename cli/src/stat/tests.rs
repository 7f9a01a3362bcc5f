//! The tables people read, and the JSON programs read.

use serde_json::json;

use super::*;
use crate::golden;

/// As `GET /v1/stat` has it: a service that fails, one in another namespace with the longest name that there may be, one
/// without traffic and without a sidecar; an edge from outside; a route of a tenth.
pub(super) fn shop() -> Stat {
    let golden = |requests: u64, success: Option<f64>, p50: Option<f64>, p99: Option<f64>| {
        json!({"requests": requests, "rps": f64::from(u32::try_from(requests).unwrap()) / 10.0, "success_rate": success,
               "p50_ms": p50, "p99_ms": p99, "retries": requests / 4})
    };
    let with = |mut row: Value, more: Value| {
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let workload = |name: &str, namespace: &str, version: &str, meshed: bool| {
        json!({"name": name, "namespace": namespace, "version": version, "workload": format!("{name}-{version}.{namespace}"),
               "meshed": meshed, "identity": format!("spiffe://demo.local/ns/{namespace}/sa/{name}")})
    };
    let edge = |source: &str, namespace: &str, destination: &str, mesh: bool| {
        json!({"source": source, "source_namespace": namespace, "destination": destination, "namespace": "shop", "mesh": mesh,
               "connections": 3, "bytes_sent": 1200, "bytes_received": 51_000})
    };
    let route = |route: &str, backend: &str| {
        json!({"source": "gateway", "source_namespace": "shop", "destination": "product", "namespace": "shop", "route": route,
               "backend": backend, "errors": {}})
    };
    let long = "a-service-with-the-longest-name-that-a-label-of-the-dns-may-have";
    let none = golden(0, None, None, None);
    let all = golden(10_000, Some(0.9996), Some(9.0), Some(118.4));
    serde_json::from_value(json!({
        "schema_version": 1, "window_s": 10,
        "workloads": [
            with(with(workload("payment", "shop", "v1", true), golden(60, Some(0.85), Some(5.04), Some(31.0))), json!({"mtls_share": 1.0})),
            with(with(workload(long, "orders", "2026-11-28", true), golden(8, Some(1.0), Some(2.0), Some(12_345.0))), json!({"mtls_share": 0.5})),
            with(with(workload("idle", "shop", "v1", false), none), json!({"mtls_share": null}))],
        "edges": [
            with(with(edge("outside", "", "gateway", false), all), json!({"mtls_share": 0.0, "errors": {}})),
            with(with(edge("order", "shop", "payment", true), golden(60, Some(0.85), Some(4.9), Some(30.0))),
                 json!({"mtls_share": 1.0, "errors": {"http_response_timeout": 2}}))],
        "routes": [
            with(route("HTTPRoute/shop/product#0", "product-v1.shop:8080"), golden(72, Some(1.0), Some(1.1), Some(4.0))),
            with(route("HTTPRoute/shop/product#0", "product-v2.shop:8080"), golden(8, Some(1.0), Some(2.0), Some(12_345.0)))],
    }))
    .unwrap()
}

fn of(view: StatView, format: Format) -> String {
    draw(view, &shop(), format)
}

#[test]
fn tables() {
    golden::plain("stat", "workloads", &of(StatView::Workloads, Format::Table));
    golden::colored("stat", "workloads", &of(StatView::Workloads, Format::Table));
    golden::plain("stat", "workloads-wide", &of(StatView::Workloads, Format::Wide));
    golden::plain("stat", "edges", &of(StatView::Edges, Format::Table));
    golden::plain("stat", "edges-wide", &of(StatView::Edges, Format::Wide));
    golden::plain("stat", "routes", &of(StatView::Routes, Format::Table));
    golden::plain("stat", "nothing", &draw(StatView::Edges, &Stat::default(), Format::Table));
}

#[test]
fn json_has_all_views_or_the_one_that_was_asked_for() {
    let value = serde_json::to_value(shop()).unwrap();
    golden::json("stat", "all", &value);
    let edges = only(StatView::Edges, value);
    assert_eq!(edges["schema_version"], 1);
    assert!(edges["edges"].is_array() && edges.get("workloads").is_none());
    let nothing = Stat { schema_version: 1, window_s: 10.into(), ..Stat::default() };
    golden::json("stat", "nothing", &nothing);
}

#[test]
fn shares_are_cut_not_rounded_up_to_all() {
    let edges = of(StatView::Edges, Format::Table);
    assert!(edges.contains("99.9%") && !edges.contains("100.0%"), "{edges}");
}
