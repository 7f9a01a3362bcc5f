//! The last-good store: which text each object has in force, while files change, break and go.
//!
//! Owned by `directory`, one writer. The rules, in order:
//! 1. A readable object is in force; of several with the same id, the first by file path and line.
//! 2. An object whose text is broken keeps its last good version.
//! 3. While a file holds something that cannot be read so far as to know which object it is, the objects
//!    that were read from it and are found nowhere now keep their last good versions.
//! 4. For an object that decides about access and cannot be read something stands in where no earlier version of it
//!    is in force ([`stand_in`](super::stand_in)).
//! 5. Everything else that is not found is gone.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use crate::finding::{Code, Finding, Severity};
use crate::model::Mesh;

use super::assemble::assemble;
use super::document::{self, Entry, What};
use super::mesh_config::denied;
use super::object::{Object, ObjectId};
use super::yaml::Lines;

/// Bound: objects in force.
const MAX_OBJECTS: usize = 50_000;
/// Bound: findings kept; the least severe go first.
const MAX_FINDINGS: usize = 10_000;

/// What a file holds now.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// Text to be read.
    Text(String),
    /// It is there and cannot be read, which this finding says.
    Unreadable(Finding),
}

/// An object in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) object: Arc<Object>,
    /// Counts the changes of its content since it was first seen.
    pub(crate) generation: u64,
    /// When this content was read first.
    since: SystemTime,
    pub(crate) file: Arc<str>,
    pub(crate) lines: Arc<Lines>,
    /// Its present text is broken or cannot be told apart.
    held: bool,
    /// It never was written: it stands for a text that is broken.
    stands_in: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Store {
    files: BTreeMap<Arc<str>, Vec<Entry>>,
    in_force: BTreeMap<ObjectId, InForce>,
    /// Findings of the last [`Store::apply`] about objects that stand twice or in excess.
    findings: Vec<Finding>,
}

impl Store {
    /// Takes in files that changed and forgets those that are gone.
    pub(crate) fn apply(
        &mut self,
        changed: Vec<(String, Reading)>,
        gone: &[String],
        now: SystemTime,
    ) {
        for file in gone {
            self.files.remove(file.as_str());
        }
        for (file, reading) in changed {
            let entries = match reading {
                Reading::Text(text) => document::read_file(&file, &text),
                Reading::Unreadable(finding) => vec![Entry {
                    what: What::Unknown,
                    lines: Arc::default(),
                    findings: vec![finding],
                    denied: Vec::new(),
                    stand_in: None,
                }],
            };
            self.files.insert(file.into(), entries);
        }
        self.decide(now);
    }

    /// The mesh in force and everything there is to say about the configuration.
    pub(crate) fn mesh(&self) -> (Mesh, Vec<Finding>) {
        let (mesh, mut findings) = assemble(&self.in_force);
        findings.extend(self.findings.iter().cloned());
        let mut held: BTreeMap<&str, usize> = BTreeMap::new();
        for object in self.in_force.values().filter(|object| object.held && !object.stands_in) {
            *held.entry(&object.file).or_default() += 1;
        }
        for (file, entry) in self.entries() {
            let held = held.get(&**file).copied().unwrap_or(0);
            let say = |finding: &Finding| self.say_what_holds(finding.clone(), file, entry, held);
            findings.extend(entry.findings.iter().map(say));
        }
        (mesh, in_order(findings))
    }

    fn entries(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.files.iter().flat_map(|(file, entries)| entries.iter().map(move |entry| (file, entry)))
    }

    fn decide(&mut self, now: SystemTime) {
        self.findings.clear();
        let mut next = BTreeMap::new();
        let (found, ignored) = self.take_readable(&mut next, now);
        self.hold_broken(&mut next);
        self.hold_vanished(&mut next, &found, &ignored);
        self.stand_in(&mut next, now);
        self.in_force = next;
    }

    /// Rule 1, and of rule 2 what precedes a readable object of the same id. Returns the ids of all
    /// readable objects, and of those that are written and shall not be in force.
    fn take_readable(
        &mut self,
        next: &mut BTreeMap<ObjectId, InForce>,
        now: SystemTime,
    ) -> (BTreeSet<ObjectId>, BTreeSet<ObjectId>) {
        let (mut found, mut ignored) = (BTreeSet::new(), BTreeSet::new());
        let mut said = Vec::new();
        for (file, entry) in self.entries() {
            match &entry.what {
                What::Ignored(id) => ignored.extend(id.clone()),
                What::Unknown => {}
                What::Broken(id) => {
                    let before = self.good(id).filter(|before| before.file == *file);
                    if let (Some(before), false) = (before, next.contains_key(id)) {
                        next.insert(id.clone(), before.held_at(file, entry));
                    }
                }
                What::Good(id, object) => {
                    found.insert(id.clone());
                    if let Some(first) = next.get(id) {
                        said.push(duplicate(id, first, file, entry));
                    } else if next.len() >= MAX_OBJECTS {
                        let message =
                            format!("more than {MAX_OBJECTS} objects; this one is not in force");
                        said.push(about(id, Code::TooMany, message, file, entry));
                    } else {
                        let before = self.in_force.get(id);
                        next.insert(
                            id.clone(),
                            InForce::new(object, before, file, &entry.lines, now),
                        );
                    }
                }
            }
        }
        self.findings = said;
        (found, ignored)
    }

    /// Rule 2, for objects whose text moved to another file and broke on the way.
    fn hold_broken(&self, next: &mut BTreeMap<ObjectId, InForce>) {
        for (file, entry) in self.entries() {
            if let What::Broken(id) = &entry.what
                && !next.contains_key(id)
                && let Some(before) = self.good(id)
            {
                next.insert(id.clone(), before.held_at(file, entry));
            }
        }
    }

