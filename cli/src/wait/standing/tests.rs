//! Statuses and what is said of them.

use serde_json::json;

use super::*;

fn condition(kind: &str, status: &str, generation: i64, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "observedGeneration": generation,
        "reason": "Because", "message": message,
    })
}

fn policy(conditions: &[Value]) -> Value {
    json!({ "metadata": { "generation": 3 }, "status": { "conditions": conditions } })
}

#[test]
fn a_policy_is_good_when_both_conditions_are_true_of_the_present_generation() {
    let accepted = |status, generation| condition("Accepted", status, generation, "spec.x: bad");
    let programmed =
        |status, generation| condition("weft.dev/Programmed", status, generation, "2 of 3; a.ns");
    for (conditions, wanted) in [
        (vec![accepted("True", 3), programmed("True", 3)], Ok("2 of 3; a.ns")),
        (vec![], Err("the control plane has not written a status yet")),
        (vec![accepted("True", 3)], Err("the control plane has not written a status yet")),
        (
            vec![accepted("True", 2), programmed("True", 2)],
            Err("the status is not of generation 3 yet"),
        ),
        (
            vec![accepted("False", 3), programmed("False", 3)],
            Err("Accepted is False (Because): spec.x: bad"),
        ),
        (
            vec![accepted("True", 3), programmed("False", 3)],
            Err("weft.dev/Programmed is False (Because): 2 of 3; a.ns"),
        ),
    ] {
        let found = standing("TrafficPolicy", &policy(&conditions));
        let wanted = match wanted {
            Ok(text) => Standing::Good(text.to_owned()),
            Err(text) => Standing::Open(vec![text.to_owned()]),
        };
        assert_eq!(found, wanted, "{conditions:?}");
    }
}

#[test]
fn a_route_is_good_when_each_of_its_services_is() {
    let parent = |port: i64| json!({ "group": "", "kind": "Service", "name": "web", "port": port });
    let entry = |controller: &str, port: i64, status: &str| {
        json!({
            "controllerName": controller,
            "parentRef": parent(port),
            "conditions": [
                condition("Accepted", status, 3, "why"),
                condition("weft.dev/Programmed", status, 3, "12 of 12"),
            ],
        })
    };
    let route = |entries: Vec<Value>| {
        json!({
            "metadata": { "generation": 3 },
            "spec": { "parentRefs": [
                { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g" },
                parent(80), parent(81),
            ] },
            "status": { "parents": entries },
        })
    };
    let judged = |entries| standing("HTTPRoute", &route(entries));
    let ours = "weft.dev/mesh";
    let good = Standing::Good("12 of 12".to_owned());
    assert_eq!(judged(vec![entry(ours, 80, "True"), entry(ours, 81, "True")]), good);
    let missing = "Service web port 81: the control plane has not written a status yet".to_owned();
    for other in [entry("example.com/mesh", 81, "True"), entry(ours, 82, "True")] {
        let found = judged(vec![entry(ours, 80, "True"), other]);
        assert_eq!(found, Standing::Open(vec![missing.clone()]));
    }
    let refused = "Service web port 81: Accepted is False (Because): why".to_owned();
    let found = judged(vec![entry(ours, 80, "True"), entry(ours, 81, "False")]);
    assert_eq!(found, Standing::Open(vec![refused]));
}

#[test]
fn a_route_that_fell_back_says_so() {
    let conditions = [
        condition("Accepted", "True", 2, "generation 2"),
        condition("PartiallyInvalid", "True", 3, "Fall Back to generation 2: spec.rules[1]"),
        condition("weft.dev/Programmed", "False", 3, ""),
    ];
    let wanted = "PartiallyInvalid: Fall Back to generation 2: spec.rules[1]".to_owned();
    assert_eq!(standing("TrafficPolicy", &policy(&conditions)), Standing::Open(vec![wanted]));
}
