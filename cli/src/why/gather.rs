//! From the answers of all replicas to the one request that is to be explained: its entries on both sides, and the innermost hop.
//! Pure.

use std::collections::BTreeSet;

use super::facts::{Door, Entry, Gathered, Lookup, Silent};

/// Entries of the two sides of one connection are written within so many milliseconds of each other.
const TOGETHER_MS: i64 = 2000;

/// The answers of several replicas as one; each knows other sidecars.
pub(super) fn merged(answers: Vec<Gathered>) -> Gathered {
    let mut whole = Gathered::default();
    for answer in answers {
        whole.requests.extend(answer.requests);
        whole.left_out += answer.left_out;
        whole.answered.extend(answer.answered);
        whole.silent.extend(answer.silent);
    }
    // A sidecar that has just changed replicas is known to two.
    whole.requests.sort_by(|one, other| {
        let key = |entry: &Entry| {
            (entry.workload.clone(), entry.request_id.clone(), entry.direction.clone())
        };
        other.at_ms.cmp(&one.at_ms).then_with(|| key(one).cmp(&key(other)))
    });
    whole.requests.dedup();
    whole.answered.sort();
    whole.answered.dedup();
    let answered: BTreeSet<&str> = whole.answered.iter().map(String::as_str).collect();
    let mut silent: Vec<Silent> = std::mem::take(&mut whole.silent);
    silent.retain(|one| !answered.contains(one.workload.as_str()));
    silent.sort();
    silent.dedup_by(|one, other| one.workload == other.workload);
    whole.silent = silent;
    whole
}

/// What several replicas say by the model: the same, but for the sidecars, of which each knows its own.
pub(super) fn merged_lookups(answers: Vec<Lookup>) -> Option<Lookup> {
    let mut answers = answers.into_iter();
    let mut whole = answers.next()?;
    for answer in answers {
        // By name: one of them may have heard of a pod that the other has not.
        for other in answer.source {
            let mine = whole.source.iter_mut().find(|mine| mine.workload == other.workload);
            if let Some(mine) = mine {
                mine.sidecar.join(other.sidecar);
            }
        }
        for other in answer.doors {
            let is_it =
                |mine: &&mut Door| mine.workload == other.workload && mine.port == other.port;
            if let Some(mine) = whole.doors.iter_mut().find(is_it) {
                mine.sidecar.join(other.sidecar);
            }
        }
    }
    Some(whole)
}

/// One hop, from one sidecar to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) outbound: Option<Entry>,
    pub(super) inbound: Option<Entry>,
}

impl Hop {
    /// Who called; empty if that is not known.
    pub(super) fn caller(&self) -> &str {
        self.outbound.as_ref().map_or("", |entry| &entry.workload)
    }

    /// Who was called, as far as it is known.
    pub(super) fn callee(&self) -> &str {
        match (&self.inbound, &self.outbound) {
            (Some(inbound), _) => &inbound.workload,
            (None, Some(outbound)) if outbound.last_workload().is_empty() => &outbound.service,
            (None, Some(outbound)) => outbound.last_workload(),
            (None, None) => "",
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        [&self.outbound, &self.inbound].into_iter().flatten()
    }

    fn failed(&self) -> bool {
        self.entries().any(Entry::failed)
    }

    /// The larger is to be explained first: what failed before what was slow, what its caller remembers before what only
    /// its receiver does, then the newer.
    pub(super) fn rank(&self) -> (bool, bool, i64) {
        (self.failed(), self.outbound.is_some(), self.at())
    }

    fn at(&self) -> i64 {
        self.entries().map(|entry| entry.at_ms).max().unwrap_or(i64::MIN)
    }
}

/// Entries of one request or trace as hops: each with the two sides of it.
pub(super) fn hops(entries: &[Entry]) -> Vec<Hop> {
    let mut inbound: Vec<&Entry> = entries.iter().filter(|one| !one.is_outbound()).collect();
    inbound.retain(|one| !one.opaque);
    let mut hops: Vec<Hop> = Vec::new();
    for out in entries.iter().filter(|one| one.is_outbound()) {
        let other = inbound.iter().position(|one| are_two_sides(out, one));
        let other = other.map(|index| inbound.remove(index).clone());
        hops.push(Hop { outbound: Some(out.clone()), inbound: other });
    }
    hops.extend(inbound.into_iter().map(|one| Hop { outbound: None, inbound: Some(one.clone()) }));
    hops
}

fn are_two_sides(out: &Entry, one: &Entry) -> bool {
    let went_there = out.last_workload() == one.workload
        || out.attempts.iter().any(|attempt| attempt.workload == one.workload);
    let same_id = !out.request_id.is_empty() && out.request_id == one.request_id;
    let is_him = one.peer_identity.is_empty() || one.peer_identity == out.identity;
    went_there && same_id && is_him && (out.at_ms - one.at_ms).abs() < TOGETHER_MS.max(millis(out))
}

fn millis(entry: &Entry) -> i64 {
    i64::try_from(entry.total_us / 1000).unwrap_or(i64::MAX).saturating_add(TOGETHER_MS)
}

/// The hop that explains the others: failed rather than slow, and of a callee that itself called nobody who failed; of several the
/// newest.
pub(super) fn innermost(hops: &[Hop]) -> Option<&Hop> {
    let failed: Vec<&Hop> = hops.iter().filter(|hop| hop.failed()).collect();
    let of: Vec<&Hop> = if failed.is_empty() { hops.iter().collect() } else { failed };
    let callers: BTreeSet<&str> = of.iter().map(|hop| hop.caller()).collect();
    let is_last = |hop: &&&Hop| !callers.contains(hop.callee());
    // An attempt that was followed by another has a receiver's side of its own, which is no hop of its own.
    let rank = |hop: &&&Hop| (hop.outbound.is_some(), hop.at());
    let last = of.iter().filter(is_last).max_by_key(rank);
    last.or_else(|| of.iter().max_by_key(rank)).copied()
}

/// The way from the first caller to the hop that is explained: `gateway.shop`, `order.shop`, `payment-v1.shop`.
pub(super) fn trail(hops: &[Hop], to: &Hop) -> Vec<String> {
    let mut trail = vec![to.callee().to_owned()];
    let mut caller = to.caller();
    // Bound: a hop is passed once.
    for _ in 0..=hops.len() {
        if caller.is_empty() || trail.iter().any(|known| known == caller) {
            break;
        }
        trail.insert(0, caller.to_owned());
        caller = hops.iter().find(|hop| hop.callee() == caller).map_or("", Hop::caller);
    }
    trail
}

/// A connection that the callee's sidecar refused when this request failed.
pub(super) fn refusal(hop: &Hop, entries: &[Entry]) -> Option<Entry> {
    let out = hop.outbound.as_ref()?;
    let is_it = |one: &&Entry| {
        one.opaque
            && !one.is_outbound()
            && one.workload == out.last_workload()
            && (out.at_ms - one.at_ms).abs() < TOGETHER_MS
    };
    entries.iter().find(is_it).cloned()
}

#[cfg(test)]
mod tests;
