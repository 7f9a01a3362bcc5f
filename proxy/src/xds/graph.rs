//! What is in force, what waits to be, and what is wanted because of it: the resources as a graph, from the
//! roots (own listeners, trust bundle) along their references. A value without I/O.
//!
//! Make before break: a route table takes force when each of its clusters is in force or known not to exist, a
//! cluster when its endpoints are; until then the one before stays. What is no longer referenced leaves after
//! that. A resource that the server removed stays as long as a replacement of anything is on its way. Both waits
//! have a bound, set by the caller of [`Graph::release`].

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::Kind;
use super::decode::{Decoded, Key, Payload};
use crate::store::StoredResource;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    roots: BTreeSet<Key>,
    in_force: BTreeMap<Key, InForce>,
    waiting: BTreeMap<Key, Waiting>,
    /// The server said that these do not exist.
    absent: BTreeSet<Key>,
    /// Removed by the server, still in force, since when.
    leaving: BTreeMap<Key, Instant>,
    /// What is wanted may have changed. Most updates are of endpoints and change nothing of it.
    reshaped: bool,
}

#[derive(Debug)]
struct InForce {
    version: String,
    references: Vec<Key>,
}

#[derive(Debug)]
struct Waiting {
    decoded: Decoded,
    raw: StoredResource,
    since: Instant,
}

/// One step of what is in force, in the order in which they are to be made.
#[derive(Debug)]
pub(crate) enum Step {
    /// New or changed.
    Enter(Key, Payload, StoredResource),
    /// Gone.
    Leave(Key),
}

impl Graph {
    pub(crate) fn add_root(&mut self, key: Key) {
        self.reshaped |= self.roots.insert(key);
    }

    pub(crate) fn remove_root(&mut self, key: &Key) {
        self.reshaped |= self.roots.remove(key);
    }

    /// The last good configuration: in force at once, its references may be missing.
    pub(crate) fn restore(&mut self, key: Key, version: String, references: Vec<Key>) {
        self.reshaped = true;
        self.in_force.insert(key, InForce { version, references });
    }

    /// The server sent a good resource.
    pub(crate) fn offer(&mut self, key: Key, decoded: Decoded, raw: StoredResource, now: Instant) {
        self.absent.remove(&key);
        self.leaving.remove(&key);
        let since = self.waiting.get(&key).map_or(now, |before| before.since);
        let before = self.in_force.get(&key);
        self.reshaped |= before.is_none_or(|before| before.references != decoded.references);
        self.waiting.insert(key, Waiting { decoded, raw, since });
    }

    /// The server sent what is in force already.
    pub(crate) fn confirm(&mut self, key: &Key) {
        self.leaving.remove(key);
        self.reshaped |= self.waiting.remove(key).is_some();
    }

    /// The server sent a resource that was refused: the one before stays, if there is one.
    pub(crate) fn reject(&mut self, key: Key) {
        if !self.in_force.contains_key(&key) && !self.waiting.contains_key(&key) {
            self.absent.insert(key);
        }
    }

    /// The server says that there is no such resource.
    pub(crate) fn remove(&mut self, key: Key, now: Instant) {
        self.reshaped |= self.waiting.remove(&key).is_some();
        if self.in_force.contains_key(&key) {
            self.leaving.entry(key).or_insert(now);
        } else {
            self.absent.insert(key);
        }
    }

    pub(crate) fn is_in_force(&self, key: &Key) -> bool {
        self.in_force.contains_key(key)
    }

    /// Version in force.
    pub(crate) fn version(&self, key: &Key) -> Option<&str> {
        self.in_force.get(key).map(|resource| resource.version.as_str())
    }

