//! What one proxy wants of one kind, what it has been told, and what it is owed: the bookkeeping of delta
//! xDS as a pure value. No I/O, no clock; [`super::session`] asks it what to send and tells it what came.
//!
//! A stream holds no list of what its proxy has. Two positions in the change log say how far additions and
//! removals have been told, names that must be answered out of turn are in `owed`, and that is all: memory
//! follows the names subscribed to, and nothing at all follows the resources of a wildcard.

mod receipt;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use receipt::Progress;
pub(crate) use receipt::{Standing, mention};

use super::log::Log;
use crate::model::Key;
use crate::translate::{Resource, Version};

/// The name that subscribes to everything.
const WILDCARD: &str = "*";

/// One kind of resources as one proxy may see it, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The log.
    pub(crate) log: &'a Log,
    /// Whose proxy looks.
    pub(crate) viewer: &'a Key,
    /// Number of the last change of any kind.
    pub(crate) head: u64,
}

impl<'a> View<'a> {
    fn get(&self, name: &str) -> Option<&'a Arc<Resource>> {
        self.log.seen_by(self.viewer, name)
    }
}

/// The part of a request that changes the subscription.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// `resource_names_subscribe`.
    pub(crate) subscribe: Vec<String>,
    /// `resource_names_unsubscribe`.
    pub(crate) unsubscribe: Vec<String>,
    /// `initial_resource_versions`: what a reconnecting proxy still has. Read from a stream's first
    /// request of the kind only.
    pub(crate) initial_versions: HashMap<String, String>,
}

impl Change {
    /// Does it change nothing?
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribe.is_empty() && self.unsubscribe.is_empty()
    }
}

/// How much may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only what the proxy asked for just now: an answer is never held back.
    Asked,
    /// Changes too.
    All,
}

/// Content of one response.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// New or changed.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// Gone, or never there.
    pub(crate) removed: Vec<Arc<str>>,
    /// How many of the resources, the first ones, are answers and not changes.
    answers: usize,
    bytes: usize,
}

impl Update {
    fn push(&mut self, resource: &Arc<Resource>) {
        self.bytes += resource.entry_len();
        self.resources.push(resource.clone());
    }

    fn remove(&mut self, name: Arc<str>) {
        self.bytes += name.len();
        self.removed.push(name);
    }

    fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }
}

/// The stream is too far behind to be told what was removed; it must be ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind;

/// One kind on one stream.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    started: bool,
    wildcard: bool,
    names: HashSet<Arc<str>>,
    owed: BTreeMap<Arc<str>, Owed>,
    /// A wildcard is owed a first answer even when there is nothing (pitfall 4).
    owes_first: bool,
    /// Everything changed up to here has been sent, or is owed.
    changed_to: u64,
    /// Everything removed up to here has been told.
    removed_to: u64,
    /// How far the proxy has come; see `receipt`.
    progress: Progress,
    /// Versions that the proxy refused. They are not sent again unless it asks for the name.
    refused: HashMap<Arc<str>, Version>,
    in_flight: Option<InFlight>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// The proxy subscribed: it gets the resource, or is told that there is none.
    Answer,
    /// The proxy waits for it again although it has not changed (pitfall 1).
    Again,
}

#[derive(Debug)]
struct InFlight {
    nonce: u64,
    generation: u64,
    sent: Vec<(Arc<str>, Version)>,
    /// How many of them, the first ones, are answers.
    answers: usize,
    /// [`Progress::complete_to`] when it was sent.
    complete_to: u64,
}

