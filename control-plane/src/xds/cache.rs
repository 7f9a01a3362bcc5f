//! The current resources with their change logs, shared by all streams.
//!
//! Written by [`super::Publisher`] alone. A stream reads under a lock that is never held over an `.await`
//! and takes `Arc`s away; it sleeps on [`Cache::watch`] until there is something new.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;
use weft_certs::DenyList;

use super::log::{Changes, Log};
use super::objects::{Index, Part};
use crate::model::ObjectKey;
use crate::translate::{Node, ResourceSet, ResourceType};

/// The current [`ResourceSet`] with a change log per kind.
#[derive(Debug)]
pub struct Cache {
    state: RwLock<State>,
    /// Generation of `state`; 0 before the first.
    generation: watch::Sender<u64>,
}

/// What streams read. All of it is of one generation.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Counts the sets that changed something; proxies are told it as the configuration's version.
    pub(crate) generation: u64,
    /// Number of the last change in any log.
    pub(crate) sequence: u64,
    logs: [Log; ResourceType::ALL.len()],
    nodes: BTreeMap<String, Node>,
    denied: Arc<DenyList>,
    /// Which resources are made from which objects.
    objects: Index,
}

impl State {
    /// What is made from this object.
    pub(crate) fn made_from(&self, object: &ObjectKey) -> Vec<Part> {
        self.objects.parts(object)
    }

    /// The log of one kind.
    pub(crate) fn log(&self, kind: ResourceType) -> &Log {
        &self.logs[kind as usize]
    }

    /// Who may not come at all.
    pub(crate) fn denied(&self) -> &DenyList {
        &self.denied
    }

    /// Who may come under this `Node.id`.
    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }
}

/// What [`Cache::apply`] did, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Generation in force now.
    pub generation: u64,
    by_kind: [Changes; ResourceType::ALL.len()],
}

impl Applied {
    /// Changes of one kind.
    #[must_use]
    pub fn of(&self, kind: ResourceType) -> Changes {
        self.by_kind[kind as usize]
    }

    /// Did any resource change?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_kind.iter().all(|changes| *changes == Changes::default())
    }
}

impl Cache {
    /// Empty until the first [`Self::apply`]: streams wait for it, so that a proxy that reconnects to a
    /// starting control plane is not told that everything is gone.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let generation = watch::Sender::new(0);
        Arc::new(Self { state: RwLock::default(), generation })
    }

    /// Replaces the resources and wakes the streams if anything is new to them.
    pub fn apply(&self, set: &ResourceSet) -> Applied {
        let mut applied = Applied::default();
        let generation = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let State { generation, sequence, logs, nodes, denied, objects } = &mut *state;
            denied.clone_from(set.denied());
            for kind in ResourceType::ALL {
                applied.by_kind[kind as usize] = logs[kind as usize].apply(set.of(kind), sequence);
            }
            objects.rebuild(set, logs);
            let first = *generation == 0;
            if first || !applied.is_empty() || nodes != set.nodes() {
                nodes.clone_from(set.nodes());
                *generation += 1;
            }
            *generation
        };
        applied.generation = generation;
        // Order: the state first, so that a stream that wakes finds it.
        self.generation
            .send_if_modified(|known| std::mem::replace(known, generation) != generation);
        applied
    }

    /// Generation in force, as it changes; 0 until there is one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
