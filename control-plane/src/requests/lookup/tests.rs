//! The facts of one call, from manifests as users write them.

use serde_json::{Value, json};

use super::*;
use crate::access::testing::{mesh, readers};

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: product, namespace: shop}
spec: {selector: {app: product}, ports: [{name: http, port: 8080, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: wrong, namespace: shop}
spec: {selector: {app: product}, ports: [{name: http, port: 8080, targetPort: 9999}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec: {selector: {app: nobody}, ports: [{name: http, port: 8080, targetPort: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: product, port: 8080}]
  rules:
  - name: beta
    matches: [{path: {value: /carts}, method: GET, headers: [{name: x-beta, value: '1'}]}]
    backendRefs: [{name: empty, port: 8080}]
  - name: carts
    matches: [{path: {value: /carts}, method: GET}]
    timeouts: {request: 2s, backendRequest: 1s}
    backendRefs: [{name: product, port: 8080}]
---
";

fn found(query: &Value, policies: &str) -> Value {
    let query: LookupQuery = serde_json::from_value(query.clone()).unwrap();
    let mesh = mesh(&format!("{SERVICES}{policies}"));
    let lookup = look_up(&mesh, &query, &BTreeMap::new(), &[]).unwrap();
    serde_json::to_value(lookup).unwrap()
}

#[test]
fn a_call_that_goes_through() {
    let query =
        json!({"from": "gateway", "to": "product", "method": "GET", "path": "/carts/7?x=1"});
    let facts = found(&query, &readers());
    assert_eq!(facts["source"][0]["workload"], "gateway.shop");
    assert_eq!(facts["destination"]["service"], "product.shop:8080");
    // The rule that asks for a header comes first; it may be the one.
    assert_eq!(facts["route"]["object"], "HTTPRoute/shop/web#beta");
    assert_eq!(facts["route"]["depends"], true);
    let query = json!({"from": "gateway", "to": "product", "method": "GET", "path": "/carts/7", "route": "HTTPRoute/shop/web#carts"});
    let facts = found(&query, &readers());
    assert_eq!(facts["route"]["object"], "HTTPRoute/shop/web#carts");
    assert_eq!(facts["route"]["request_timeout_ms"], 2000);
    assert_eq!(
        facts["route"]["try_timeout_by"],
        "HTTPRoute/shop/web#carts timeouts.backendRequest"
    );
    assert_eq!(facts["backends"][0]["endpoints"], 2);
    let door = &facts["doors"][0];
    assert_eq!((&door["declared"], &door["verdict"]), (&json!(true), &json!("allowed")));
    assert_eq!(door["rule"], "AccessPolicy/shop/readers#carts");
}

#[test]
fn what_is_wrong_shows() {
    let missing = found(&json!({"to": "product", "path": "/other"}), "");
    assert_eq!(missing["route"]["object"], Value::Null);
    assert_eq!(missing["route"]["attached"], json!(["HTTPRoute/shop/web"]));
    let wrong = found(&json!({"to": "wrong.shop"}), "");
    let door = &wrong["doors"][0];
    assert_eq!((&door["port"], &door["declared"]), (&json!(9999), &json!(false)));
    assert_eq!(door["ports"], json!([8080]));
    let empty = found(&json!({"to": "empty"}), "");
    assert_eq!((&empty["backends"][0]["selects"], &empty["doors"]), (&json!(0), &json!([])));
    let port = found(&json!({"to": "product:81"}), "");
    assert_eq!(port["destination"]["service"], Value::Null);
    assert_eq!(port["destination"]["ports"], json!([8080]));
    let unknown = found(&json!({"to": "prodcut"}), "");
    assert_eq!(unknown["destination"]["known"], "empty.shop, product.shop, wrong.shop");
}