impl Subscription {
    /// Takes in a request. `empty_is_wildcard` says whether a first request without names means all
    /// resources, as it does for clusters and listeners.
    pub(crate) fn change(&mut self, change: &Change, empty_is_wildcard: bool, view: View<'_>) {
        let first = !std::mem::replace(&mut self.started, true);
        if first {
            (self.changed_to, self.removed_to) = (view.head, view.head);
            self.progress = Progress::from(view.head);
        }
        let nothing = HashMap::new();
        let has = if first { &change.initial_versions } else { &nothing };
        if first && empty_is_wildcard && change.subscribe.is_empty() {
            self.start_wildcard(has, view);
        }
        for name in &change.subscribe {
            if name == WILDCARD {
                self.start_wildcard(has, view);
            } else {
                self.subscribe(name, has, view);
            }
        }
        for name in &change.unsubscribe {
            self.unsubscribe(name);
        }
    }

    /// Takes in an ACK, or a NACK with its reason, and says of which generation; `None` if the nonce is not the one
    /// in flight.
    pub(crate) fn acknowledge(&mut self, nonce: &str, refusal: Option<&str>) -> Option<u64> {
        let in_flight = self.in_flight.take_if(|sent| nonce.parse() == Ok(sent.nonce))?;
        self.record(&in_flight, refusal);
        if refusal.is_some() {
            // What it has left meanwhile it may want again, and then it gets it.
            let sent = in_flight.sent.into_iter();
            let refused: Vec<_> = sent.filter(|(name, _)| self.wants(name)).collect();
            self.refused.extend(refused);
        }
        Some(in_flight.generation)
    }

    /// Is a response on its way that was not acknowledged yet? Then nothing else is sent, and whatever
    /// changes meanwhile goes out together afterwards (pitfall 8).
    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Has the proxy asked for anything of this kind?
    pub(crate) fn started(&self) -> bool {
        self.started
    }

    /// Names subscribed to; a wildcard counts none.
    pub(crate) fn names(&self) -> usize {
        self.names.len()
    }

