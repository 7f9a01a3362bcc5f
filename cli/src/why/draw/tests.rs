//! What people and programs read.

use serde_json::{Value, json};

use super::super::facts::{Gathered, Lookup};
use super::super::{checks, diagnosis, gather};
use super::*;
use crate::golden;

/// Gateway → order → payment, whose application fails, as the control plane tells it.
fn requests() -> Value {
    let attempt = |status: u16, began: u64| json!({"endpoint": "127.0.0.4:8080", "workload": "payment-v1.shop", "began_us": began, "took_us": 4100, "status": status});
    let id = "6d5b6b9e-0b1c-4c5e-9a3e-2f6a4de2f0aa";
    json!({"requests": [
        {"workload": "gateway.shop", "direction": "outbound", "at_ms": 1_780_000_000_900_i64, "method": "POST", "path": "/checkout",
         "identity": "spiffe://demo.local/ns/shop/sa/gateway", "service": "order.shop:8080", "peer_workload": "order-v1.shop", "status": 500, "request_id": id},
        {"workload": "payment-v1.shop", "direction": "inbound", "at_ms": 1_780_000_000_500_i64, "method": "POST", "path": "/charge", "status": 503,
         "identity": "spiffe://demo.local/ns/shop/sa/payment", "peer_identity": "spiffe://demo.local/ns/shop/sa/order", "request_id": id},
        {"workload": "order-v1.shop", "direction": "outbound", "at_ms": 1_780_000_000_500_i64, "method": "POST", "path": "/charge",
         "identity": "spiffe://demo.local/ns/shop/sa/order", "service": "payment.shop:8080", "route": "HTTPRoute/shop/payment#charge",
         "backend": "payment.shop:8080", "peer_workload": "payment-v1.shop", "peer_address": "127.0.0.4:8080",
         "peer_identity": "spiffe://demo.local/ns/shop/sa/payment", "attempts": [attempt(503, 0), attempt(503, 9000)], "stopped": "attempts",
         "total_us": 13_250, "connect_us": 200, "first_byte_us": 13_100, "status": 503, "request_id": id, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
         "endpoints_all": 2, "endpoints_ready": 1, "endpoints": [
            {"address": "127.0.0.4:8080", "workload": "payment-v1.shop", "state": "ready"},
            {"address": "127.0.0.5:8080", "workload": "payment-v2.shop", "state": "ejected", "ejected_for_s": 21}]},
    ], "silent": [{"workload": "batch.shop", "why": "its sidecar did not answer in time"}]})
}

fn lookup() -> Value {
    json!({
        "source": [{"workload": "order-v1.shop", "identity": "spiffe://demo.local/ns/shop/sa/order", "meshed": true, "sidecar": {"connected": true, "in_sync": true}}],
        "destination": {"asked": "payment.shop:8080", "service": "payment.shop:8080", "object": "Service/shop/payment", "ports": [8080], "protocol": "http"},
        "route": {"object": "HTTPRoute/shop/payment#charge", "matches": "POST /charge/*", "attached": ["HTTPRoute/shop/payment"],
                  "request_timeout_ms": 1000, "retries": 1, "retries_by": "TrafficPolicy/shop/payment"},
        "backends": [{"service": "payment.shop:8080", "object": "Service/shop/payment", "weight": 1, "selects": 2, "endpoints": 2, "target_port": "http"}],
        "policy": {"object": "TrafficPolicy/shop/payment"},
        "doors": [{"workload": "payment-v1.shop", "object": "MeshWorkload/shop/payment-v1", "identity": "spiffe://demo.local/ns/shop/sa/payment", "address": "127.0.0.4", "port": 8080, "declared": true,
                   "ports": [8080], "meshed": true, "mtls": "STRICT", "verdict": "allowed", "rule": "AccessPolicy/shop/payment#order",
                   "why": "allowed by AccessPolicy/shop/payment#order", "sidecar": {"connected": true}}],
    })
}

fn explained() -> Explained {
    let gathered: Gathered = serde_json::from_value(requests()).unwrap();
    let hops = gather::hops(&gathered.requests);
    let hop = gather::innermost(&hops).cloned().unwrap();
    let trail = gather::trail(&hops, &hop);
    let lookup: Lookup = serde_json::from_value(lookup()).unwrap();
    let facts =
        Facts { outbound: hop.outbound, inbound: hop.inbound, refusal: None, lookup: Some(lookup) };
    let (checks, diagnosis) = (checks::checks(&facts), diagnosis::diagnose(&facts));
    Explained { facts, trail, checks, diagnosis, silent: gathered.silent }
}

#[test]
fn a_request_explained_to_people_and_programs() {
    let explained = explained();
    golden::plain("why", "failed", &explained.draw());
    golden::json("why", "failed", &explained.to_json().unwrap());
}

#[test]
fn what_nobody_remembers_explained_by_the_model() {
    let lookup: Lookup = serde_json::from_value(lookup()).unwrap();
    let facts = Facts { lookup: Some(lookup), ..Facts::default() };
    let (checks, diagnosis) = (checks::checks(&facts), diagnosis::diagnose(&facts));
    let trail = vec!["order".to_owned(), "payment".to_owned()];
    let explained = Explained { facts, trail, checks, diagnosis, silent: Vec::new() };
    golden::plain("why", "foreseen", &explained.draw());
}

#[test]
fn what_failed_lately() {
    let gathered: Gathered = serde_json::from_value(requests()).unwrap();
    golden::plain("why", "lately", &list(&gathered.requests));
    assert!(list(&[]).starts_with("Nothing failed"));
}
