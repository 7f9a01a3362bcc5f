//! Objects in which every field is written that has a bound, for `bounds` to push at.

use serde_json::{Value, json};

/// Kind and `spec`; together they write every field. Each is taken by the readers.
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let targets = json!([{ "kind": "Service", "name": "web" }]);
    vec![
        ("AccessPolicy", access()),
        ("InboundPolicy", inbound()),
        ("MeshConfig", mesh_config()),
        ("MeshWorkload", workload()),
        ("TelemetryPolicy", telemetry()),
        ("TelemetryPolicy", route_telemetry()),
        ("TrafficPolicy", traffic(&targets)),
        (
            "TrafficPolicy",
            json!({
                "targetRefs": targets,
                "loadBalancer": { "policy": "PeakEwma", "slowStart": { "window": "30s", "minimumPercent": 10 } },
            }),
        ),
    ]
}

fn access() -> Value {
    json!({
        "selector": { "matchLabels": { "app": "web" } },
        "ports": [8080],
        "action": "ALLOW",
        "rules": [{
            "from": [{
                "identities": ["spiffe://cluster.local/ns/shop/sa/web"],
                "namespaces": ["shop"],
                "serviceAccounts": ["shop/web"],
                "trustDomains": ["cluster.local"],
                "cidrs": ["10.0.0.0/8"],
            }],
            "to": [{
                "methods": ["GET"],
                "paths": [{ "type": "Template", "value": "/carts/{id}" }],
                "headers": [{ "name": "x-role", "type": "Exact", "value": "admin" }],
                "ports": [8080],
            }],
        }],
    })
}

fn telemetry() -> Value {
    json!({
        "selector": { "matchLabels": { "app": "web" } },
        "tracing": { "sampling": 0.5 },
        "accessLog": { "successes": 0.1, "fields": ["time", "status"] },
    })
}

fn route_telemetry() -> Value {
    let group = "gateway.networking.k8s.io";
    json!({
        "targetRefs": [{ "group": group, "kind": "HTTPRoute", "name": "web", "sectionName": "read" }],
        "tracing": { "sampling": 0.5 },
    })
}

fn inbound() -> Value {
    json!({
        "selector": { "matchLabels": { "app": "web" } },
        "ports": [8080],
        "mtls": "STRICT",
        "rateLimits": [{ "requests": 10, "per": "1s", "burst": 5 }],
    })
}

fn mesh_config() -> Value {
    json!({
        "tracing": { "endpoint": "http://jaeger:4317", "protocol": "grpc", "sampling": 0.5 },
        "accessLog": {
            "successes": 0.1, "fields": ["time"], "endpoint": "http://otel:4318", "protocol": "http/protobuf",
        },
        "denied": {
            "identities": [{ "identity": "shop/payment", "reason": "key leaked" }],
            "serials": [{ "serial": "4f:0a:00:ff", "reason": "key leaked" }],
        },
        "limits": { "http": {
            "headerFields": 100, "http2Streams": 100, "http2HeaderBudget": 1024, "http2Memory": 16, "http2LocalResets": 100,
        } },
    })
}

fn workload() -> Value {
    json!({
        "address": "10.0.0.1",
        "ports": [{ "port": 8080, "appProtocol": "http" }],
        "probes": [{ "port": 8080, "path": "/healthz" }],
    })
}

fn traffic(targets: &Value) -> Value {
    json!({
        "targetRefs": targets,
        "loadBalancer": {
            "policy": "RingHash",
            "hashOn": [{ "header": "x-user" }],
            "ringSize": { "minimum": 1, "maximum": 8_388_608 },
        },
        "healthCheck": {
            "http": { "path": "/", "expectedStatuses": [200] },
            "healthyThreshold": 1,
            "unhealthyThreshold": 2,
        },
        "limits": { "connections": 1, "pendingRequests": 1, "requests": 1, "retries": 1 },
        "outlierDetection": {
            "consecutiveFailures": 1,
            "consecutiveGatewayFailures": 1,
            "consecutiveLocalFailures": 1,
            "maxEjectedPercent": 10,
            "failurePercentage": { "threshold": 50, "minimumRequests": 5 },
        },
        "retries": {
            "attempts": 1,
            "conditions": [503],
            "budget": { "percent": 20, "minRetriesPerSecond": 1 },
        },
        "fallback": { "status": 503, "headers": [{ "name": "x-a", "value": "b" }], "body": "later" },
    })
}
