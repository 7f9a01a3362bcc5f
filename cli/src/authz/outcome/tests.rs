//! Several control planes, one answer.

use serde_json::json;

use super::*;

fn answer(answered: &[&str], silent: &[&str], denied: u64) -> Outcome {
    let row = json!({
        "change": "denied", "from": null, "to": "product.shop", "port": 8080, "method": "GET",
        "path": "/", "opaque": false, "requests": denied,
        "now": {"verdict": "allowed", "rule": null, "why": "no rule is about it"},
        "then": {"verdict": "denied", "rule": "AccessPolicy/shop/no#0", "why": "denied by AccessPolicy/shop/no#0"},
    });
    let sidecar = |name: &&str| json!({"workload": name, "covers_s": 60, "beyond": 1});
    let missing = |name: &&str| json!({"workload": name, "why": "its sidecar is not connected"});
    let totals = json!({
        "requests": denied, "now": {"allowed": denied, "denied": 0, "depends": 0},
        "then": {"allowed": 0, "denied": denied, "depends": 0}, "newly_denied": denied,
        "may_be_denied": 0, "newly_allowed": 0, "may_be_allowed": 0,
    });
    serde_json::from_value(json!({
        "schema_version": 1, "evaluated": true, "since_s": 600, "findings": [], "ignored": [],
        "changes": [{"object": "AccessPolicy/shop/no", "change": "added", "selects": 2}],
        "concerned": ["a.shop", "b.shop"],
        "answered": answered.iter().map(sidecar).collect::<Vec<_>>(),
        "silent": silent.iter().map(missing).collect::<Vec<_>>(),
        "totals": totals, "rows": if denied > 0 { vec![row] } else { vec![] }, "left_out": 0,
    }))
    .unwrap()
}

#[test]
fn what_each_has_seen_adds_up() {
    let whole =
        merged(vec![answer(&["a.shop"], &["b.shop"], 3), answer(&["b.shop"], &["a.shop"], 4)]);
    let whole = whole.unwrap();
    assert_eq!((whole.answered.len(), whole.silent.len(), whole.concerned.len()), (2, 0, 2));
    assert_eq!((whole.rows.len(), whole.rows[0].requests), (1, 7));
    assert_eq!(
        (whole.totals.requests, whole.totals.newly_denied, whole.totals.then.denied),
        (7, 7, 7)
    );
    assert_eq!(whole.changes.len(), 1);
}

#[test]
fn who_answers_nobody_is_named_once_and_nothing_is_harmless_then() {
    let whole =
        merged(vec![answer(&["a.shop"], &["b.shop"], 0), answer(&[], &["a.shop", "b.shop"], 0)]);
    let whole = whole.unwrap();
    assert_eq!(whole.silent.iter().map(|one| &*one.workload).collect::<Vec<_>>(), ["b.shop"]);
    assert!(!whole.is_harmless());
    assert!(answer(&["a.shop", "b.shop"], &[], 0).is_harmless());
    assert!(!answer(&["a.shop", "b.shop"], &[], 1).is_harmless());
    assert!(merged(vec![]).is_none());
}
