//! How sidecars are shown.

use serde_json::json;

use super::*;

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
fn a_rejection_is_shown_with_its_reason() {
    let proxies: Vec<Proxy> = serde_json::from_value(json!([
        {"workload": "order.shop", "connected": true, "version": "0.1.0", "leaf_not_after": 7300,
         "resources": {
            "routes": {"sent": "4", "acked": "3",
                       "rejected": {"version": "4", "reason": "routes[0].match.safe_regex: bad"}},
            "clusters": {"sent": "4", "acked": "4", "rejected": null}}},
        {"workload": "user.shop", "connected": false, "leaf_not_after": 50,
         "resources": {"clusters": {"sent": "4", "acked": "3", "rejected": null}}}]))
    .unwrap();
    let plain = anstream::adapter::strip_str(&draw(&proxies, Moment::at(100), false)).to_string();
    assert_eq!(
        plain,
        "NAME        STATE         CLUSTERS  ROUTES    CERTIFICATE  VERSION\n\
         order.shop  connected     synced    REJECTED  2h left      0.1.0\n\
         user.shop   disconnected  sent      -         expired      -\n\
         × order.shop rejected routes: routes[0].match.safe_regex: bad"
    );
}
