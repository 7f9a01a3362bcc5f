//! Which pods are asked, and how.

use serde_json::json;

use super::*;

fn pod(value: &serde_json::Value) -> Pod {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn only_pods_that_are_ready_and_stay_are_asked() {
    let status = |ready: &str| json!({"conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]});
    let gone = "2026-01-01T00:00:00Z";
    for (wanted, value) in [
        (true, json!({"metadata": {"name": "a"}, "status": status("True")})),
        (false, json!({"metadata": {"name": "a"}, "status": status("False")})),
        (false, json!({"metadata": {"name": "a"}})),
        (
            false,
            json!({"metadata": {"name": "a", "deletionTimestamp": gone}, "status": status("True")}),
        ),
    ] {
        assert_eq!(is_ready(&pod(&value)), wanted, "{value}");
    }
}

#[test]
fn the_relay_runs_in_the_control_planes_container() {
    let asked = container(&pod(&json!({"metadata": {"name": "weft-control-plane-1"}})));
    assert_eq!((&*asked.pod, &*asked.name), ("weft-control-plane-1", "control-plane"));
    assert_eq!(asked.command, ["/usr/local/bin/weft-control-plane", "relay"]);
}
