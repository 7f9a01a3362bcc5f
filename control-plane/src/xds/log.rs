//! The change log of one kind of resource: a stream that knows how far it has read finds what changed since
//! in O(changes), however many resources there are.
//!
//! Every resource stands in the log once, at its latest change, so the log never outgrows the resources plus a
//! bounded number of removals. A name may have variants for some namespaces, which are resources of their own; one
//! that goes leaves its name to the others' again. A pure value; [`super::Cache`] keeps one for each kind behind a
//! lock.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use crate::model::Key;
use crate::translate::{Resource, Visibility, variant_slot};

/// Bound: removals remembered of one kind, about 100 bytes each. A stream that is further behind is ended;
/// the proxy reconnects, says what it has, and is told the difference.
pub(crate) const REMOVALS_KEPT: usize = 16_384;

/// Latest change of every resource.
#[derive(Debug, Default)]
pub(crate) struct Log {
    live: BTreeMap<u64, Arc<Resource>>,
    gone: BTreeMap<u64, Tombstone>,
    /// By [`Resource::slot`].
    places: HashMap<Arc<str>, Place>,
    /// Is any of the resources a variant?
    has_variants: bool,
    /// Removals up to this one have been forgotten.
    floor: u64,
}

/// A resource that was removed.
#[derive(Debug)]
pub(crate) struct Tombstone {
    /// Its name.
    pub(crate) name: Arc<str>,
    slot: Arc<str>,
    /// Who saw it.
    pub(crate) visibility: Visibility,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Live(u64),
    Gone(u64),
}

/// How many resources of one kind a new set changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New, or in another version.
    pub changed: usize,
    /// Not there any more.
    pub removed: usize,
}

impl Log {
    /// Makes `next` the content. Only real changes of version are logged, each under the number that
    /// follows `sequence`, which counts on.
    pub(crate) fn apply(
        &mut self,
        next: &BTreeMap<Arc<str>, Arc<Resource>>,
        sequence: &mut u64,
    ) -> Changes {
        let mut changes = Changes::default();
        self.has_variants = next.values().any(|resource| resource.slot != resource.name);
        let vanished = self.live.iter().filter(|(_, resource)| !next.contains_key(&resource.slot));
        for at in vanished.map(|(at, _)| *at).collect::<Vec<_>>() {
            *sequence += 1;
            self.remove(at, *sequence);
            changes.removed += 1;
        }
        for (slot, resource) in next {
            let known = self.get(slot);
            // Whoever comes to see what has not changed must be told; others are told once more.
            let is_news = known.is_none_or(|known| {
                known.version != resource.version
                    || resource.visibility.is_wider_than(&known.visibility)
            });
            if is_news {
                *sequence += 1;
                self.put(resource.clone(), *sequence);
                changes.changed += 1;
            } else if known.is_some_and(|known| known.visibility != resource.visibility) {
                self.hide(resource);
            }
        }
        self.forget(REMOVALS_KEPT);
        changes
    }

    /// What the proxy of this workload sees under that name.
    pub(crate) fn seen_by(&self, viewer: &Key, name: &str) -> Option<&Arc<Resource>> {
        let variant = || self.get(&variant_slot(name, &viewer.namespace));
        let found = self.has_variants.then(variant).flatten().or_else(|| self.get(name));
        found.filter(|resource| resource.visibility.includes(viewer))
    }

    /// The resource in that slot.
    pub(crate) fn get(&self, slot: &str) -> Option<&Arc<Resource>> {
        match self.places.get(slot)? {
            Place::Live(at) => self.live.get(at),
            Place::Gone(_) => None,
        }
    }

    /// Number of the latest change of the resource in that slot.
    pub(crate) fn position(&self, slot: &str) -> Option<u64> {
        match self.places.get(slot)? {
            Place::Live(at) => Some(*at),
            Place::Gone(_) => None,
        }
    }

    /// Every resource that changed after `sequence`, the longest unchanged first.
    pub(crate) fn changed_since(
        &self,
        sequence: u64,
    ) -> impl Iterator<Item = (u64, &Arc<Resource>)> {
        self.live.range((Excluded(sequence), Unbounded)).map(|(at, resource)| (*at, resource))
    }

    /// Every resource that was removed after `sequence`, the longest gone first; `None` if that is too
    /// long ago to know.
    pub(crate) fn removed_since(
        &self,
        sequence: u64,
    ) -> Option<impl Iterator<Item = (u64, &Tombstone)>> {
        let known = sequence >= self.floor;
        known
            .then(|| self.gone.range((Excluded(sequence), Unbounded)).map(|(at, gone)| (*at, gone)))
    }

    /// Every resource that a proxy of this workload may see.
    pub(crate) fn visible_to(&self, viewer: &Key) -> impl Iterator<Item = &Arc<Resource>> {
        self.live.values().filter(move |resource| resource.visibility.includes(viewer))
    }

    fn put(&mut self, resource: Arc<Resource>, at: u64) {
        match self.places.insert(resource.slot.clone(), Place::Live(at)) {
            Some(Place::Live(before)) => drop(self.live.remove(&before)),
            Some(Place::Gone(before)) => drop(self.gone.remove(&before)),
            None => {}
        }
        self.live.insert(at, resource);
    }

    /// The same content for fewer proxies: those that see another resource instead are told of that one.
    fn hide(&mut self, resource: &Arc<Resource>) {
        if let Some(Place::Live(at)) = self.places.get(&resource.slot) {
            self.live.insert(*at, resource.clone());
        }
    }

    fn remove(&mut self, from: u64, at: u64) {
        let Some(resource) = self.live.remove(&from) else { return };
        let (name, slot) = (resource.name.clone(), resource.slot.clone());
        self.places.insert(slot.clone(), Place::Gone(at));
        self.gone.insert(at, Tombstone { name, slot, visibility: resource.visibility.clone() });
    }

    fn forget(&mut self, keep: usize) {
        while self.gone.len() > keep {
            let Some((at, gone)) = self.gone.pop_first() else { return };
            self.places.remove(&gone.slot);
            self.floor = at;
        }
    }
}

#[cfg(test)]
mod tests;
