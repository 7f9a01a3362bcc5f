//! Sums, shares, quantiles and rates of several answers.

use serde_json::json;

use super::*;

/// What one replica says: so many requests to `product`, of which so many failed, each of this latency.
fn answer(requests: u64, failures: u64, micros: u64, meshed: bool) -> Stat {
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let success = (requests > 0).then(|| (requests - failures) as f64 / requests as f64);
    let latency =
        if requests == 0 { json!([]) } else { json!([[latency::index(micros), requests]]) };
    let golden =
        json!({"requests": requests, "success_rate": success, "retries": 1, "latency": latency});
    let row = |more: Value| {
        let mut row = golden.clone();
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    serde_json::from_value(json!({
        "schema_version": 1, "window_s": 10,
        "workloads": [row(json!({"name": "product", "namespace": "shop", "workload": "product-v1.shop",
            "meshed": meshed, "mtls_share": success.map(|_| 1.0)}))],
        "edges": [row(json!({"source": "gateway", "destination": "product", "namespace": "shop", "mesh": true,
            "mtls_share": success.map(|_| 0.5), "connections": 3, "errors": {"timeout": failures}}))],
        "routes": [row(json!({"source": "gateway", "destination": "product", "route": "r", "backend": "b"}))],
    }))
    .unwrap()
}

#[test]
#[allow(clippy::float_cmp, reason = "of whole numbers")]
fn requests_are_added_and_what_follows_from_them_is_made_anew() {
    let sum = merged(vec![answer(90, 9, 1_000, true), answer(10, 1, 100_000, false)]);
    let workload = &sum.workloads[0];
    assert_eq!((sum.workloads.len(), sum.edges.len(), sum.routes.len()), (1, 1, 1));
    assert_eq!((workload.golden.requests, workload.golden.retries), (100, 2));
    assert_eq!((workload.golden.rps, workload.golden.success_rate), (10.0, Some(0.9)));
    assert_eq!((workload.meshed, workload.mtls_share), (true, Some(1.0)));
    let (p50, p99) = (workload.golden.p50_ms.unwrap(), workload.golden.p99_ms.unwrap());
    assert!((0.9..1.1).contains(&p50) && (90.0..110.0).contains(&p99), "{p50} {p99}");
    assert!(workload.golden.latency.is_empty(), "it is in the quantiles");
    let edge = &sum.edges[0];
    assert_eq!(edge.mtls_share, Some(0.5));
    assert_eq!(edge.more["connections"], 6);
    assert_eq!(edge.more["errors"], json!({"timeout": 10}));
}

#[test]
fn a_replica_that_saw_nothing_changes_nothing() {
    let one = merged(vec![answer(90, 9, 1_000, true)]);
    let with = merged(vec![answer(90, 9, 1_000, true), answer(0, 0, 0, false)]);
    assert_eq!(one.workloads[0].golden.p99_ms, with.workloads[0].golden.p99_ms);
    assert_eq!(one.workloads[0].golden.success_rate, with.workloads[0].golden.success_rate);
    assert_eq!(one.workloads[0].mtls_share, with.workloads[0].mtls_share);
}

#[test]
fn rows_of_different_names_stay_apart() {
    let mut other = answer(5, 0, 500, true);
    other.workloads[0].namespace = "other".to_owned();
    other.edges[0].source = "web".to_owned();
    other.routes[0].backend = "c".to_owned();
    let sum = merged(vec![answer(5, 0, 500, true), other]);
    assert_eq!((sum.workloads.len(), sum.edges.len(), sum.routes.len()), (2, 2, 2));
}