    /// Owes these names once more, as far as they are subscribed to.
    pub(crate) fn owe_again<'a>(&mut self, names: impl Iterator<Item = &'a Arc<str>>) {
        for name in names {
            if self.wants(name) {
                self.owed.entry(name.clone()).or_insert(Owed::Again);
            }
        }
    }

    /// What to send now: answers and, if `scope` allows, changes; no removals but those of names that do
    /// not exist. Up to about `budget` bytes; the rest follows after the acknowledgement.
    pub(crate) fn additions(
        &mut self,
        scope: Scope,
        budget: usize,
        view: View<'_>,
    ) -> Option<Update> {
        if self.in_flight() {
            return None;
        }
        let mut update = Update::default();
        self.settle(budget, view, &mut update);
        update.answers = update.resources.len();
        if scope == Scope::All || self.owes_first {
            self.advance(budget, view, &mut update);
        }
        let first = std::mem::take(&mut self.owes_first);
        let nothing = !first && update.is_empty();
        if nothing {
            self.progress.concerns_nothing();
        }
        (!nothing).then_some(update)
    }

    /// The names that were removed, up to about `budget` bytes of them.
    pub(crate) fn removals(
        &mut self,
        budget: usize,
        view: View<'_>,
    ) -> Result<Option<Update>, Behind> {
        if self.in_flight() {
            return Ok(None);
        }
        let mut update = Update::default();
        for (at, gone) in view.log.removed_since(self.removed_to).ok_or(Behind)? {
            if update.bytes >= budget {
                return Ok(Some(update));
            }
            self.removed_to = at;
            // Where a variant went the name may still be there, and was told with the additions.
            if !gone.visibility.includes(view.viewer) || view.get(&gone.name).is_some() {
                continue;
            }
            self.refused.remove(&gone.name);
            self.progress.forget(&gone.name);
            if self.wants(&gone.name) {
                update.remove(gone.name.clone());
            }
        }
        self.removed_to = view.head;
        Ok((!update.is_empty()).then_some(update))
    }

    /// The update is on its way.
    pub(crate) fn sent(&mut self, update: &Update, nonce: u64, generation: u64) {
        let sent = update.resources.iter();
        let sent = sent.map(|resource| (resource.name.clone(), resource.version)).collect();
        let (answers, complete_to) = (update.answers, self.progress.complete_to());
        self.in_flight = Some(InFlight { nonce, generation, sent, answers, complete_to });
    }

    /// Without a word on what the proxy has, the whole log is to be read; else only the difference is
    /// owed, and the log from here on (pitfall 5).
    fn start_wildcard(&mut self, has: &HashMap<String, String>, view: View<'_>) {
        self.owes_first |= !self.wildcard;
        self.wildcard = true;
        self.refused.clear();
        if has.is_empty() {
            self.changed_to = 0;
            self.progress = Progress::from(0);
            return;
        }
        let differs = view.log.visible_to(view.viewer).filter(|resource| !same(resource, has));
        let differs = differs.map(|resource| resource.name.clone());
        let vanished = has.keys().filter(|name| view.get(name).is_none());
        let vanished = vanished.map(|name| Arc::from(name.as_str()));
        self.owed.extend(differs.chain(vanished).map(|name| (name, Owed::Answer)));
    }

    fn subscribe(&mut self, name: &str, has: &HashMap<String, String>, view: View<'_>) {
        let resource = view.get(name);
        // The name of the resource itself, if there is one: no copy for each stream.
        let name = resource.map_or_else(|| Arc::from(name), |resource| resource.name.clone());
        if !resource.is_some_and(|resource| same(resource, has)) {
            self.owed.insert(name.clone(), Owed::Answer);
        }
        self.names.insert(name);
    }

    fn unsubscribe(&mut self, name: &str) {
        if name == WILDCARD {
            self.wildcard = false;
            self.owed.retain(|name, _| self.names.contains(name));
            self.refused.retain(|name, _| self.names.contains(name));
            self.progress.retain(|name| self.names.contains(name));
            return;
        }
        let Some(name) = self.names.take(name) else { return };
        self.refused.remove(&name);
        self.progress.forget(&name);
        if self.wildcard {
            // Still wanted, as part of everything: the protocol wants it sent as if it were new.
            self.owed.insert(name, Owed::Answer);
        } else {
            self.owed.remove(&name);
        }
    }

    /// Pays what is owed by name.
    fn settle(&mut self, budget: usize, view: View<'_>, update: &mut Update) {
        while update.bytes < budget {
            let Some((name, owed)) = self.owed.pop_first() else { return };
            match view.get(&name) {
                Some(resource) if owed == Owed::Answer || !self.is_refused(resource) => {
                    self.push(resource, update);
                }
                None if owed == Owed::Answer => {
                    self.refused.remove(&name);
                    self.progress.forget(&name);
                    update.remove(name);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Reads on in the log.
    fn advance(&mut self, budget: usize, view: View<'_>, update: &mut Update) {
        let answered: HashSet<_> = update.resources.iter().map(|r| r.name.clone()).collect();
        for (at, resource) in view.log.changed_since(self.changed_to) {
            if update.bytes >= budget {
                return;
            }
            self.changed_to = at;
            let wanted = self.wants(&resource.name) && resource.visibility.includes(view.viewer);
            if wanted && !answered.contains(&resource.name) && !self.is_refused(resource) {
                self.push(resource, update);
            }
        }
        self.changed_to = view.head;
        self.progress.read_to(view.head);
    }

    /// A refusal is of one version: with another one on its way it is over.
    fn push(&mut self, resource: &Arc<Resource>, update: &mut Update) {
        self.refused.remove(&resource.name);
        update.push(resource);
    }

    fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    fn is_refused(&self, resource: &Resource) -> bool {
        self.refused.get(&resource.name) == Some(&resource.version)
    }
}

fn same(resource: &Resource, has: &HashMap<String, String>) -> bool {
    let version = has.get(&*resource.name);
    version.and_then(|text| Version::parse(text)) == Some(resource.version)
}

#[cfg(test)]
mod tests;
