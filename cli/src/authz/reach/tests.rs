//! The table.

use serde_json::json;

use super::*;

fn plain(value: serde_json::Value, wide: bool) -> String {
    let reached: Reached = serde_json::from_value(value).unwrap();
    anstream::adapter::strip_str(&draw(&reached, wide)).to_string()
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
    let text = plain(value.clone(), false);
    let lines: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "FROM TO WHY",
            "everybody product.shop:other ports allowed no rule is about it",
            "shop/gateway product.shop:8080 allowed allowed by AccessPolicy/shop/readers#0",
            "(no identity), shop/a, shop/b, shop/c and 2 more product.shop:8080 denied no rule allows it",
            "‼ no sidecar, so nothing is enforced: old.shop",
            "3 more are not shown: ask with --from or --to",
        ]
    );
    assert!(plain(value, true).contains("shop/d, shop/e  product.shop:8080"));
}

#[test]
fn one_who_is_not_of_the_usual_form_is_named_in_full() {
    assert_eq!(caller(Some("spiffe://a.test/ns/shop/sa/web")), "shop/web");
    assert_eq!(caller(Some("spiffe://a.test/other")), "spiffe://a.test/other");
    assert_eq!(caller(None), "(no identity)");
}
