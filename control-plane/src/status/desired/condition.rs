//! One condition, and a list of them put into a list that is there.

use serde_json::{Value, json};

use super::programmed::PROGRAMMED;

/// One condition of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `Accepted`.
    pub(crate) kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: &'static str,
    /// One word.
    pub(crate) reason: &'static str,
    /// What, where, and how to mend it.
    pub(crate) message: String,
    /// The generation that it is said of.
    pub(crate) generation: i64,
}

impl Condition {
    /// It is so.
    pub(super) fn yes(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, status: "True", reason, message: message.into(), generation: 0 }
    }

    /// It is not.
    pub(super) fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status: "False", ..Self::yes(kind, reason, message) }
    }

    /// Nobody knows.
    pub(super) fn unknown(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status: "Unknown", ..Self::yes(kind, reason, message) }
    }

    /// Said of this generation.
    pub(super) fn of(self, generation: i64) -> Self {
        Self { generation, ..self }
    }

    /// The time is that of the condition which is there, unless the status flips.
    fn to_value(&self, before: Option<&Value>, now: &str) -> Value {
        let same = before.filter(|before| before["status"] == self.status);
        let since = same.and_then(|before| before["lastTransitionTime"].as_str()).unwrap_or(now);
        json!({
            "type": self.kind,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.generation,
            "lastTransitionTime": since,
        })
    }
}

/// The conditions that one of our entries shall have, and no others.
pub(super) fn replace(before: &Value, wanted: &[Condition], now: &str) -> Vec<Value> {
    let known = |kind: &str| before.as_array()?.iter().find(|known| known["type"] == kind);
    wanted.iter().map(|one| one.to_value(known(one.kind), now)).collect()
}

/// The conditions that are there with ours in their places; new ones come last. Others stay.
pub(super) fn merge(before: &Value, wanted: &[Condition], now: &str) -> Vec<Value> {
    let mut merged = before.as_array().cloned().unwrap_or_default();
    for one in wanted {
        match merged.iter_mut().find(|known| known["type"] == one.kind) {
            Some(known) => *known = one.to_value(Some(known), now),
            None => merged.push(one.to_value(None, now)),
        }
    }
    merged
}

/// The part of a status that `like` has, without the texts of conditions that say how many proxies run an object.
pub(super) fn without_counts(status: &Value, like: &Value) -> Value {
    let mut out = json!({});
    for field in like.as_object().into_iter().flatten().map(|(field, _)| field) {
        out[field] = status[field].clone();
    }
    strip(&mut out);
    out
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(strip),
        Value::Object(fields) => {
            let count = fields.get("type").is_some_and(|kind| kind == PROGRAMMED)
                && fields.get("status").is_some_and(|status| status == "True");
            if count {
                // Nobody concerned, or all that are: the same to everybody who waits.
                for field in ["message", "reason"] {
                    fields.remove(field);
                }
            }
            fields.values_mut().for_each(strip);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
