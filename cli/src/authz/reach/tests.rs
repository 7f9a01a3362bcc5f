//! The table.

use serde_json::json;

use super::*;
use crate::golden;

fn drawn(value: &serde_json::Value, wide: bool) -> String {
    let reached: Reached = serde_json::from_value(value.clone()).unwrap();
    draw(&reached, wide)
}

fn row(from: &str, verdict: &str, why: &str) -> serde_json::Value {
    let from = (!from.is_empty()).then(|| format!("spiffe://a.test/ns/shop/sa/{from}"));
    json!({"from": from, "to": "product.shop", "port": 8080, "protocol": "http",
           "workloads": ["product-v1.shop"], "verdict": verdict, "rule": null, "why": why})
}

#[test]
fn callers_of_whom_the_same_is_to_be_said_share_a_line() {
    let mut rows = vec![row("gateway", "allowed", "allowed by AccessPolicy/shop/readers#0")];
    rows.extend(["a", "b", "c", "d", "e", ""].map(|from| row(from, "denied", "no rule allows it")));
    let mut other = row("", "allowed", "no rule is about it");
    other["port"] = 0.into();
    let mut others = row("a", "allowed", "no rule is about it");
    others["port"] = 0.into();
    rows.extend([other, others]);
    let value =
        json!({"schema_version": 1, "rows": rows, "left_out": 3, "not_enforced": ["old.shop"]});
    golden::plain("authz", "reach", &drawn(&value, false));
    golden::colored("authz", "reach", &drawn(&value, false));
    golden::plain("authz", "reach-wide", &drawn(&value, true));
    golden::plain("authz", "nobody", &drawn(&json!({"schema_version": 1, "rows": []}), false));
}

#[test]
fn one_who_is_not_of_the_usual_form_is_named_in_full() {
    assert_eq!(caller(Some("spiffe://a.test/ns/shop/sa/web")), "shop/web");
    assert_eq!(caller(Some("spiffe://a.test/other")), "spiffe://a.test/other");
    assert_eq!(caller(None), "(no identity)");
}
