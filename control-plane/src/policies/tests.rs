//! What is in force at a workload, from manifests as users write them.

use super::*;
use crate::access::testing::{mesh, object, readers};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: product, namespace: shop}
spec: {selector: {app: product}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: product, port: 80}]
  rules:
  - {name: carts, matches: [{path: {value: /carts}}], backendRefs: [{name: product, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mine, namespace: bank}
spec:
  parentRefs: [{group: '', kind: Service, name: product, namespace: shop, port: 80}]
  rules:
  - {backendRefs: [{name: product, namespace: shop, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: bank, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: bank}], to: [{group: '', kind: Service}]}
---
";

/// `TrafficPolicy/shop/product at product.shop:80: 2 retries`.
fn lines(mesh: &Mesh, of: &str) -> Vec<String> {
    let query = PolicyQuery { of: of.to_owned() };
    let line = |row: &Row| format!("{} at {}: {}", row.object, row.places.join(" "), row.says);
    in_force(mesh, &query).unwrap().rows.iter().map(line).collect()
}

#[test]
fn every_policy_in_force_shows_by_name_with_what_it_says() {
    let target = "targetRefs: [{group: '', kind: Service, name: product}]";
    let rule = "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: web, sectionName: carts}]";
    let of_app = "selector: {matchLabels: {app: product}}";
    let policies = [
        readers(),
        object(
            "TrafficPolicy",
            "calls",
            &format!(
                "{{{target}, loadBalancer: {{policy: RoundRobin}}, limits: {{requests: 100}}}}"
            ),
        ),
        object("InboundPolicy", "strict", &format!("{{{of_app}, mtls: STRICT}}")),
        // Less specific than the one above, so not in force.
        object("InboundPolicy", "all", "{mtls: PERMISSIVE}"),
        object("TelemetryPolicy", "often", &format!("{{{of_app}, tracing: {{sampling: 0.5}}}}")),
        object("TelemetryPolicy", "rarely", &format!("{{{rule}, tracing: {{sampling: 0.001}}}}")),
        // Of another workload.
        object(
            "AccessPolicy",
            "db",
            "{selector: {matchLabels: {app: db}}, action: DENY, rules: [{name: none}]}",
        ),
    ];
    let mesh = mesh(&(SERVICE.to_owned() + &policies.concat()));
    let expected = [
        "HTTPRoute/bank/mine at product.shop:80: 1 rule, for callers in bank only",
        "HTTPRoute/shop/web at product.shop:80: 1 rule",
        "TrafficPolicy/shop/calls at product.shop:80: in turn, at most 100 requests at once",
        "InboundPolicy/shop/strict at other ports port 8080: mTLS STRICT",
        "AccessPolicy/shop/readers at other ports port 8080: allows by 1 rule: carts",
        "TelemetryPolicy/shop/often at product-v1.shop product-v2.shop: 50 % of traces",
        "TelemetryPolicy/shop/rarely at HTTPRoute/shop/web#carts: 0.1 % of traces",
    ];
    assert_eq!(lines(&mesh, "product.shop"), expected);
    // One of its versions is behind the same Service.
    assert_eq!(lines(&mesh, "product-v1.shop").len(), expected.len());
    // Without a sidecar nothing is enforced.
    assert_eq!(lines(&mesh, "old.shop"), [""; 0]);
    for (wrong, why) in [("product", "is not workload.namespace"), ("nobody.shop", "there is no")] {
        let error = in_force(&mesh, &PolicyQuery { of: wrong.to_owned() }).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn what_says_nothing_is_told_as_such() {
    let target = "{targetRefs: [{group: '', kind: Service, name: product}]}";
    let mesh = mesh(&(SERVICE.to_owned() + &object("TrafficPolicy", "empty", target)));
    let found = lines(&mesh, "product.shop");
    let expected = "TrafficPolicy/shop/empty at product.shop:80: nothing but the defaults";
    assert!(found.contains(&expected.to_owned()), "{found:?}");
}
