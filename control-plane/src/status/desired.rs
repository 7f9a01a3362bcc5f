//! What the status of an object should say: `(object, findings, what is in force, receipt) -> conditions`, and how they
//! go into the status that is there. Pure; `writer` calls it and writes the result.
//!
//! ```text
//! finding ─ effect ─► Accepted, ResolvedRefs, PartiallyInvalid        route: one entry for each parentRef to a Service
//! receipt ──────────► weft.dev/Programmed                              policy: conditions of the object
//! ```
//! Entries and conditions of other controllers are never touched, in their place or their order. Everything is said
//! of one generation, and a time changes only when a status flips: the same facts make the same text, so that a
//! restarted control plane has nothing to write.

mod condition;
mod effect;
mod in_force;
mod message;
mod policy;
mod programmed;
mod route;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use condition::Condition;
pub(crate) use in_force::{InForce, in_force};

use crate::finding::Finding;
use crate::model::ObjectKey;
use crate::xds::Receipt;

/// Who writes: `controllerName` of our entries.
pub(crate) const CONTROLLER: &str = "weft.dev/mesh";

/// All that is known of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// As the API server has it.
    pub(crate) object: &'a Value,
    /// What there is to say about it.
    pub(crate) findings: &'a [Finding],
    /// What of it the mesh consists of.
    pub(crate) in_force: Option<&'a InForce>,
    /// Who runs it.
    pub(crate) receipt: &'a Receipt,
    /// Is the mesh that holds this generation translated? Before that a receipt is of an earlier one.
    pub(crate) translated: bool,
}

/// What the status should say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Of a route: each of its parents that is ours, as written, with its conditions.
    Route(Vec<(Value, Vec<Condition>)>),
    /// Of everything else.
    Policy(i64, Vec<Condition>),
}

impl Verdict {
    /// Is nothing to be waited for? What proxies refuse is looked at again as well.
    pub(crate) fn is_final(&self) -> bool {
        let conditions: Vec<&Condition> = match self {
            Self::Route(parents) => parents.iter().flat_map(|(_, conditions)| conditions).collect(),
            Self::Policy(_, conditions) => conditions.iter().collect(),
        };
        let waits = |one: &&Condition| {
            let open = matches!(one.reason, programmed::PENDING | programmed::REFUSED);
            one.kind == programmed::PROGRAMMED && open
        };
        !conditions.iter().any(waits)
    }
}

/// How much a new status differs from the one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Only the number of proxies, which run it before and after.
    Count,
    /// Anything else.
    Material,
}

/// Decides what is to be said of an object.
pub(crate) fn decide((kind, namespace, _): &ObjectKey, facts: Facts<'_>) -> Verdict {
    match kind.as_str() {
        "HTTPRoute" | "GRPCRoute" => Verdict::Route(route::parents(namespace, facts)),
        _ => Verdict::Policy(generation(facts.object), policy::conditions(kind, facts)),
    }
}

/// The status to write, as a merge patch of `status`; `None` if the object has it already. `now` is RFC 3339 in
/// whole seconds.
pub(crate) fn merge(object: &Value, verdict: &Verdict, now: &str) -> Option<(Value, Change)> {
    let before = &object["status"];
    let after = match verdict {
        Verdict::Route(parents) => {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let parents = route::merge(&before["parents"], parents, namespace, now);
            serde_json::json!({ "parents": parents })
        }
        Verdict::Policy(generation, wanted) => {
            let conditions = condition::merge(&before["conditions"], wanted, now);
            serde_json::json!({ "observedGeneration": generation, "conditions": conditions })
        }
    };
    let fields = after.as_object().into_iter().flatten();
    let differing = fields.filter(|(field, value)| before[field.as_str()] != **value);
    let differing: Vec<_> = differing.map(|(field, _)| field.clone()).collect();
    let nothing = |value: &Value| value.is_null() || *value == serde_json::json!([]);
    if differing.iter().all(|field| nothing(&before[field]) && nothing(&after[field])) {
        return None;
    }
    let material =
        condition::without_counts(before, &after) != condition::without_counts(&after, &after);
    Some((after, if material { Change::Material } else { Change::Count }))
}

/// Is the receipt of this generation in the status already?
pub(crate) fn is_said(object: &Value) -> bool {
    programmed::is_said(object)
}

/// `metadata.generation`; 0 of an object that has none.
pub(crate) fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(0)
}
