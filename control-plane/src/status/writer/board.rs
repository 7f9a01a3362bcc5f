//! Which objects are to be looked at, and which may be written: the writer's book-keeping, without its I/O.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Objects;
use super::patch::Outcome;
use crate::finding::Finding;
use crate::model::{Mesh, ObjectKey};
use crate::status::desired::{self, Facts, InForce, Verdict, decide, generation, merge};
use crate::status::pace::{Budget, Pace};
use crate::status::replicas::MAX_OBJECTS;
use crate::xds::{Published, Receipt};

/// Bound: objects looked at in one go, and those of them that have arrived already and are looked at again in turn.
const AT_ONCE: usize = MAX_OBJECTS;
const AGAIN: usize = 20;
/// An object is young for so long: its arrival is waited for with attention.
const YOUNG: Duration = Duration::from_secs(2);
/// A mesh is taken to hold an object so long after the object was seen.
const PASSED_ON: Duration = Duration::from_millis(50);

/// All objects of one term.
#[derive(Debug)]
pub(super) struct Board {
    tracks: BTreeMap<ObjectKey, Track>,
    /// By the name that findings have for objects.
    findings: BTreeMap<String, Arc<[Finding]>>,
    mesh: Option<Arc<Mesh>>,
    in_force: BTreeMap<ObjectKey, InForce>,
    published: Option<Published>,
    budget: Budget,
    /// Those that have arrived are gone through in order; this was the last.
    last: Option<ObjectKey>,
    /// Is it time to go on?
    in_turn: bool,
}

#[derive(Debug)]
struct Track {
    /// As the source showed it last, to notice when it shows another.
    shown: Arc<Value>,
    /// As it stands: what the source showed, or what the API server answered since.
    object: Arc<Value>,
    findings: Arc<[Finding]>,
    /// There is nothing to wait for and nothing to write.
    arrived: bool,
    writing: bool,
    pace: Pace,
}

/// One status to write.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) object: Arc<Value>,
    pub(super) verdict: Verdict,
}

