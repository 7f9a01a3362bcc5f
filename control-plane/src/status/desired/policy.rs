//! Conditions of TrafficPolicy, InboundPolicy, TelemetryPolicy, MeshConfig and MeshWorkload.

use super::condition::Condition;
use super::effect::{Effect, effect, notes, refused};
use super::message::{in_force, what_stays};
use super::{Facts, generation, message, programmed};
use crate::finding::Finding;

/// All of them.
pub(super) fn conditions(kind: &str, facts: Facts<'_>) -> Vec<Condition> {
    let accepted = accepted(kind, facts).of(generation(facts.object));
    let programmed = programmed::condition(facts, accepted.status == "True");
    vec![accepted, programmed]
}

fn accepted(kind: &str, facts: Facts<'_>) -> Condition {
    let refused = refused(facts.findings);
    if let Some((first, _)) = refused.first() {
        let Effect::Refused { policy, .. } = first else { return unreadable() };
        let findings = refused.iter().map(|(_, finding)| *finding);
        let text = format!("{}{}", message::list(findings), what_stays(facts));
        return Condition::no("Accepted", policy, message::bounded(text));
    }
    let places: Vec<(&str, &Finding)> = facts
        .findings
        .iter()
        .filter_map(|finding| match effect(finding.code) {
            Effect::Place { policy, .. } => Some((policy, finding)),
            Effect::Refused { .. } | Effect::Reference(_) | Effect::Note | Effect::Nothing => None,
        })
        .collect();
    // A TrafficPolicy, or a TelemetryPolicy of routes, is in force target by target; an InboundPolicy that is said to be without effect has none.
    let counts = |facts: Facts<'_>| facts.in_force.is_some_and(|found| !found.places.is_empty());
    let elsewhere = matches!(kind, "TrafficPolicy" | "TelemetryPolicy") && counts(facts);
    match places.first() {
        Some((reason, _)) if !elsewhere => {
            let findings = places.iter().map(|(_, finding)| *finding);
            Condition::no("Accepted", reason, message::list(findings))
        }
        _ => {
            let said = places.iter().map(|(_, finding)| *finding);
            let said = said.chain(notes(facts.findings));
            Condition::yes("Accepted", "Accepted", in_force("the object", said))
        }
    }
}

fn unreadable() -> Condition {
    Condition::no("Accepted", "Invalid", "the object cannot be read")
}
