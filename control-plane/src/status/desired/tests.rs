//! Statuses as tables: from findings and receipts to conditions, and from those into what is there.

mod merging;
mod programmed;

use serde_json::json;

use super::*;
use crate::finding::Code;
use crate::model::Key;

fn key(kind: &str) -> ObjectKey {
    (kind.to_owned(), "shop".to_owned(), "it".to_owned())
}

/// Generation 4 of an HTTPRoute with two parents of ours, one Gateway and two rules.
fn route() -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": "it", "generation": 4 },
        "spec": {
            "parentRefs": [
                { "group": "", "kind": "Service", "name": "web", "port": 80 },
                { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "front" },
                { "group": "", "kind": "Service", "name": "web" },
            ],
            "rules": [{}, {}],
        },
    })
}

fn policy() -> Value {
    json!({ "metadata": { "namespace": "shop", "name": "it", "generation": 4 }, "spec": {} })
}

fn finding(code: Code, field: &str) -> Finding {
    Finding::new(code, "something is wrong").about("HTTPRoute shop/it").field(field)
}

fn at(generation: u64, places: &[(&str, Option<u16>)]) -> InForce {
    let place = |(name, port): &(&str, Option<u16>)| (Key::new("shop", *name), *port);
    InForce { generation, places: places.iter().map(place).collect() }
}

fn nobody() -> Receipt {
    Receipt::default()
}

/// Verdict on an object with these findings.
fn judge(kind: &str, object: &Value, findings: &[Finding], in_force: Option<&InForce>) -> Verdict {
    let receipt = nobody();
    let facts = Facts { object, findings, in_force, receipt: &receipt, translated: true };
    decide(&key(kind), facts)
}

