//! `status.parents` of HTTPRoutes and GRPCRoutes.

use serde_json::{Value, json};

use super::condition::{self, Condition};
use super::effect::{Effect, effect, notes, refused};
use super::message::{earlier, in_force, what_stays};
use super::{CONTROLLER, Facts, generation, message, programmed};
use crate::finding::Finding;
use crate::model::Key;

/// Bound of the API on entries of all controllers together.
const MAX_PARENTS: usize = 32;

/// One entry for each parentRef to a Service, in the order written. Other parents are other controllers' business.
pub(super) fn parents(namespace: &str, facts: Facts<'_>) -> Vec<(Value, Vec<Condition>)> {
    let refs = facts.object["spec"]["parentRefs"].as_array().map_or(&[][..], Vec::as_slice);
    let ours = refs.iter().enumerate().filter(|(_, parent)| is_service(parent));
    let ours =
        ours.map(|(index, parent)| (parent.clone(), conditions(index, parent, namespace, facts)));
    ours.take(MAX_PARENTS).collect()
}

fn is_service(parent: &Value) -> bool {
    let group = parent["group"].as_str().unwrap_or("gateway.networking.k8s.io");
    matches!((group, parent["kind"].as_str()), ("" | "core", Some("Service")))
}

fn conditions(index: usize, parent: &Value, namespace: &str, facts: Facts<'_>) -> Vec<Condition> {
    let newest = generation(facts.object);
    let refused = refused(facts.findings);
    if !refused.is_empty() {
        return broken(&refused, facts);
    }
    let field = format!("spec.parentRefs[{index}]");
    let here: Vec<(&str, &Finding)> = facts
        .findings
        .iter()
        .filter(|finding| is_below(&finding.field, &field))
        .filter_map(|finding| match effect(finding.code) {
            Effect::Place { route, .. } => Some((route, finding)),
            Effect::Refused { .. } | Effect::Reference(_) | Effect::Note | Effect::Nothing => None,
        })
        .collect();
    let said = here.iter().map(|(_, finding)| *finding);
    let accepted = match here.first() {
        // Of several ports it may count for some.
        Some((reason, _)) if !is_attached(parent, namespace, facts) => {
            Condition::no("Accepted", reason, message::list(said))
        }
        _ => {
            let notes = notes(facts.findings).filter(|note| {
                is_below(&note.field, &field) || !note.field.starts_with("spec.parentRefs[")
            });
            Condition::yes("Accepted", "Accepted", in_force("the route", said.chain(notes)))
        }
    };
    let programmed = programmed::condition(facts, accepted.status == "True");
    vec![accepted.of(newest), references(facts.findings).of(newest), programmed]
}

/// The newest generation is not taken. Where only some of its rules are wrong and an earlier generation is in force,
/// that is what the API calls falling back; else the route is not accepted.
fn broken(refused: &[(Effect, &Finding)], facts: Facts<'_>) -> Vec<Condition> {
    let newest = generation(facts.object);
    let text = message::list(refused.iter().map(|(_, finding)| *finding));
    let earlier = earlier(facts);
    let programmed = programmed::condition(facts, false);
    if let (Some(earlier), true) = (earlier, some_rules_are_good(refused, facts.object)) {
        let accepted = format!("generation {earlier} is in force; see PartiallyInvalid");
        let why = format!("Fall Back to generation {earlier}: {text}");
        return vec![
            Condition::yes("Accepted", "Accepted", accepted).of(earlier),
            references(facts.findings).of(earlier),
            Condition::yes("PartiallyInvalid", "UnsupportedValue", message::bounded(why))
                .of(newest),
            programmed,
        ];
    }
    let reason = match refused.first() {
        Some((Effect::Refused { route, .. }, _)) => route,
        _ => "UnsupportedValue",
    };
    let text = message::bounded(format!("{text}{}", what_stays(facts)));
    let unread = format!("generation {newest} is not in force");
    vec![
        Condition::no("Accepted", reason, text).of(newest),
        Condition::unknown("ResolvedRefs", "Pending", unread).of(newest),
        programmed,
    ]
}

