//! May the roots take their next step? Who is not ready for it, why, and until when at the latest. Pure.
//!
//! Issuing: every sidecar believes the root that is staged, or peers of those that have renewed would be refused by it.
//! Retiring: every sidecar has a certificate under the root that issues, or it would be refused itself. Of one that is
//! connected to nobody nothing is known, and it may still serve; but its certificate ends, and whoever renews hears of all
//! roots.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use weft_certs::{Root, RootState};

use super::sidecars::{Known, Sidecar};

/// The longest life of a leaf where none was recorded: the most that a `MeshConfig` may ask for.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new root is believed.
    Stage,
    /// It signs.
    Issue,
    /// Those before it are believed no more.
    Retire,
}

/// Somebody who is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// `name.namespace` of a workload, or `replica NAME`.
    pub(crate) who: String,
    /// In words.
    pub(crate) why: &'static str,
    /// From then on it is no obstacle, whatever becomes of it.
    pub(crate) until: Option<SystemTime>,
}

/// All that the decision follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// Of the replica that is to take the step.
    pub(crate) roots: &'a [Root],
    /// The longest life of a leaf under the root that issues.
    pub(crate) leaf_life: Option<Duration>,
    /// The other replicas; `None` for one that does not answer.
    pub(crate) replicas: &'a BTreeMap<String, Option<Known>>,
    /// Every sidecar, by workload.
    pub(crate) sidecars: &'a BTreeMap<String, Sidecar>,
    pub(crate) now: SystemTime,
}

/// The step that comes next for these roots.
pub(super) fn next(roots: &[Root]) -> Step {
    let is = |wanted: fn(&RootState) -> bool| roots.iter().any(|root| wanted(&root.state));
    if is(|state| matches!(state, RootState::Staged { .. })) {
        Step::Issue
    } else if is(|state| matches!(state, RootState::Old { .. })) {
        Step::Retire
    } else {
        Step::Stage
    }
}

impl Scene<'_> {
    /// The step that comes next.
    pub(crate) fn next(&self) -> Step {
        next(self.roots)
    }

    /// Who is in the way of a step. Empty of one that there is nothing to be done for.
    pub(crate) fn obstacles(&self, step: Step) -> Vec<Obstacle> {
        match step {
            Step::Stage => Vec::new(),
            Step::Issue => self.not_ready_to_issue(),
            Step::Retire => self.not_ready_to_retire(),
        }
    }

    fn not_ready_to_issue(&self) -> Vec<Obstacle> {
        let staged = self.roots.iter().find_map(|root| match root.state {
            RootState::Staged { since } => Some((&root.fingerprint, since)),
            RootState::Issuing | RootState::Old { .. } => None,
        });
        let Some((root, since)) = staged else { return Vec::new() };
        let mut found = self.behind(|replica| replica.believed.contains(root));
        // Whoever has renewed since has heard of it.
        let end = since + self.leaf_life.unwrap_or(LONGEST_LIFE);
        for (workload, sidecar) in self.sidecars {
            let why = match (sidecar.word(), sidecar.connected) {
                (Some(said), _) if said.roots.contains(root) => continue,
                (Some(_), Some(_)) => "does not believe the new root yet",
                (None, Some(_)) => "has not said yet what it believes",
                (_, None) => "is not connected, and may not know the new root",
            };
            found.extend(self.obstacle(workload, why, sidecar.connected.is_none().then_some(end)));
        }
        found
    }

    fn not_ready_to_retire(&self) -> Vec<Obstacle> {
        let last_leaf = self.roots.iter().filter_map(|root| match root.state {
            RootState::Old { last_leaf } => Some(last_leaf),
            RootState::Issuing | RootState::Staged { .. } => None,
        });
        let Some(end) = last_leaf.max() else { return Vec::new() };
        let issuing = self.roots.iter().find(|root| root.state == RootState::Issuing);
        let Some(root) = issuing.map(|root| &root.fingerprint) else { return Vec::new() };
        let mut found = self.behind(|replica| replica.issuing == *root);
        for (workload, sidecar) in self.sidecars {
            let why = match (sidecar.word(), sidecar.connected) {
                (Some(said), _) if said.leaf_root == *root => continue,
                (Some(_), Some(_)) => "has a certificate that leads to the old root",
                (None, Some(_)) => "has not said yet where its certificate leads",
                (_, None) => {
                    "is not connected, and may have a certificate that leads to the old root"
                }
            };
            found.extend(self.obstacle(workload, why, sidecar.connected.is_none().then_some(end)));
        }
        found
    }

    /// Replicas that have not taken up the step before.
    fn behind(&self, is_up: impl Fn(&Known) -> bool) -> Vec<Obstacle> {
        let behind = self.replicas.iter().filter_map(|(name, known)| {
            let why = match known {
                Some(known) if is_up(known) => return None,
                Some(_) => "has not taken up the step before yet",
                None => "does not answer, so what its sidecars have is not known",
            };
            Some(Obstacle { who: format!("replica {name}"), why, until: None })
        });
        behind.collect()
    }

    fn obstacle(
        &self,
        who: &str,
        why: &'static str,
        until: Option<SystemTime>,
    ) -> Option<Obstacle> {
        let over = until.is_some_and(|until| until < self.now);
        (!over).then(|| Obstacle { who: who.to_owned(), why, until })
    }
}

#[cfg(test)]
mod tests;
