//! Who counts behind a Service where nobody is ready. Pure; asked by `objects` for every pod that a slice calls unready.
//!
//! A pod is called unready when it cannot serve, and also when nobody can say whether it can: once an API server that
//! was away is back, all nodes are taken for lost for a moment, and every pod of the cluster for unready at once; a
//! kubelet that starts takes all containers of its node for unready until it has probed them. Where that leaves a Service
//! without anybody, every request would fail although all of its pods are well. So then, and only then, a pod counts
//! that exists as the slice names it, is not about to end, and of which one of these is true:
//!
//! - its kubelet said last that its containers are well, and its readiness gates, if it has any, are passed;
//! - this control plane itself saw it ready in a slice of the Service, [`HELD`] ago at most.
//!
//! By the second rule the only pod of a Service gets requests for a moment after its own probe failed too: the probe
//! took as long to notice, and what the request gets in its place is an error just the same. A pod that was never well,
//! that ends, is gone or is another one by now never counts. What was seen is nobody else's: it is neither stored nor
//! asked for, and a control plane that starts holds nobody.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::Key;

/// How long a pod counts after it was ready: longer than a kubelet that starts may take to probe it, because the first
/// probe comes within one period, and that is 10 s where the pod does not say otherwise.
pub(super) const HELD: Duration = Duration::from_secs(15);

/// A pod at an address, as a slice names it. One that was made anew is another, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) pod: Key,
    /// Empty where the slice does not tell: nobody's.
    pub(super) uid: String,
    pub(super) address: IpAddr,
}

/// What decides of a pod, as the API server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) uid: String,
    pub(super) addresses: Vec<IpAddr>,
    /// It has ended, or is about to.
    pub(super) ends: bool,
    /// Its kubelet said last that all of its containers are well, and its readiness gates are passed. Of a node that is
    /// lost this is the last word.
    pub(super) well: bool,
}

/// Does a pod count?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    No,
    /// Until then, on the clock that decided it.
    Until(Duration),
    /// For as long as nobody is ready.
    Yes,
}

/// Decides of a pod that is called unready, where nobody is ready. `standing` is `None` of one that is gone; `ready` is
/// when it was ready last, as far as this control plane has seen.
pub(super) fn counts(
    target: &Target,
    standing: Option<&Standing>,
    ready: Option<Duration>,
    now: Duration,
) -> Counts {
    let is_it = |standing: &&Standing| {
        !standing.ends
            && !target.uid.is_empty()
            && standing.uid == target.uid
            && standing.addresses.contains(&target.address)
    };
    let Some(standing) = standing.filter(is_it) else { return Counts::No };
    if standing.well {
        return Counts::Yes;
    }
    match ready.map(|ready| ready + HELD) {
        Some(until) if now < until => Counts::Until(until),
        _ => Counts::No,
    }
}

/// Who was ready behind which Service, and until when.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Bound: those that ceased to be ready within [`HELD`].
    until: BTreeMap<(Key, Target), Duration>,
}

impl Seen {
    /// These were ready behind the Service until now, and are no more.
    pub(super) fn ceased(&mut self, service: &Key, targets: Vec<Target>, now: Duration) {
        if targets.is_empty() {
            return;
        }
        self.until.retain(|_, ready| now < *ready + HELD);
        self.until.extend(targets.into_iter().map(|target| ((service.clone(), target), now)));
    }

    /// When one was ready behind the Service last, and is no more.
    pub(super) fn ready(&self, service: &Key, target: &Target) -> Option<Duration> {
        self.until.get(&(service.clone(), target.clone())).copied()
    }
}

#[cfg(test)]
mod tests;