    /// Rule 3.
    fn hold_vanished(
        &self,
        next: &mut BTreeMap<ObjectId, InForce>,
        found: &BTreeSet<ObjectId>,
        ignored: &BTreeSet<ObjectId>,
    ) {
        let unsure: BTreeSet<&Arc<str>> = self
            .entries()
            .filter(|(_, entry)| matches!(entry.what, What::Unknown))
            .map(|(file, _)| file)
            .collect();
        for (id, before) in self.in_force.iter().filter(|(_, before)| !before.stands_in) {
            let vanished = !next.contains_key(id) && !found.contains(id) && !ignored.contains(id);
            if vanished && unsure.contains(&before.file) {
                next.insert(id.clone(), InForce { held: true, ..before.clone() });
            }
        }
    }

    /// Rule 4.
    fn stand_in(&self, next: &mut BTreeMap<ObjectId, InForce>, now: SystemTime) {
        for (file, entry) in self.entries() {
            let Some((id, object)) = entry.standing_in() else { continue };
            if !next.contains_key(&id) && next.len() < MAX_OBJECTS {
                let before = self.in_force.get(&id);
                let found = InForce::new(&object, before, file, &entry.lines, now);
                next.insert(id, InForce { held: true, ..found.standing_in() });
            }
        }
    }

    /// The last version that was written and good.
    fn good(&self, id: &ObjectId) -> Option<&InForce> {
        self.in_force.get(id).filter(|found| !found.stands_in)
    }

    /// Adds to an error what is in force instead; `held` is the number of objects that the file holds so.
    fn say_what_holds(
        &self,
        mut finding: Finding,
        file: &Arc<str>,
        entry: &Entry,
        held: usize,
    ) -> Finding {
        let what = &entry.what;
        if let Some(stand_in) = &entry.stand_in
            && finding.severity() == Severity::Error
            && self.in_force.get(&stand_in.id).is_some_and(|found| found.stands_in)
        {
            finding.message.push_str(&format!("; {}", stand_in.means));
            return finding;
        }
        match what {
            What::Broken(id) if finding.severity() == Severity::Error => {
                let held = self.good(id).filter(|object| object.held && object.file == *file);
                finding.message.push_str(&match held {
                    Some(held) => {
                        format!(
                            "; the object's last good version, {}, stays in force",
                            held.version()
                        )
                    }
                    None => "; this object is not in force".to_owned(),
                });
            }
            What::Unknown if held == 1 => finding
                .message
                .push_str("; the last good version of 1 object of this file stays in force"),
            What::Unknown if held > 1 => finding.message.push_str(&format!(
                "; the last good versions of {held} objects of this file stay in force"
            )),
            What::Broken(_) | What::Unknown | What::Good(..) | What::Ignored(_) => {}
        }
        finding
    }
}

impl InForce {
    /// An object that is kept somewhere with versions of its own, which is not a file.
    pub(crate) fn elsewhere(object: Arc<Object>, generation: u64) -> Self {
        Self {
            object,
            generation,
            since: SystemTime::UNIX_EPOCH,
            file: Arc::from(""),
            lines: Arc::default(),
            held: false,
            stands_in: false,
        }
    }

    /// The same, as what stands for a text that is broken.
    pub(crate) fn standing_in(self) -> Self {
        Self { stands_in: true, ..self }
    }

    /// The object, unless it only stands for one.
    pub(crate) fn good(&self) -> Option<&Object> {
        (!self.stands_in).then_some(&*self.object)
    }

    fn new(
        object: &Arc<Object>,
        before: Option<&Self>,
        file: &Arc<str>,
        lines: &Arc<Lines>,
        now: SystemTime,
    ) -> Self {
        let (file, lines) = (Arc::clone(file), Arc::clone(lines));
        match before {
            Some(before) if before.object == *object => {
                Self { file, lines, held: false, stands_in: false, ..before.clone() }
            }
            _ => Self {
                object: Arc::clone(object),
                generation: before.map_or(0, |before| before.generation) + 1,
                since: now,
                file,
                lines,
                held: false,
                stands_in: false,
            },
        }
    }

    /// The same content, though its text at this place is broken; but whom that denies is denied.
    fn held_at(&self, file: &Arc<str>, entry: &Entry) -> Self {
        let (file, lines) = (Arc::clone(file), Arc::clone(&entry.lines));
        match denied::with(Some(&*self.object), &entry.denied) {
            None => Self { file, lines, held: true, ..self.clone() },
            Some(object) => {
                Self { object, generation: self.generation + 1, file, lines, held: true, ..*self }
            }
        }
    }

    fn version(&self) -> String {
        let since = time::OffsetDateTime::from(self.since).replace_nanosecond(0);
        let format = &time::format_description::well_known::Rfc3339;
        let since = since.ok().and_then(|since| since.format(format).ok()).unwrap_or_default();
        format!("generation {} from {since}", self.generation)
    }
}

fn about(id: &ObjectId, code: Code, message: String, file: &str, entry: &Entry) -> Finding {
    Finding::new(code, message).at(file, entry.lines.first()).about(id.to_string())
}

fn duplicate(id: &ObjectId, first: &InForce, file: &str, entry: &Entry) -> Finding {
    let place = format!("{}:{}", first.file, first.lines.first());
    about(
        id,
        Code::DuplicateObject,
        format!("already written at {place}, which is in force"),
        file,
        entry,
    )
}

/// By file and line, each once; within the bound.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > MAX_FINDINGS {
        findings.sort_by_key(Finding::severity);
        findings.truncate(MAX_FINDINGS);
    }
    findings.sort();
    findings.dedup();
    findings
}
