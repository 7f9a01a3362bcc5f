//! Runs a trial: reads what is proposed, asks the sidecars that it concerns what they have seen, and sums up. Two at a
//! time; what it needs of memory is bounded by how many sidecars are asked at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use weft_proto::names;

use super::proposal::{self, Change};
use super::trial::{Row, Tally, Totals, Trial};
use crate::finding::{Finding, Severity};
use crate::model::{Key, Mesh};
use crate::source::proposal as source;
use crate::telemetry::{Seen, TelemetryService};

/// How far back sidecars remember, in seconds.
const MAX_SINCE: u32 = 600;
/// Bound: sidecars that are asked at once; each may send 2 MiB.
const AT_ONCE: usize = 16;
/// Who has not answered then is not waited for; less than `weft` waits for us.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bound: trials at once.
const MAX_TRIALS: usize = 2;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialQuery {
    /// Proposed objects.
    #[serde(default)]
    files: Vec<File>,
    /// `AccessPolicy/shop/readers`: objects that would be deleted.
    #[serde(default)]
    delete: Vec<String>,
    /// Of objects that name none.
    #[serde(default = "default_namespace")]
    namespace: String,
    /// Seconds, at most 600.
    #[serde(default = "whole_memory")]
    since: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    text: String,
}

fn default_namespace() -> String {
    "default".to_owned()
}

fn whole_memory() -> u32 {
    MAX_SINCE
}

/// The answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    schema_version: u32,
    /// False where what is proposed cannot be read, or there is nothing of it: `findings` says why.
    evaluated: bool,
    since_s: u32,
    findings: Vec<Finding>,
    /// Objects that say nothing of access.
    ignored: Vec<String>,
    changes: Vec<Change>,
    /// Workloads for which anything would be another: `product-v1.shop`.
    concerned: Vec<String>,
    answered: Vec<Answered>,
    silent: Vec<Silent>,
    totals: Totals,
    rows: Vec<Counted>,
    /// Calls that are in the totals and in no row.
    left_out: u64,
}

/// A sidecar that told what it has seen.
#[derive(Debug, Serialize)]
struct Answered {
    workload: String,
    /// Seconds.
    covers_s: u32,
    /// Calls that it had no room for, and that are in no total.
    beyond: u64,
}

/// One that did not.
#[derive(Debug, Serialize)]
struct Silent {
    workload: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    row: Row,
    requests: u64,
}

/// The one who runs them.
#[derive(Debug)]
pub(crate) struct Trials {
    telemetry: TelemetryService,
    turns: Semaphore,
}

/// Both versions of the mesh.
struct Versions {
    now: Arc<Mesh>,
    then: Mesh,
}

impl Trials {
    /// Asks sidecars by way of their reports.
    pub(crate) fn new(telemetry: TelemetryService) -> Self {
        Self { telemetry, turns: Semaphore::new(MAX_TRIALS) }
    }

    /// Runs one. `created`: when an object that is new would be, in seconds since the epoch.
    ///
    /// # Errors
    /// In words: what is asked cannot be.
    pub(crate) async fn run(
        &self,
        mesh: Arc<Mesh>,
        query: TrialQuery,
        created: i64,
    ) -> Result<Outcome, String> {
        if !(1..=MAX_SINCE).contains(&query.since) {
            return Err(format!("since is not within 1 and {MAX_SINCE} seconds"));
        }
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let since = query.since;
        let prepared = move || prepare(mesh, query, created);
        let prepared = tokio::task::spawn_blocking(prepared).await;
        let (mut outcome, versions) = prepared.map_err(|error| error.to_string())??;
        let Some((versions, concerned)) = versions else { return Ok(outcome) };
        let until = Instant::now() + PATIENCE;
        let asked = concerned.into_iter().map(|key| self.one(&versions, key, since, until));
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut tally = Tally::default();
        while let Some((workload, answer)) = answers.next().await {
            match answer {
                Ok((answered, of_one)) => {
                    outcome.answered.push(answered);
                    tally.merge(of_one);
                }
                Err(why) => outcome.silent.push(Silent { workload, why }),
            }
        }
        outcome.answered.sort_by(|one, other| one.workload.cmp(&other.workload));
        outcome.silent.sort_by(|one, other| one.workload.cmp(&other.workload));
        (outcome.totals, outcome.left_out) = (tally.totals, tally.left_out);
        let rows = tally.rows.into_iter();
        outcome.rows = rows.map(|(row, requests)| Counted { row, requests }).collect();
        // What changes first, and of that what is most.
        outcome.rows.sort_by_key(|counted| (counted.row.change, u64::MAX - counted.requests));
        Ok(outcome)
    }

    async fn one(
        &self,
        versions: &Arc<Versions>,
        key: Key,
        since: u32,
        until: Instant,
    ) -> (String, Result<(Answered, Tally), String>) {
        let workload = names::workload(&key.name, &key.namespace);
        let seen = match self.telemetry.ask(&workload, since, until).await {
            Ok(seen) => seen,
            Err(why) => return (workload, Err(why.to_owned())),
        };
        let (versions, name) = (Arc::clone(versions), workload.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let Seen { covers, beyond, parts } = seen;
            let trial = Trial { now: &versions.now, then: &versions.then };
            let workload = versions.now.workloads.get(&key);
            let tally = workload.map(|workload| trial.judge(workload, &parts)).unwrap_or_default();
            (Answered { workload: name, covers_s: covers, beyond }, tally)
        });
        (workload, judged.await.map_err(|error| error.to_string()))
    }
}

type Prepared = (Outcome, Option<(Arc<Versions>, Vec<Key>)>);

/// What can be said without asking anybody.
fn prepare(now: Arc<Mesh>, query: TrialQuery, created: i64) -> Result<Prepared, String> {
    let TrialQuery { files, delete, namespace, since } = query;
    let files: Vec<_> = files.into_iter().map(|file| (file.name, file.text)).collect();
    let source::Proposal { objects, ignored, findings } = source::read(&files, &namespace);
    let unreadable = findings.iter().any(|finding| finding.severity() == Severity::Error);
    let mut outcome =
        Outcome { schema_version: 1, since_s: since, findings, ignored, ..Outcome::default() };
    if unreadable {
        return Ok((outcome, None));
    }
    if objects.is_empty() && delete.is_empty() {
        return Err("nothing is proposed: no AccessPolicy, InboundPolicy or MeshConfig".to_owned());
    }
    let mut then = (*now).clone();
    for name in &delete {
        outcome.changes.push(proposal::delete(&mut then, name)?);
    }
    let apply = |proposed| proposal::apply(&mut then, proposed, created);
    let applied: Vec<_> = objects.into_iter().map(apply).collect();
    outcome.changes.extend(applied);
    let concerned = Trial { now: &now, then: &then }.concerned();
    let name = |key: &Key| names::workload(&key.name, &key.namespace);
    outcome.concerned = concerned.iter().map(name).collect();
    outcome.evaluated = true;
    Ok((outcome, Some((Arc::new(Versions { now, then }), concerned))))
}