/// `Accepted=True/Accepted@4 …`, of one parent.
fn line(conditions: &[Condition]) -> String {
    let one = |c: &Condition| format!("{}={}/{}@{}", c.kind, c.status, c.reason, c.generation);
    conditions.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn of_route(findings: &[Finding], in_force: Option<&InForce>) -> Vec<String> {
    match judge("HTTPRoute", &route(), findings, in_force) {
        Verdict::Route(parents) => parents.iter().map(|(_, all)| line(all)).collect(),
        Verdict::Policy(..) => panic!("a route has parents"),
    }
}

fn of_policy(kind: &str, findings: &[Finding], in_force: Option<&InForce>) -> Vec<Condition> {
    match judge(kind, &policy(), findings, in_force) {
        Verdict::Policy(generation, conditions) => {
            assert_eq!(generation, 4);
            conditions
        }
        Verdict::Route(_) => panic!("a policy has no parents"),
    }
}

const FINE: &str = "Accepted=True/Accepted@4 ResolvedRefs=True/ResolvedRefs@4 \
                    weft.dev/Programmed=True/NoProxiesConcerned@4";

#[test]
fn a_route_has_one_entry_for_each_parent_that_is_a_service_as_written() {
    let Verdict::Route(parents) = judge("HTTPRoute", &route(), &[], None) else { panic!() };
    let refs: Vec<_> = parents.iter().map(|(parent, _)| parent.clone()).collect();
    let written = route()["spec"]["parentRefs"].clone();
    assert_eq!(refs, [written[0].clone(), written[2].clone()]);
    assert_eq!(of_route(&[], None), [FINE, FINE]);
}

#[test]
fn every_code_means_something_for_a_route() {
    let broken = |reason: &str| {
        format!(
            "Accepted=False/{reason}@4 ResolvedRefs=Unknown/Pending@4 \
             weft.dev/Programmed=False/NotAccepted@4"
        )
    };
    let unresolved = |reason: &str| FINE.replace("True/ResolvedRefs", &format!("False/{reason}"));
    for info in Code::ALL {
        let wanted = match info.code {
            Code::InvalidObject | Code::UnsupportedValue => broken("UnsupportedValue"),
            Code::TooMany => broken("Pending"),
            Code::DuplicateObject | Code::ConfigIgnored | Code::AddressShared => {
                broken("Conflicted")
            }
            Code::BackendNotFound | Code::BackendPortNotFound => unresolved("BackendNotFound"),
            Code::InvalidKind => unresolved("InvalidKind"),
            _ => FINE.to_owned(),
        };
        let lines = of_route(&[finding(info.code, "spec.rules")], None);
        assert_eq!(lines, [wanted.clone(), wanted], "{}", info.id);
    }
}

#[test]
fn what_is_wrong_with_one_parent_is_said_of_that_parent() {
    for (code, reason) in [
        (Code::ParentNotFound, "NoMatchingParent"),
        (Code::ParentPortNotFound, "NoMatchingParent"),
        (Code::RouteConflicted, "Conflicted"),
    ] {
        let wanted = format!(
            "Accepted=False/{reason}@4 ResolvedRefs=True/ResolvedRefs@4 \
             weft.dev/Programmed=False/NotAccepted@4"
        );
        let findings = [finding(code, "spec.parentRefs[0].name")];
        assert_eq!(of_route(&findings, None), [wanted.as_str(), FINE], "{code}");
        // `spec.parentRefs[2]` is not `spec.parentRefs[20]`.
        let findings = [finding(code, "spec.parentRefs[20]")];
        assert_eq!(of_route(&findings, None), [FINE, FINE], "{code}");
    }
}

#[test]
fn a_parent_that_means_several_ports_counts_if_one_of_them_does() {
    let findings = [
        finding(Code::RouteConflicted, "spec.parentRefs[2]"),
        finding(Code::RouteConflicted, "spec.parentRefs[0]"),
    ];
    let in_force = at(4, &[("web", Some(81))]);
    let lines = of_route(&findings, Some(&in_force));
    assert!(lines[0].starts_with("Accepted=False/Conflicted@4"), "{}", lines[0]);
    assert_eq!(lines[1], FINE);
}

#[test]
fn a_generation_that_cannot_be_read_is_not_accepted_and_what_stays_is_said() {
    let findings = [finding(Code::InvalidObject, "spec.hostnames[0]")];
    let in_force = at(3, &[("web", Some(80))]);
    let Verdict::Route(parents) = judge("HTTPRoute", &route(), &findings, Some(&in_force)) else {
        panic!()
    };
    let [accepted, _, programmed] = &parents[0].1[..] else { panic!("{parents:?}") };
    assert_eq!((accepted.status, accepted.reason), ("False", "UnsupportedValue"));
    assert_eq!(
        accepted.message,
        "spec.hostnames[0]: something is wrong (correct the field); the last good generation, 3, stays in force"
    );
    assert_eq!(programmed.message, "generation 4 is not in force; 0 of 0 proxies run generation 3");
    let without = judge("HTTPRoute", &route(), &findings, None);
    let Verdict::Route(parents) = without else { panic!() };
    assert!(parents[0].1[0].message.ends_with("; no earlier generation is in force"));
}

/// "Fall Back" in the words of the API: Accepted is said of the generation that is in force.
#[test]
fn a_route_with_good_rules_beside_bad_ones_falls_back() {
    let findings = [finding(Code::UnsupportedValue, "spec.rules[1].filters[0]")];
    let in_force = at(3, &[("web", Some(80))]);
    let wanted = "Accepted=True/Accepted@3 ResolvedRefs=True/ResolvedRefs@3 \
                  PartiallyInvalid=True/UnsupportedValue@4 weft.dev/Programmed=False/NotAccepted@4";
    assert_eq!(of_route(&findings, Some(&in_force)), [wanted, wanted]);
    let both = [findings[0].clone(), finding(Code::InvalidObject, "spec.rules[0].matches")];
    for (findings, in_force) in [(&both[..], Some(&in_force)), (&findings[..], None)] {
        let lines = of_route(findings, in_force);
        assert!(lines[0].starts_with("Accepted=False/UnsupportedValue@4"), "{}", lines[0]);
        assert!(!lines[0].contains("PartiallyInvalid"));
    }
}

#[test]
fn every_code_means_something_for_a_policy() {
    for kind in ["TrafficPolicy", "InboundPolicy", "MeshConfig", "MeshWorkload"] {
        for info in Code::ALL {
            let wanted = match info.code {
                Code::InvalidObject | Code::UnsupportedValue | Code::TooMany => "False/Invalid",
                Code::DuplicateObject
                | Code::ConfigIgnored
                | Code::AddressShared
                | Code::Conflicted
                | Code::RouteConflicted => "False/Conflicted",
                Code::TargetNotFound | Code::ParentNotFound | Code::ParentPortNotFound => {
                    "False/TargetNotFound"
                }
                _ => "True/Accepted",
            };
            let conditions = of_policy(kind, &[finding(info.code, "spec")], None);
            let programmed = if wanted.starts_with("True") {
                "True/NoProxiesConcerned"
            } else {
                "False/NotAccepted"
            };
            let wanted = format!("Accepted={wanted}@4 weft.dev/Programmed={programmed}@4");
            assert_eq!(line(&conditions), wanted, "{kind} {}", info.id);
        }
    }
}

#[test]
fn a_traffic_policy_counts_if_one_of_its_targets_does() {
    let findings = [finding(Code::Conflicted, "spec.targetRefs[0]")];
    let in_force = at(4, &[("web", None)]);
    let accepted = &of_policy("TrafficPolicy", &findings, Some(&in_force))[0];
    assert_eq!(accepted.status, "True");
    assert!(accepted.message.starts_with("the object is in force; spec.targetRefs[0]: "));
    // An InboundPolicy is part of the mesh whether or not something is left for it.
    let accepted = &of_policy("InboundPolicy", &findings, Some(&at(4, &[])))[0];
    assert_eq!((accepted.status, accepted.reason), ("False", "Conflicted"));
}

#[test]
fn messages_are_bounded_and_say_how_much_is_left_out() {
    let findings: Vec<_> = (0..50)
        .map(|rule| finding(Code::BackendNotFound, &format!("spec.rules[{rule}].backendRefs[0]")))
        .collect();
    let Verdict::Route(parents) = judge("HTTPRoute", &route(), &findings, None) else { panic!() };
    let message = &parents[0].1[1].message;
    assert!(message.len() <= 1024, "{}", message.len());
    assert!(message.starts_with("spec.rules[0].backendRefs[0]: something is wrong (correct the"));
    assert!(message.ends_with(" more"), "{message}");
    let long = Finding::new(Code::InvalidObject, "ä".repeat(5000));
    let Verdict::Route(parents) = judge("HTTPRoute", &route(), &[long], None) else { panic!() };
    assert!(parents[0].1[0].message.len() <= 1024);
}