impl Board {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tracks: BTreeMap::new(),
            findings: BTreeMap::new(),
            mesh: None,
            in_force: BTreeMap::new(),
            published: None,
            budget: Budget::new(now),
            last: None,
            in_turn: true,
        }
    }

    /// The objects that there are now.
    pub(super) fn take_objects(&mut self, objects: &Objects, now: Instant) {
        self.tracks.retain(|key, _| objects.contains_key(key));
        for (key, shown) in objects {
            match self.tracks.get_mut(key) {
                Some(track) if Arc::ptr_eq(&track.shown, shown) => {}
                Some(track) => {
                    if generation(&track.object) != generation(shown) {
                        track.pace.renewed(now);
                    }
                    (track.shown, track.object) = (shown.clone(), shown.clone());
                    track.arrived = false;
                }
                None => {
                    let findings = self.findings.get(&name(key)).cloned().unwrap_or_default();
                    let (shown, object) = (shown.clone(), shown.clone());
                    let pace = Pace::new(now);
                    let track =
                        Track { shown, object, findings, arrived: false, writing: false, pace };
                    self.tracks.insert(key.clone(), track);
                }
            }
        }
    }

    /// What there is to say now.
    pub(super) fn take_findings(&mut self, findings: &[Finding]) {
        let mut by_object: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            by_object.entry(&finding.object).or_default().push(finding);
        }
        let owned = |list: Vec<&Finding>| list.into_iter().cloned().collect();
        let by_object = by_object.into_iter().map(|(name, list)| (name.to_owned(), owned(list)));
        self.findings = by_object.collect();
        for (key, track) in &mut self.tracks {
            let said = self.findings.get(&name(key)).cloned().unwrap_or_default();
            if track.findings != said {
                (track.findings, track.arrived) = (said, false);
            }
        }
    }

    /// The mesh in force, and what the proxies are told.
    pub(super) fn take_mesh(&mut self, mesh: &Arc<Mesh>, published: Option<&Published>) {
        self.published = published.cloned();
        if self.mesh.as_ref().is_none_or(|known| !Arc::ptr_eq(known, mesh)) {
            self.in_force = desired::in_force(mesh);
            self.mesh = Some(mesh.clone());
        }
    }

    /// A second has passed.
    pub(super) fn second(&mut self) {
        self.in_turn = true;
    }

    /// Is something to be waited for with attention?
    pub(super) fn is_urgent(&self, now: Instant) -> bool {
        let young = |track: &Track| now.saturating_duration_since(track.pace.seen()) < YOUNG;
        self.tracks.values().any(|track| !track.arrived && young(track))
    }

    /// The objects to look at now: those that have not arrived, and now and then some of the others.
    pub(super) fn choose(&mut self) -> Vec<ObjectKey> {
        let idle = |(_, track): &(&ObjectKey, &Track)| !track.writing;
        let new = self.tracks.iter().filter(idle).filter(|(_, track)| !track.arrived);
        let mut chosen: Vec<ObjectKey> = new.map(|(key, _)| key.clone()).collect();
        if chosen.len() > AT_ONCE {
            // Those that waited longest first: none is kept waiting by the names before it.
            chosen.sort_by_key(|key| self.tracks[key].pace.looked());
            chosen.truncate(AT_ONCE);
        }
        if std::mem::take(&mut self.in_turn) && chosen.len() < AT_ONCE {
            let from = self.last.clone().map_or(Unbounded, Excluded);
            let rest = self.tracks.range((from, Unbounded)).filter(idle);
            let room = AGAIN.min(AT_ONCE - chosen.len());
            let rest: Vec<_> = rest.filter(|(_, track)| track.arrived).take(room).collect();
            let rest: Vec<_> = rest.into_iter().map(|(key, _)| key.clone()).collect();
            self.last = rest.last().cloned();
            chosen.extend(rest);
        }
        chosen
    }

    /// What is to be written of this object now, if anything is and it may be.
    pub(super) fn judge(
        &mut self,
        key: &ObjectKey,
        receipt: &Receipt,
        stamp: &str,
        now: Instant,
    ) -> Option<Job> {
        let in_force = self.in_force.get(key);
        let seen = self.tracks.get(key)?.pace.seen();
        let translated = self.published.as_ref().is_some_and(|published| {
            let is_current =
                self.mesh.as_ref().is_some_and(|mesh| Arc::ptr_eq(mesh, &published.mesh));
            is_current || published.taken >= seen + PASSED_ON
        });
        let track = self.tracks.get_mut(key)?;
        track.pace.look(now);
        if track.pace.waits_out(receipt.is_unsure(), now) && desired::is_said(&track.object) {
            track.arrived = false;
            return None;
        }
        let facts = Facts {
            object: &track.object,
            findings: &track.findings,
            in_force,
            receipt,
            translated,
        };
        let verdict = decide(key, facts);
        let complete = verdict.is_final();
        let Some((_, change)) = merge(&track.object, &verdict, stamp) else {
            track.arrived = complete;
            return None;
        };
        track.arrived = complete && change == desired::Change::Count;
        if now < track.pace.due(change, complete) || !self.budget.take(now) {
            return None;
        }
        track.writing = true;
        Some(Job { object: track.object.clone(), verdict })
    }

    /// A write has ended.
    pub(super) fn ended(&mut self, key: &ObjectKey, outcome: Outcome, now: Instant) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        track.writing = false;
        let (kind, namespace, name) = key;
        match outcome {
            Outcome::Written(object) => {
                // Another generation may have been shown meanwhile.
                if generation(&object) == generation(&track.shown) {
                    track.object = object;
                }
                track.pace.written(now);
                self.budget.answered();
            }
            Outcome::Overtaken => {
                track.pace.written(now);
                self.budget.answered();
            }
            Outcome::Refused(reason) => {
                tracing::error!(kind, namespace, name, reason, "status refused");
                track.pace.refused(now);
                self.budget.answered();
            }
            Outcome::Unanswered(reason) => {
                tracing::warn!(kind, namespace, name, reason, "status not written");
                self.budget.unanswered(now);
            }
        }
    }
}

/// As findings name it.
fn name((kind, namespace, name): &ObjectKey) -> String {
    format!("{kind} {namespace}/{name}")
}

#[cfg(test)]
mod tests;
