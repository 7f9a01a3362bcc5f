//! The receipt as a condition.

use serde_json::Value;

use super::condition::Condition;
use super::{CONTROLLER, Facts, generation, message};
use crate::xds::{Absence, Missing, Receipt};

/// Its type.
pub(super) const PROGRAMMED: &str = "weft.dev/Programmed";
/// Reasons of what may change without anybody's doing.
pub(super) const PENDING: &str = "Pending";
pub(super) const REFUSED: &str = "Refused";

/// `weft.dev/Programmed` of an object whose newest generation counts, or does not.
pub(super) fn condition(facts: Facts<'_>, accepted: bool) -> Condition {
    let generation = generation(facts.object);
    let receipt = facts.receipt;
    if !accepted {
        let message = match facts.in_force {
            Some(old) if i64::try_from(old.generation) != Ok(generation) => format!(
                "generation {generation} is not in force; {}{}",
                count(receipt, i64::try_from(old.generation).unwrap_or(0)),
                missing(receipt)
            ),
            _ => format!("generation {generation} is not in force"),
        };
        return Condition::no(PROGRAMMED, "NotAccepted", message).of(generation);
    }
    let sent = receipt.generation.and_then(|sent| i64::try_from(sent).ok());
    let condition = match sent {
        // A later one may be there before the object is seen.
        Some(sent) if sent >= generation => of_receipt(receipt, generation),
        None if facts.translated => nobody(),
        Some(_) | None => {
            let message = format!("generation {generation} is not translated for the proxies yet");
            Condition::no(PROGRAMMED, PENDING, message)
        }
    };
    condition.of(generation)
}

fn nobody() -> Condition {
    let message = "no connected proxy holds anything that is made from this object";
    Condition::yes(PROGRAMMED, "NoProxiesConcerned", message)
}

fn of_receipt(receipt: &Receipt, generation: i64) -> Condition {
    if receipt.concerned == 0 && receipt.missing.is_empty() {
        return nobody();
    }
    let mut text = count(receipt, generation);
    if receipt.is_complete() {
        return Condition::yes(PROGRAMMED, "Programmed", text);
    }
    let more = |named: usize, all: usize| match all.saturating_sub(named) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    for refusal in &receipt.refused {
        text.push_str(&format!("; {} refused it: {}", refusal.proxy, refusal.reason));
    }
    if receipt.refusing > receipt.refused.len() {
        let unnamed = receipt.refusing - receipt.refused.len();
        text.push_str(&format!("; {unnamed} more refused it"));
    }
    if !receipt.waiting.is_empty() {
        let more = more(receipt.waiting.len(), receipt.pending());
        text.push_str(&format!("; waiting for {}{more}", receipt.waiting.join(", ")));
    }
    text.push_str(&missing(receipt));
    let text = message::bounded(text);
    if receipt.is_unsure() {
        return Condition::unknown(PROGRAMMED, PENDING, text);
    }
    let reason = if receipt.refusing > 0 { REFUSED } else { PENDING };
    Condition::no(PROGRAMMED, reason, text)
}

fn count(receipt: &Receipt, generation: i64) -> String {
    let Receipt { programmed, concerned, .. } = receipt;
    let (proxies, verb) = if *concerned == 1 { ("proxy", "runs") } else { ("proxies", "run") };
    format!("{programmed} of {concerned} {proxies} {verb} generation {generation}")
}

/// `; replica weft-control-plane-7c did not answer`.
fn missing(receipt: &Receipt) -> String {
    let one = |missing: &Missing| match missing.absence {
        Absence::Silent => format!("; replica {} did not answer", missing.replica),
        Absence::Behind => format!("; replica {} does not have it yet", missing.replica),
    };
    receipt.missing.iter().map(one).collect()
}

/// Does the status that is there speak of the object's generation?
pub(super) fn is_said(object: &Value) -> bool {
    let status = &object["status"];
    let parents = status["parents"].as_array().map_or(&[][..], Vec::as_slice);
    let ours = parents.iter().filter(|entry| entry["controllerName"] == CONTROLLER);
    let lists = ours.map(|entry| &entry["conditions"]).chain([&status["conditions"]]);
    let newest = generation(object);
    lists.filter_map(Value::as_array).flatten().any(|condition| {
        condition["type"] == PROGRAMMED && condition["observedGeneration"].as_i64() == Some(newest)
    })
}
