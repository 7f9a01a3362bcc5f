//! How sidecars are shown.

use serde_json::json;

use super::*;
use crate::golden;

/// As `GET /v1/proxies` has them: one that is well, one with a long name that refuses its routes, and one in each other state.
fn proxies() -> Vec<Proxy> {
    let proxy = |workload: &str, end: i64, overdue: i64, resources: serde_json::Value| {
        json!({
            "workload": workload, "identity": format!("spiffe://demo.local/ns/shop/sa/{}", &workload[..4]), "version": "0.1.0",
            "connected": true, "connected_since": "1970-01-01T00:00:00Z", "stale": false, "draining": false,
            "leaf_not_after": end, "leaf_overdue_at": overdue, "resources": resources, "log_lines_dropped": 0,
            "traces": {"started": 1, "exported": 1, "dropped": 0},
        })
    };
    let with = |mut one: serde_json::Value, field: &str| {
        one[field] = (field != "connected").into();
        one
    };
    let synced = || {
        let kinds = ["clusters", "endpoints", "listeners", "routes", "secrets"];
        kinds
            .iter()
            .map(|kind| (*kind, json!({"sent": 4, "acked": 4, "rejected": null})))
            .collect::<serde_json::Value>()
    };
    let mut refused = synced();
    refused["routes"] = json!({"sent": 4, "acked": 3, "rejected": {"version": 4, "reason": "routes[0].match.safe_regex: bad"}});
    refused["endpoints"] = json!({"sent": 5, "acked": 4, "rejected": null});
    serde_json::from_value(json!([
        proxy("gateway.shop", 7300, 5000, synced()),
        proxy("a-service-with-a-long-name-of-which-there-are-some-5d8c7b9f6-x2x7z.orders", 86_500, 60_000, refused),
        with(proxy("user-v1.shop", 7300, 5000, synced()), "stale"),
        with(proxy("order.shop", 7300, 50, synced()), "draining"),
        with(proxy("payment.shop", 50, 40, json!({})), "connected"),
        {"workload": "young.shop", "connected": true},
    ]))
    .unwrap()
}

#[test]
fn every_state_has_its_word_and_a_rejection_its_reason() {
    let (proxies, now) = (one_each(proxies()), Moment::at(100));
    golden::plain("proxy_status", "all", &draw(&proxies, now, false));
    golden::colored("proxy_status", "all", &draw(&proxies, now, false));
    golden::plain("proxy_status", "wide", &draw(&proxies, now, true));
    golden::json("proxy_status", "all", &proxies);
    golden::plain("proxy_status", "nobody", &draw(&[], now, false));
}

#[test]
fn whom_two_replicas_know_is_shown_as_the_one_says_to_which_it_is_connected() {
    let mut both = proxies();
    both.truncate(1);
    both.push(Proxy { connected: false, ..both[0].clone() });
    let shown = one_each(both);
    assert_eq!((shown.len(), shown[0].connected), (1, true));
}
