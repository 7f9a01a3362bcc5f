//! How sidecars are shown.

use serde_json::json;

use super::*;

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
