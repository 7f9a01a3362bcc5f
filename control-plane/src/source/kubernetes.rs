//! The API server as a source: what users wrote there, and the Services, pods and endpoints of the cluster.
//!
//! ```text
//! watch ─ changes ─► objects ─────────► assemble ─► Mesh, findings
//! (tasks)            (in force, pure)   (between objects)
//! ```
//!
//! It holds nothing that the API server does not, but for which pods it saw ready a moment ago (`last_resort`): a control
//! plane that starts has read everything before it says anything to a proxy. While the API server is away everything
//! stays as it is. It never writes.

mod last_resort;
mod objects;
mod pod;
mod slice;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, watch as channel};
use tokio::time::{Instant, sleep_until, timeout};

use crate::finding::Finding;
use crate::model::{Key, Mesh, ObjectKey};
use crate::throttle::Throttle;

use super::object::Kind;
use super::yielded::Yield;

use objects::Objects;
use watch::{Applied, Change, Watched, Watches, defined_by};

/// A change is taken up once nothing has come for this long …
const QUIET: Duration = Duration::from_millis(20);
/// … or this long after the first; where the mesh is large and never rests, later ([`Throttle`]).
const PATIENCE: Duration = Duration::from_millis(100);
/// How long to wait for the first reading of everything before saying what is missing.
const SLOW: Duration = Duration::from_secs(10);

/// What every cluster has.
const ALWAYS: [Watched; 5] = [
    Watched::Definitions,
    Watched::Written(Kind::Service),
    Watched::Pods,
    Watched::Slices,
    Watched::Nodes,
];

/// An object as the API server has it.
type Raw = Arc<serde_json::Value>;
/// Objects that users write, as the API server has them.
pub(crate) type RawObjects = Arc<BTreeMap<ObjectKey, Raw>>;

/// Follows an API server until [`KubernetesSource::run`] is dropped.
#[derive(Debug)]
pub(crate) struct KubernetesSource {
    watches: Watches,
    changes: mpsc::Receiver<Change>,
    /// Origin of the clock that objects go by.
    opened: Instant,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    objects: Objects,
    /// What has been told since a watch began anew, until it is complete; what is not among it then is gone.
    told: BTreeMap<Watched, BTreeSet<Key>>,
    /// What is there, as far as has been told.
    known: BTreeMap<Watched, BTreeSet<Key>>,
    /// Kinds whose definitions are installed.
    defined: BTreeSet<Watched>,
    /// What has been read at least once.
    complete: BTreeSet<Watched>,
    yielded: Yield,
    raw: channel::Sender<RawObjects>,
}

impl KubernetesSource {
    /// Reads everything once and begins to follow it. Waits for an API server that does not answer: there is nothing
    /// to serve without one.
    pub(crate) async fn open(client: Client) -> Self {
        let (watches, changes) = Watches::start(client);
        let opened = Instant::now();
        let mut source = Self { watches, changes, opened, state: State::default() };
        while !source.state.is_complete() {
            match timeout(SLOW, source.changes.recv()).await {
                Ok(Some(change)) => source.take(change),
                // The watches hold a sender for as long as this does.
                Ok(None) => break,
                Err(_elapsed) => {
                    let missing = source.state.missing();
                    tracing::warn!(?missing, waited = ?opened.elapsed(), "waiting for the API server");
                }
            }
        }
        source.state.publish();
        source
    }

    /// The mesh in force; holds what `open` read from the start.
    pub(crate) fn mesh(&self) -> channel::Receiver<Arc<Mesh>> {
        self.state.yielded.mesh.subscribe()
    }

    /// What is to be said about it.
    pub(crate) fn findings(&self) -> channel::Receiver<Arc<Vec<Finding>>> {
        self.state.yielded.findings.subscribe()
    }

    /// The objects that users write, with generation and status.
    pub(crate) fn raw(&self) -> channel::Receiver<RawObjects> {
        self.state.raw.subscribe()
    }

    /// Follows changes, and ends what is in force for a time only; never returns. Cancel: dropping the future stops it, the channels close.
    pub(crate) async fn run(mut self) {
        let mut throttle = Throttle::default();
        loop {
            let due = self.state.objects.due().map(|due| self.opened + due);
            tokio::select! {
                change = self.changes.recv() => match change {
                    Some(change) => self.take(change),
                    None => return,
                },
                () = sleep_until(due.unwrap_or(self.opened)), if due.is_some() => self.advance(),
            }
            self.settle(&throttle).await;
            let begun = Instant::now();
            let assembled = tokio::task::spawn_blocking(move || {
                self.state.publish();
                self
            });
            // The task neither panics nor is aborted but when the runtime itself ends.
            let Ok(back) = assembled.await else { return };
            self = back;
            throttle.done(begun, Instant::now());
        }
    }

