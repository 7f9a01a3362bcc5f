//! What is known of the sidecars' roots: by one replica, and by all of them as one. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// A report that is older says nothing of now, seconds: sidecars report every ten.
const FRESH: u64 = 30;

/// What one replica knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The root that its certificates lead to.
    pub(crate) issuing: String,
    /// The roots that it believes.
    pub(crate) believed: BTreeSet<String>,
    /// By workload, `name.namespace`.
    pub(crate) sidecars: BTreeMap<String, Sidecar>,
}

/// One sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sidecar {
    /// Seconds for which its stream has been open; `None` without one.
    pub(crate) connected: Option<u64>,
    /// What it last said.
    pub(crate) said: Option<Said>,
}

/// What a sidecar says of its roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Seconds ago.
    pub(crate) ago: u64,
    /// The root that its leaf leads to; empty if it leads to none that it believes.
    pub(crate) leaf_root: String,
    /// Those that it believes.
    pub(crate) roots: BTreeSet<String>,
}

impl Sidecar {
    /// What it said that counts now: of one that is connected only what it has said since, and lately; of one that is not,
    /// its last words.
    pub(crate) fn word(&self) -> Option<&Said> {
        let said = self.said.as_ref()?;
        match self.connected {
            Some(open) if said.ago > open.min(FRESH) => None,
            _ => Some(said),
        }
    }

    fn merge(&mut self, other: &Self) {
        // Of two streams the later is the one that its proxy still reads.
        self.connected = match (self.connected, other.connected) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let later = |one: &Said, other: &Said| other.ago < one.ago;
        if let Some(said) = &other.said
            && self.said.as_ref().is_none_or(|known| later(known, said))
        {
            self.said = Some(said.clone());
        }
    }
}

/// All replicas as one; beside what they know, `meshed`: the workloads that have a sidecar, which may be connected to
/// nobody.
pub(crate) fn all<'a>(
    replicas: impl IntoIterator<Item = &'a Known>,
    meshed: impl IntoIterator<Item = String>,
) -> BTreeMap<String, Sidecar> {
    let mut all: BTreeMap<String, Sidecar> =
        meshed.into_iter().map(|workload| (workload, Sidecar::default())).collect();
    for (workload, sidecar) in replicas.into_iter().flat_map(|known| &known.sidecars) {
        // What is said of a workload that is gone, and not connected either, is of no use to anybody.
        if sidecar.connected.is_some() {
            all.entry(workload.clone()).or_default().merge(sidecar);
        } else if let Some(known) = all.get_mut(workload) {
            known.merge(sidecar);
        }
    }
    all
}

#[cfg(test)]
pub(super) mod tests;
