//! What is there and what it becomes.

use super::*;

const THEN: &str = "2026-01-01T00:00:00Z";
const NOW: &str = "2026-02-02T00:00:00Z";

fn entry(controller: &str, parent: &Value, status: &str) -> Value {
    json!({
        "controllerName": controller,
        "parentRef": parent,
        "conditions": [{
            "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
            "observedGeneration": 3, "lastTransitionTime": THEN,
        }],
    })
}

fn with_status(status: Value) -> Value {
    let mut object = route();
    object["status"] = status;
    object
}

fn written(object: &Value, findings: &[Finding]) -> Option<(Value, Change)> {
    merge(object, &judge("HTTPRoute", object, findings, None), NOW)
}

#[test]
fn what_was_written_is_not_written_again() {
    let first = route();
    let (status, change) = written(&first, &[]).unwrap();
    assert_eq!(change, Change::Material);
    assert_eq!(written(&with_status(status), &[]), None);

    let verdict = judge("TrafficPolicy", &policy(), &[], None);
    let (status, _) = merge(&policy(), &verdict, NOW).unwrap();
    assert_eq!(status["observedGeneration"], 4);
    let mut object = policy();
    object["status"] = status;
    assert_eq!(merge(&object, &verdict, "2030-01-01T00:00:00Z"), None);
}

#[test]
fn entries_of_others_stay_where_they_are_and_ours_of_parents_that_are_gone_go() {
    let refs = route()["spec"]["parentRefs"].clone();
    let gone = json!({ "group": "", "kind": "Service", "name": "gone" });
    let theirs =
        [entry("example.com/a", &refs[1], "True"), entry("example.com/b", &refs[0], "False")];
    let before = json!({ "parents": [
        theirs[0], entry(CONTROLLER, &gone, "True"), entry(CONTROLLER, &refs[2], "True"), theirs[1],
    ]});
    let (after, _) = written(&with_status(before), &[]).unwrap();
    let parents = after["parents"].as_array().unwrap();
    assert_eq!(parents.len(), 4);
    assert_eq!((&parents[0], &parents[2]), (&theirs[0], &theirs[1]));
    assert_eq!((&parents[1]["parentRef"], &parents[3]["parentRef"]), (&refs[2], &refs[0]));
    for ours in [&parents[1], &parents[3]] {
        assert_eq!(ours["controllerName"], CONTROLLER);
        assert_eq!(ours["conditions"][0]["observedGeneration"], 4);
    }
    assert_eq!(written(&with_status(after), &[]), None);
}

#[test]
fn a_route_of_gateways_gets_nothing_and_loses_what_was_ours() {
    let mut object = route();
    let gateway = object["spec"]["parentRefs"][1].clone();
    object["spec"]["parentRefs"] = json!([gateway]);
    assert_eq!(written(&object, &[]), None);
    let ours = json!({ "group": "", "kind": "Service", "name": "web" });
    object["status"] = json!({ "parents": [entry("example.com/a", &gateway, "True")] });
    assert_eq!(written(&object, &[]), None);
    object["status"]["parents"].as_array_mut().unwrap().push(entry(CONTROLLER, &ours, "True"));
    let (after, _) = written(&object, &[]).unwrap();
    assert_eq!(after["parents"], json!([entry("example.com/a", &gateway, "True")]));
}

#[test]
fn the_time_is_that_of_the_last_flip() {
    let parent = route()["spec"]["parentRefs"][0].clone();
    for (before, wanted) in [("True", THEN), ("False", NOW)] {
        let before = json!({ "parents": [entry(CONTROLLER, &parent, before)] });
        let (after, _) = written(&with_status(before), &[]).unwrap();
        assert_eq!(after["parents"][0]["conditions"][0]["lastTransitionTime"], wanted);
        // The other conditions are new.
        assert_eq!(after["parents"][0]["conditions"][1]["lastTransitionTime"], NOW);
    }
}

/// The API server's defaults and a namespace left out make no other parent.
#[test]
fn a_parent_is_the_same_however_it_is_written() {
    let parent = json!({ "group": "", "kind": "Service", "name": "web", "namespace": "shop" });
    let before = json!({ "parents": [entry(CONTROLLER, &parent, "True")] });
    let (after, _) = written(&with_status(before), &[]).unwrap();
    let parents = after["parents"].as_array().unwrap();
    assert_eq!(parents.len(), 2);
    assert_eq!(parents[0]["parentRef"]["port"], Value::Null);
    assert_eq!(parents[0]["conditions"][0]["lastTransitionTime"], THEN);
    assert_eq!(parents[1]["parentRef"]["port"], 80);
}

#[test]
fn conditions_of_others_on_a_policy_stay() {
    let theirs = json!({ "type": "example.com/Seen", "status": "True" });
    let mut object = policy();
    object["status"] = json!({ "conditions": [theirs.clone()], "other": 1 });
    let (after, _) = merge(&object, &judge("MeshConfig", &object, &[], None), NOW).unwrap();
    let kinds: Vec<_> =
        after["conditions"].as_array().unwrap().iter().map(|c| &c["type"]).collect();
    assert_eq!(kinds, ["example.com/Seen", "Accepted", "weft.dev/Programmed"]);
    assert_eq!(after["conditions"][0], theirs);
}

#[test]
fn another_number_of_proxies_is_a_small_change() {
    let verdict = |concerned| {
        let receipt =
            Receipt { generation: Some(4), concerned, programmed: concerned, ..Receipt::default() };
        let (object, in_force) = (policy(), at(4, &[]));
        let facts = Facts {
            object: &object,
            findings: &[],
            in_force: Some(&in_force),
            receipt: &receipt,
            translated: true,
        };
        decide(&key("InboundPolicy"), facts)
    };
    let mut object = policy();
    object["status"] = merge(&object, &verdict(12), NOW).unwrap().0;
    for other in [0, 13] {
        assert_eq!(merge(&object, &verdict(other), NOW).unwrap().1, Change::Count);
    }
}
