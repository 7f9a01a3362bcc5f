//! Which pod is asked, and what is said where there is none.

use serde_json::json;

use super::*;

fn pod(annotations: &serde_json::Value, phase: &str) -> Pod {
    let pod = json!({"metadata": {"name": "gateway-5d9c-x2", "annotations": annotations},
        "status": {"phase": phase}});
    serde_json::from_value(pod).unwrap()
}

#[test]
fn the_relay_runs_in_the_sidecars_container() {
    let injected = json!({"weft.dev/injected": "0.1.0"});
    let asked = container(&pod(&injected, "Running"), "shop").unwrap();
    assert_eq!((&*asked.namespace, &*asked.pod), ("shop", "gateway-5d9c-x2"));
    assert_eq!((&*asked.name, asked.command.join(" ")), ("weft-proxy", format!("{PROGRAM} relay")));
    for (annotations, phase, says) in
        [(json!({}), "Running", "has no sidecar"), (injected, "Succeeded", "has ended")]
    {
        let error = container(&pod(&annotations, phase), "shop").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_pods_that_may_be_meant_are_named_first() {
    let meshed = ["a-1", "gateway-5d9c-x2", "order-1"].map(str::to_owned);
    assert_eq!(
        none("gateway", "shop", &meshed),
        "there is no pod gateway in shop; with a sidecar there are gateway-5d9c-x2, a-1, order-1"
    );
    let many: Vec<String> = (10..=30).map(|number| format!("pod-{number}")).collect();
    assert!(none("x", "shop", &many).ends_with("pod-19 …"), "{}", none("x", "shop", &many));
    assert_eq!(none("x", "shop", &[]), "there is no pod x in shop, nor any pod with a sidecar");
}
