//! What people read of a trial.

use serde_json::json;

use super::*;
use crate::golden;

fn drawn(value: &serde_json::Value, wide: bool) -> String {
    let outcome: Outcome = serde_json::from_value(value.clone()).unwrap();
    draw(&outcome, wide)
}

fn row(
    change: &str,
    path: Option<&str>,
    then: &str,
    why: &str,
    requests: u64,
) -> serde_json::Value {
    json!({
        "change": change, "from": "spiffe://a.test/ns/shop/sa/batch", "to": "product.shop", "port": 8080,
        "method": "GET", "path": path, "opaque": false, "requests": requests,
        "now": {"verdict": "allowed", "rule": null, "why": "no rule is about it"},
        "then": {"verdict": then, "rule": null, "why": why},
    })
}

fn totals(denied: u64, unsure: u64) -> serde_json::Value {
    json!({
        "requests": 20, "now": {"allowed": 20, "denied": 0, "depends": 0},
        "then": {"allowed": 20 - denied - unsure, "denied": denied, "depends": unsure},
        "newly_denied": denied, "may_be_denied": unsure, "newly_allowed": 0, "may_be_allowed": 0,
    })
}

#[test]
fn what_changes_is_shown_and_what_is_not_known_is_said() {
    let value = json!({
        "schema_version": 1, "evaluated": true, "since_s": 600,
        "changes": [{"object": "AccessPolicy/shop/readers", "change": "added", "selects": 2},
                    {"object": "AccessPolicy/shop/typo", "change": "added", "selects": 0}],
        "concerned": ["product-v1.shop", "product-v2.shop"],
        "answered": [{"workload": "product-v1.shop", "covers_s": 600, "beyond": 5}],
        "silent": [{"workload": "product-v2.shop", "why": "its sidecar is not connected"}],
        "totals": totals(12, 3), "left_out": 0,
        "rows": [row("denied", Some("/carts/7"), "denied", "no rule allows it", 12),
                 row("may-be-denied", None, "depends", "depends on path", 3),
                 row("same", Some("/"), "allowed", "allowed by x", 5)],
    });
    golden::plain("authz", "trial", &drawn(&value, false));
    golden::plain("authz", "trial-wide", &drawn(&value, true));
    let outcome: Outcome = serde_json::from_value(value).unwrap();
    golden::json("authz", "trial", &outcome);
}

#[test]
fn files_that_are_wrong_are_told_and_nothing_else() {
    let value = json!({
        "schema_version": 1, "evaluated": false, "since_s": 600,
        "findings": [{"code": "WEFT0205", "severity": "error", "file": "p.yaml", "line": 7,
                      "object": "AccessPolicy shop/a", "field": "spec.rules[0]", "message": "is wrong",
                      "hint": "mend it"}],
    });
    golden::plain("authz", "trial-of-what-is-wrong", &drawn(&value, false));
}

#[test]
fn where_nothing_would_be_another_nobody_is_asked() {
    let value = json!({"schema_version": 1, "evaluated": true, "since_s": 600});
    golden::plain("authz", "trial-of-nothing", &drawn(&value, false));
}
