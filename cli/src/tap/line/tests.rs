//! Lines, from what a control plane sends.

use serde_json::{Value, json};

use super::*;
use crate::golden;

const AT: i64 = 1_780_000_067_114;

/// A call of order's, as its sidecar saw it, with what is another.
fn outbound(other: &Value) -> Value {
    with(
        json!({
            "type": "request", "workload": "order-v1.shop", "direction": "outbound", "at_ms": AT, "method": "POST", "path": "/charge",
            "service": "payment.shop:8080", "peer_identity": "spiffe://demo.local/ns/shop/sa/payment", "attempts": [{}],
            "total_us": 4123, "status": 200, "grpc_status": null, "error": "", "reported": "", "request_id": "6d5b6b9e",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }),
        other,
    )
}

/// One that came in there.
fn inbound(other: &Value) -> Value {
    let payment = json!({"workload": "payment-v1.shop", "direction": "inbound", "service": "",
        "peer_identity": "spiffe://demo.local/ns/shop/sa/order", "peer_address": "10.0.0.1:4711"});
    with(with(outbound(&json!({})), &payment), other)
}

fn with(mut one: Value, other: &Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}

fn all() -> Vec<Value> {
    vec![
        outbound(&json!({})),
        inbound(&json!({"total_us": 900})),
        // The application's own failure, tried again.
        outbound(&json!({"status": 503, "attempts": [{}, {}], "total_us": 12_345_678})),
        inbound(&json!({"status": 404, "trace_id": ""})),
        // Of a sidecar: the caller's, the receiver's, and one that was never answered.
        outbound(
            &json!({"status": 503, "error": "destination_unavailable", "peer_identity": "", "attempts": []}),
        ),
        outbound(&json!({"status": 429, "reported": "rate_limited"})),
        inbound(&json!({"status": 403, "error": "http_request_denied"})),
        outbound(&json!({"status": 0, "error": "downstream_closed", "request_id": ""})),
        // From somebody without a sidecar, by IPv6.
        inbound(
            &json!({"peer_identity": "", "peer_address": "[2001:db8::7]:50000", "method": "GET", "path": "/東京"}),
        ),
        // gRPC: well, and not.
        outbound(&json!({"path": "/shop.Payment/Charge", "grpc_status": 0})),
        outbound(
            &json!({"path": "/shop.Payment/Charge", "grpc_status": 14, "attempts": [{}, {}, {}]}),
        ),
        // What a younger sidecar leaves out, and one before 1970.
        json!({"type": "request", "direction": "inbound", "at_ms": -1, "workload": "a.b"}),
    ]
}

#[test]
fn lines_for_people_and_programs() {
    let lines: Vec<String> = all().iter().map(draw).collect();
    golden::plain("tap", "lines", &lines.join("\n"));
    golden::colored("tap", "lines", &lines.join("\n"));
    let lines: Vec<String> = all().iter().take(2).map(Value::to_string).collect();
    golden::plain("tap", "json-lines", &lines.join("\n"));
}
