//! The receipts of all replicas as one. Pure.

use crate::xds::{Absence, MAX_NAMED, Missing, Receipt};

#[cfg(test)]
mod tests;

/// What one of the others said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::status) struct Answer {
    /// Name of its pod.
    pub(in crate::status) replica: String,
    /// In the order of the objects that were asked for; `None` if it did not answer.
    pub(in crate::status) receipts: Option<Vec<Receipt>>,
}

/// `own` receipts with those of the others. Each is of the generation that this replica sends, or of a later one.
pub(in crate::status) fn total(own: Vec<Receipt>, answers: &[Answer]) -> Vec<Receipt> {
    let mut receipts = own;
    for (index, receipt) in receipts.iter_mut().enumerate() {
        // Nothing is made from the object: whoever holds something of it only loses it, and is not waited for.
        if receipt.generation.is_none() {
            continue;
        }
        for Answer { replica, receipts } in answers {
            let other = receipts.as_ref().and_then(|receipts| receipts.get(index));
            add(receipt, replica, other);
        }
    }
    receipts
}

fn add(sum: &mut Receipt, replica: &str, other: Option<&Receipt>) {
    let mut missing = |absence| sum.missing.push(Missing { replica: replica.to_owned(), absence });
    let Some(other) = other else { return missing(Absence::Silent) };
    // A replica that makes nothing from the object is behind as well: `None` is before any generation.
    if other.generation < sum.generation {
        missing(Absence::Behind);
        // All of its proxies wait, whatever they said of the generation before.
        sum.concerned += other.concerned;
        return;
    }
    sum.concerned += other.concerned;
    sum.programmed += other.programmed;
    sum.refusing += other.refusing;
    let room = |named: usize| MAX_NAMED.saturating_sub(named);
    sum.refused.extend(other.refused.iter().take(room(sum.refused.len())).cloned());
    sum.waiting.extend(other.waiting.iter().take(room(sum.waiting.len())).cloned());
}