/// Lies every fault inside a rule, and is there a rule without one?
fn some_rules_are_good(refused: &[(Effect, &Finding)], object: &Value) -> bool {
    let rules = object["spec"]["rules"].as_array().map_or(0, Vec::len);
    let rule_of = |finding: &Finding| {
        let index = finding.field.strip_prefix("spec.rules[")?.split(']').next()?;
        index.parse::<usize>().ok()
    };
    let bad: Option<std::collections::BTreeSet<usize>> =
        refused.iter().map(|(_, finding)| rule_of(finding)).collect();
    bad.is_some_and(|bad| bad.len() < rules)
}

/// `ResolvedRefs`.
fn references(findings: &[Finding]) -> Condition {
    let missing: Vec<(&str, &Finding)> = findings
        .iter()
        .filter_map(|finding| match effect(finding.code) {
            Effect::Reference(reason) => Some((reason, finding)),
            Effect::Refused { .. } | Effect::Place { .. } | Effect::Note | Effect::Nothing => None,
        })
        .collect();
    match missing.first() {
        None => Condition::yes("ResolvedRefs", "ResolvedRefs", "all backends are there"),
        Some((reason, _)) => {
            let findings = missing.iter().map(|(_, finding)| *finding);
            Condition::no("ResolvedRefs", reason, message::list(findings))
        }
    }
}

/// Is the route in force for a port that this parent means?
fn is_attached(parent: &Value, namespace: &str, facts: Facts<'_>) -> bool {
    // Without the Service or the port there is nothing that it could be in force for.
    let namespace = parent["namespace"].as_str().unwrap_or(namespace);
    let service = Key::new(namespace, parent["name"].as_str().unwrap_or_default());
    let wanted = parent["port"].as_i64();
    facts.in_force.is_some_and(|found| {
        let mut places = found.places.iter().filter(|(key, _)| *key == service);
        places.any(|(_, port)| wanted.is_none() || port.map(i64::from) == wanted)
    })
}

/// Is `field` that field, or one inside it?
fn is_below(field: &str, outer: &str) -> bool {
    field.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The entries that are there with ours in their places: those of parents that are gone are taken out, new ones come
/// last, as far as the API has room for them.
pub(super) fn merge(
    before: &Value,
    wanted: &[(Value, Vec<Condition>)],
    namespace: &str,
    now: &str,
) -> Vec<Value> {
    let entry = |(parent, conditions): &(Value, Vec<Condition>), known: &Value| {
        json!({
            "parentRef": parent,
            "controllerName": CONTROLLER,
            "conditions": condition::replace(&known["conditions"], conditions, now),
        })
    };
    let mut left: Vec<_> = wanted.iter().collect();
    let mut merged = Vec::new();
    for known in before.as_array().into_iter().flatten() {
        if known["controllerName"] != CONTROLLER {
            merged.push(known.clone());
            continue;
        }
        let same = |(parent, _): &&(Value, Vec<Condition>)| {
            identity(parent, namespace) == identity(&known["parentRef"], namespace)
        };
        if let Some(found) = left.iter().position(same) {
            merged.push(entry(left.remove(found), known));
        }
    }
    merged.extend(left.into_iter().map(|one| entry(one, &Value::Null)));
    merged.truncate(MAX_PARENTS);
    merged
}

/// What makes two parentRefs the same, however they are written.
fn identity<'a>(parent: &'a Value, namespace: &'a str) -> ([&'a str; 5], Option<i64>) {
    let text = |field: &str, default: &'a str| parent[field].as_str().unwrap_or(default);
    let names = [
        text("group", "gateway.networking.k8s.io"),
        text("kind", "Gateway"),
        text("namespace", namespace),
        text("name", ""),
        text("sectionName", ""),
    ];
    (names, parent["port"].as_i64())
}
