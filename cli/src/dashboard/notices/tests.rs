//! What is told of, as a table.

use serde_json::{Value, json};

use super::*;

fn told(proxies: Value, findings: Value, broken: Value) -> Vec<Notice> {
    let stat = json!({
        "schema_version": 1,
        "workloads": [
            { "name": "payment", "namespace": "shop", "workload": "payment-v1.shop" },
            { "name": "payment", "namespace": "shop", "workload": "payment-v2.shop" },
        ],
        "edges": [{ "source": "order", "destination": "stock", "namespace": "shop" }],
        "routes": [{ "source": "order", "destination": "payment", "namespace": "shop", "route": "HTTPRoute/shop/pay#charge" }],
    });
    let stat: Stat = serde_json::from_value(stat).unwrap();
    let proxies: Vec<Proxy> = serde_json::from_value(proxies).unwrap();
    let findings: Vec<Finding> = serde_json::from_value(findings).unwrap();
    let broken: Vec<BrokenTraces> = serde_json::from_value(broken).unwrap();
    let told = Told { stat: &stat, proxies: &proxies, findings: &findings, broken: &broken };
    let (notices, left_out) = notices(&told, Moment::at(1_000));
    assert_eq!(left_out, 0);
    assert!(notices.iter().all(|notice| !notice.fix.is_empty()), "{notices:?}");
    notices
}

/// `error payment-v1.shop [payment.shop] has …`.
fn lines(notices: &[Notice]) -> Vec<String> {
    let line = |notice: &Notice| {
        let severity = serde_json::to_value(notice.severity).unwrap();
        let nodes: Vec<&str> = notice.nodes.iter().map(String::as_str).collect();
        let about = notice.about.join(", ");
        let what: String = notice.what.chars().take(28).collect();
        format!("{} {about} [{}] {}", severity.as_str().unwrap(), nodes.join(", "), what.trim())
    };
    notices.iter().map(line).collect()
}

#[test]
fn what_is_well_is_not_told() {
    let fine = json!([{ "workload": "payment-v1.shop", "connected": true, "leaf_not_after": 2_000, "leaf_overdue_at": 1_500 }]);
    let info =
        json!([{ "code": "WEFT0001", "severity": "info", "message": "so it is", "hint": "none" }]);
    assert_eq!(told(fine, info, json!([])), []);
}

#[test]
fn each_thing_is_told_once_with_all_who_have_it() {
    let one = |workload: &str, more: Value| {
        let mut proxy = json!({ "workload": workload, "connected": true });
        proxy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        proxy
    };
    for (proxy, expected) in [
        (
            json!({ "connected": false }),
            "error payment-v1.shop [payment.shop] has lost the control plane;",
        ),
        (
            json!({ "stale": true }),
            "warning payment-v1.shop [payment.shop] runs on its last good config",
        ),
        (
            json!({ "leaf_not_after": 999 }),
            "error payment-v1.shop [payment.shop] has a certificate that has e",
        ),
        (
            json!({ "leaf_not_after": 1_100, "leaf_overdue_at": 900 }),
            "warning payment-v1.shop [payment.shop] ought to have renewed its ce",
        ),
        (
            json!({ "resources": { "routes": { "rejected": { "version": 3, "reason": "no such cluster" } } } }),
            "error payment-v1.shop [payment.shop] rejects its routes: no such",
        ),
    ] {
        let found = told(json!([one("payment-v1.shop", proxy)]), json!([]), json!([]));
        assert_eq!(lines(&found), [expected]);
    }
    let two = json!([
        one("payment-v1.shop", json!({ "stale": true })),
        one("payment-v2.shop", json!({ "stale": true }))
    ]);
    let found = lines(&told(two, json!([]), json!([])));
    assert_eq!(
        found,
        ["warning payment-v1.shop, payment-v2.shop [payment.shop] runs on its last good config"]
    );
    let many: Vec<Value> =
        (0..300).map(|n| one(&format!("w{n}.x"), json!({ "connected": false }))).collect();
    let found = told(many.into(), json!([]), json!([]));
    assert_eq!((found.len(), found[0].about.len(), found[0].more), (1, SHOWN, 295));
}

#[test]
fn broken_traces_and_objects_name_the_nodes_that_they_are_about() {
    let broken = json!([{ "name": "payment", "namespace": "shop", "workload": "payment-v2.shop" }]);
    let finding = |severity: &str, object: &str| json!({ "code": "WEFT0101", "severity": severity, "object": object, "file": "a.yaml", "line": 7, "message": "m", "hint": "h" });
    let findings = json!([
        finding("warning", "HTTPRoute shop/pay"),
        finding("error", "Service shop/stock"),
        finding("error", "Service shop/nobody"),
    ]);
    let found = told(json!([]), findings, broken);
    assert_eq!(
        lines(&found),
        [
            // One message, two objects; the node of one of them is drawn.
            "error Service shop/nobody, Service shop/stock [stock.shop] WEFT0101: m (a.yaml:7)",
            "warning HTTPRoute shop/pay [payment.shop] WEFT0101: m (a.yaml:7)",
            "warning payment-v2.shop [payment.shop] is given traceparent and cal",
        ]
    );
}
