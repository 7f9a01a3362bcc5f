//! What people read of a trial.

use serde_json::json;

use super::*;

fn plain(value: serde_json::Value, wide: bool) -> String {
    let outcome: Outcome = serde_json::from_value(value).unwrap();
    anstream::adapter::strip_str(&draw(&outcome, wide)).to_string()
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
    let text = plain(value.clone(), false);
    for expected in [
        "AccessPolicy/shop/readers would be added; it selects 2 workloads\n",
        "AccessPolicy/shop/typo would be added\n‼ it selects no workload\n",
        "FROM        TO                 CALL             COUNT  NOW      THEN     WHY\n",
        "shop/batch  product.shop:8080  GET /carts/7        12  allowed  denied   no rule allows it\n",
        "shop/batch  product.shop:8080  GET (some path)      3  allowed  depends  depends on path\n",
        "Of 20 calls of the last 10m: 12 newly denied, 0 newly allowed.\n",
        "‼ 3 may be denied and 0 may be allowed",
        "`action: AUDIT`",
        "‼ 5 calls are in no figure",
        "1 of 2 sidecars concerned have answered.\n‼ product-v2.shop: its sidecar is not connected",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    assert!(!text.contains("allowed by x"));
    assert!(plain(value, true).contains("allowed by x"));
}

#[test]
fn files_that_are_wrong_are_told_and_nothing_else() {
    let value = json!({
        "schema_version": 1, "evaluated": false, "since_s": 600,
        "findings": [{"code": "WEFT0205", "severity": "error", "file": "p.yaml", "line": 7,
                      "object": "AccessPolicy shop/a", "field": "spec.rules[0]", "message": "is wrong",
                      "hint": "mend it"}],
    });
    let text = plain(value, false);
    assert!(text.contains("p.yaml:7") && text.contains("fix: mend it"), "{text}");
    assert!(text.ends_with("1 error; nothing was tried."), "{text}");
}

#[test]
fn where_nothing_would_be_another_nobody_is_asked() {
    let value = json!({"schema_version": 1, "evaluated": true, "since_s": 600});
    assert!(plain(value, false).contains("Nothing would be another"));
}
