//! What a trial came to: the answers of all control planes as one. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::reach::Verdict;
use crate::admin::Finding;

/// The answer of one control plane, or of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) schema_version: u32,
    /// False where the files are wrong: `findings` says how.
    pub(super) evaluated: bool,
    /// Seconds.
    pub(super) since_s: u64,
    #[serde(default)]
    pub(super) findings: Vec<Finding>,
    #[serde(default)]
    pub(super) ignored: Vec<String>,
    #[serde(default)]
    pub(super) changes: Vec<Change>,
    /// Workloads for which something would be another.
    #[serde(default)]
    pub(super) concerned: Vec<String>,
    /// Their sidecars that told what they have seen.
    #[serde(default)]
    pub(super) answered: Vec<Answered>,
    /// And those that did not.
    #[serde(default)]
    pub(super) silent: Vec<Silent>,
    #[serde(default)]
    pub(super) totals: Totals,
    #[serde(default)]
    pub(super) rows: Vec<Counted>,
    /// Calls that are in no row.
    #[serde(default)]
    pub(super) left_out: u64,
}

/// One object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) object: String,
    /// `added`, `replaced`, `deleted`.
    pub(super) change: String,
    /// Workloads.
    pub(super) selects: u64,
}

/// One sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) workload: String,
    /// Seconds.
    pub(super) covers_s: u64,
    /// Calls of callers for whom it had no room.
    pub(super) beyond: u64,
}

/// One sidecar that did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Silent {
    pub(super) workload: String,
    pub(super) why: String,
}

/// Calls by what becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) now: ByVerdict,
    pub(super) then: ByVerdict,
    pub(super) newly_denied: u64,
    pub(super) may_be_denied: u64,
    pub(super) newly_allowed: u64,
    pub(super) may_be_allowed: u64,
}

/// See [`Totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ByVerdict {
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) depends: u64,
}

/// Calls that are alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Counted {
    #[serde(flatten)]
    pub(super) row: Row,
    pub(super) requests: u64,
}

/// All of it but the count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) change: Kind,
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) port: u16,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) opaque: bool,
    pub(super) now: Judgement,
    pub(super) then: Judgement,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Allowed now, denied then.
    Denied,
    /// Perhaps.
    MayBeDenied,
    /// Denied now, allowed then.
    Allowed,
    /// Perhaps.
    MayBeAllowed,
    /// It depends now and then, on other rules.
    Unsure,
    /// None.
    Same,
}

/// May it be, and why?
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) rule: Option<String>,
    pub(super) why: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) on: Vec<String>,
}

impl Outcome {
    /// Would nothing newly be denied, as far as all who are concerned can tell?
    pub(super) fn is_harmless(&self) -> bool {
        let Totals { newly_denied, may_be_denied, .. } = self.totals;
        self.evaluated && newly_denied == 0 && may_be_denied == 0 && self.silent.is_empty()
    }
}

/// The answers of several replicas, of which each knows other sidecars; `None` if there is none. What they say by the
/// model alone is the same, but for a moment after a change.
pub(super) fn merged(answers: Vec<Outcome>) -> Option<Outcome> {
    let mut answers = answers.into_iter();
    let mut whole = answers.next()?;
    let mut rows: BTreeMap<Row, u64> = BTreeMap::new();
    let mut add = |more: Vec<Counted>| {
        for Counted { row, requests } in more {
            *rows.entry(row).or_default() += requests;
        }
    };
    add(std::mem::take(&mut whole.rows));
    for answer in answers {
        add(answer.rows);
        whole.evaluated &= answer.evaluated;
        whole.totals.add(&answer.totals);
        whole.left_out += answer.left_out;
        whole.answered.extend(answer.answered);
        whole.silent.extend(answer.silent);
        whole.concerned.extend(answer.concerned);
        if whole.findings.is_empty() {
            whole.findings = answer.findings;
        }
    }
    let sorted: BTreeSet<String> = std::mem::take(&mut whole.concerned).into_iter().collect();
    whole.concerned = sorted.into_iter().collect();
    whole.answered.sort();
    // Who is silent to one may have answered another, and is named once.
    let answered: BTreeSet<&str> = whole.answered.iter().map(|one| &*one.workload).collect();
    whole.silent.retain(|one| !answered.contains(&*one.workload));
    whole.silent.sort();
    whole.silent.dedup_by(|one, other| one.workload == other.workload);
    whole.rows = rows.into_iter().map(|(row, requests)| Counted { row, requests }).collect();
    whole.rows.sort_by_key(|counted| (counted.row.change, u64::MAX - counted.requests));
    Some(whole)
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.now.add(other.now);
        self.then.add(other.then);
        self.newly_denied += other.newly_denied;
        self.may_be_denied += other.may_be_denied;
        self.newly_allowed += other.newly_allowed;
        self.may_be_allowed += other.may_be_allowed;
    }
}

impl ByVerdict {
    fn add(&mut self, other: Self) {
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.depends += other.depends;
    }
}

#[cfg(test)]
mod tests;