    /// Takes up what comes until nothing does, or for as long as patience lasts.
    async fn settle(&mut self, throttle: &Throttle) {
        let begun = Instant::now();
        let earliest = throttle.earliest(begun);
        let latest = earliest.max(begun + PATIENCE);
        while Instant::now() < latest {
            let quiet = (Instant::now() + QUIET).clamp(earliest, latest);
            tokio::select! {
                Some(change) = self.changes.recv() => self.take(change),
                () = sleep_until(quiet) => return,
            }
        }
    }

    fn advance(&mut self) {
        self.state.objects.advance(self.opened.elapsed());
    }

    fn take(&mut self, change: Change) {
        self.advance();
        match &change {
            Change::Applied(Watched::Definitions, definition, _) => {
                if let Some(kind) = defined_by(&definition.name) {
                    self.state.defined.insert(Watched::Written(kind));
                    self.watches.watch(Watched::Written(kind));
                }
            }
            Change::Deleted(Watched::Definitions, definition) => {
                if let Some(kind) = defined_by(&definition.name) {
                    self.undefine(Watched::Written(kind));
                }
            }
            // What went while nobody told is missing in what has been told anew.
            Change::Complete(Watched::Definitions) => {
                for gone in self.state.no_longer_told(Watched::Definitions) {
                    if let Some(kind) = defined_by(&gone.name) {
                        self.undefine(Watched::Written(kind));
                    }
                }
            }
            _ => {}
        }
        self.state.take(change);
    }

    fn undefine(&mut self, what: Watched) {
        tracing::info!(?what, "the kind is no longer defined");
        self.watches.stop(what);
        self.state.undefine(what);
    }
}

impl State {
    fn is_defined(&self, what: Watched) -> bool {
        ALWAYS.contains(&what) || self.defined.contains(&what)
    }

    /// Has everything been read once?
    fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    fn missing(&self) -> Vec<Watched> {
        let wanted = ALWAYS.iter().chain(&self.defined);
        wanted.copied().filter(|what| !self.complete.contains(what)).collect()
    }

    fn take(&mut self, change: Change) {
        // Race: of a watch that was stopped something may still have been under way.
        if !self.is_defined(change.of()) {
            return;
        }
        match change {
            Change::Applied(what, key, object) => {
                if let Some(told) = self.told.get_mut(&what) {
                    told.insert(key.clone());
                }
                self.known.entry(what).or_default().insert(key.clone());
                self.apply(what, key, object);
            }
            Change::Deleted(what, key) => {
                if let Some(known) = self.known.get_mut(&what) {
                    known.remove(&key);
                }
                self.delete(what, &key);
            }
            Change::Restarted(what) => {
                self.told.insert(what, BTreeSet::new());
            }
            Change::Complete(what) => {
                for key in self.no_longer_told(what) {
                    self.delete(what, &key);
                }
                let told = self.told.remove(&what).unwrap_or_default();
                self.known.insert(what, told);
                self.complete.insert(what);
            }
            Change::NotServed(what) => {
                self.told.remove(&what);
                self.complete.insert(what);
            }
        }
    }

    /// Of what is known, what has not been told since the watch began anew.
    fn no_longer_told(&self, what: Watched) -> Vec<Key> {
        let known = self.known.get(&what).into_iter().flatten();
        let told = self.told.get(&what);
        known.filter(|key| !told.is_some_and(|told| told.contains(*key))).cloned().collect()
    }

    fn apply(&mut self, what: Watched, key: Key, object: Applied) {
        match (what, object) {
            (Watched::Written(kind), Applied::Written(value)) => self.objects.apply(kind, value),
            (_, Applied::Pod(pod)) => self.objects.apply_pod(&key, *pod),
            (_, Applied::Slice(slice)) => self.objects.apply_slice(key, &slice),
            (_, Applied::Place(place)) => self.objects.place(&key.name, Some(place)),
            (_, Applied::Definition | Applied::Written(_)) => {}
        }
    }

    fn delete(&mut self, what: Watched, key: &Key) {
        match what {
            Watched::Written(kind) => self.objects.delete(kind, key),
            Watched::Pods => self.objects.delete_pod(key),
            Watched::Slices => self.objects.forget_slice(key),
            Watched::Nodes => self.objects.place(&key.name, None),
            Watched::Definitions => {}
        }
    }

    /// With its definition the API server has dropped all objects of a kind.
    fn undefine(&mut self, what: Watched) {
        self.take(Change::Restarted(what));
        self.take(Change::Complete(what));
        self.complete.remove(&what);
        self.defined.remove(&what);
    }

    fn publish(&mut self) {
        let (mesh, findings) = self.objects.mesh();
        self.yielded.publish(mesh, findings);
        // Order: last, so that who reads a generation here finds what was made of it.
        self.raw.send_if_modified(|present| {
            let raw = self.objects.raw();
            let changed = !Arc::ptr_eq(present, &raw);
            *present = raw;
            changed
        });
    }
}

#[cfg(test)]
mod tests;
