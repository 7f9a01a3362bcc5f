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
fn a_sidecar_that_reports_to_another_replica_is_one_line_with_all_that_is_known() {
    let resources = json!({"clusters": {"sent": 4, "acked": 4, "rejected": null}});
    // Its stream is with the first, its reports go to the second; a third has seen it last before it moved.
    let all = [
        json!({"workload": "order.shop", "connected": true, "version": "0.1.0", "resources": resources,
            "connected_since": "2026-01-01T00:10:00Z", "identity": "spiffe://a/ns/shop/sa/order"}),
        json!({"workload": "order.shop", "connected": false, "version": "0.1.0", "draining": true,
            "leaf_not_after": "2026-01-01T02:00:00Z", "reported": "2026-01-01T00:11:00Z",
            "config_version": "7"}),
        json!({"workload": "order.shop", "connected": false, "version": "0.1.0", "stale": true,
            "leaf_not_after": "2026-01-01T01:00:00Z", "reported": "2026-01-01T00:05:00Z",
            "connected_since": "2026-01-01T00:01:00Z", "config_version": "3"}),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let proxies = order.map(|index| serde_json::from_value(all[index].clone()).unwrap());
        let [one] = &one_each(proxies.into())[..] else { panic!("one line") };
        assert!(one.connected && one.draining && !one.stale, "{order:?}: {one:?}");
        assert_eq!((one.resources.len(), &one.more["config_version"]), (1, &json!("7")));
        assert_eq!(one.leaf_not_after, "2026-01-01T02:00:00Z");
        assert_eq!(one.identity, "spiffe://a/ns/shop/sa/order");
    }
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