    /// Everything sent is in force.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.leaving.is_empty()
    }

    pub(crate) fn in_force(&self) -> impl Iterator<Item = &Key> {
        self.in_force.keys()
    }

    /// The roots and all that they lead to, through what is in force and through what waits.
    pub(crate) fn wanted(&self) -> BTreeSet<Key> {
        let mut wanted = BTreeSet::new();
        let mut open: Vec<&Key> = self.roots.iter().collect();
        while let Some(key) = open.pop() {
            if wanted.insert(key.clone()) {
                open.extend(self.in_force.get(key).iter().flat_map(|r| &r.references));
                open.extend(self.waiting.get(key).iter().flat_map(|w| &w.decoded.references));
            }
        }
        wanted
    }

    /// Whether [`Self::wanted`] may have changed since this was last asked.
    pub(crate) fn take_reshaped(&mut self) -> bool {
        std::mem::take(&mut self.reshaped)
    }

    /// Makes every step that can be made now.
    pub(crate) fn settle(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        // Order: a kind refers only to kinds before it, so one pass suffices.
        for kind in Kind::ALL {
            let ready = self.waiting.iter().filter(|(key, w)| key.0 == kind && self.is_ready(w));
            let ready: Vec<Key> = ready.map(|(key, _)| key.clone()).collect();
            ready.into_iter().for_each(|key| self.enter(key, &mut steps));
        }
        self.sweep(&mut steps);
        steps
    }

    /// As [`Self::settle`], and what has waited since `since` waits no longer: the server owes an answer that
    /// does not come.
    pub(crate) fn release(&mut self, since: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        for kind in Kind::ALL {
            let late = self.waiting.iter().filter(|(key, w)| key.0 == kind && w.since <= since);
            let late: Vec<Key> = late.map(|(key, _)| key.clone()).collect();
            late.into_iter().for_each(|key| self.enter(key, &mut steps));
        }
        let late = self.leaving.iter().filter(|(_, since_when)| **since_when <= since);
        let late: Vec<Key> = late.map(|(key, _)| key.clone()).collect();
        late.into_iter().for_each(|key| self.leave(key, &mut steps));
        steps.extend(self.settle());
        steps
    }

    /// Waiting begins anew: nothing could be answered while there was no stream.
    pub(crate) fn restart_waits(&mut self, now: Instant) {
        self.waiting.values_mut().for_each(|waiting| waiting.since = now);
    }

    fn is_ready(&self, waiting: &Waiting) -> bool {
        let there = |key| self.in_force.contains_key(key) || self.absent.contains(key);
        waiting.decoded.references.iter().all(there)
    }

    fn enter(&mut self, key: Key, steps: &mut Vec<Step>) {
        if let Some(Waiting { decoded: Decoded { payload, references }, raw, .. }) =
            self.waiting.remove(&key)
        {
            let entered = InForce { version: raw.version.clone(), references };
            let before = self.in_force.insert(key.clone(), entered);
            self.reshaped |= before.is_none_or(|b| b.references != self.in_force[&key].references);
            steps.push(Step::Enter(key, payload, raw));
        }
    }

    fn leave(&mut self, key: Key, steps: &mut Vec<Step>) {
        self.leaving.remove(&key);
        if self.in_force.remove(&key).is_some() {
            self.reshaped = true;
            self.absent.insert(key.clone());
            steps.push(Step::Leave(key));
        }
    }

    /// Drops what nothing leads to any more, and what the server removed.
    fn sweep(&mut self, steps: &mut Vec<Step>) {
        let replacing = self.waiting.keys().any(|key| self.in_force.contains_key(key));
        if !replacing {
            // Order: what refers goes before what it refers to.
            let gone: Vec<Key> = self.leaving.keys().rev().cloned().collect();
            gone.into_iter().for_each(|key| self.leave(key, steps));
        }
        if !self.reshaped {
            return;
        }
        let wanted = self.wanted();
        self.waiting.retain(|key, _| wanted.contains(key));
        self.leaving.retain(|key, _| wanted.contains(key));
        let unwanted: Vec<Key> =
            self.in_force.keys().rev().filter(|key| !wanted.contains(key)).cloned().collect();
        unwanted.into_iter().for_each(|key| self.leave(key, steps));
        self.absent.retain(|key| wanted.contains(key));
    }
}

#[cfg(test)]
mod tests;
