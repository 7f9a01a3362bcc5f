//! What is said of a pod, without an API server.

use serde_json::json;

use super::*;
use crate::injection::Injector;

fn settings() -> Settings {
    Settings::from_registry("weft.dev", Injector::Webhook)
}

#[test]
fn a_patch_fits_what_was_sent_to_the_letter() {
    let sent = json!({
        "metadata": {"annotations": null, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": true},
        ]},
        "spec": {"initContainers": [{"name": "a", "future": 1}], "containers": [], "future": {"x": null}},
    });
    let decision = decide(&sent, &settings());
    let Verdict::Inject(patch) = decision.verdict else { panic!("{decision:?}") };
    let mut made = sent.clone();
    json_patch::patch(&mut made, &patch).unwrap();
    assert_eq!(made["spec"]["initContainers"][2], sent["spec"]["initContainers"][0]);
    assert_eq!(made["spec"]["future"], sent["spec"]["future"]);
    assert_eq!(made["metadata"]["annotations"]["weft.dev/injected-by"], "webhook");
}

#[test]
fn what_is_no_pod_is_refused() {
    let decision = decide(&json!({"spec": {"containers": 7}}), &settings());
    assert!(
        matches!(decision.verdict, Verdict::Deny(message) if message.contains("cannot be read"))
    );
}

#[test]
fn answers_are_clipped() {
    let warnings = clip(vec!["é".repeat(300); 40]);
    assert_eq!(warnings.len(), MAX_WARNINGS);
    assert_eq!(warnings[0].chars().count(), MAX_WARNING + 1);
}
