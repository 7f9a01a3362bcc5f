//! Writes statuses, on the leader only: watches what they follow from, asks for receipts as long as an object has not
//! arrived everywhere, and patches what differs from what is there.
//!
//! `board` knows which objects are to be looked at and when one may be written, `patch` speaks to the API server. Bounds:
//! one write of an object in 5 s, 20 a second of all, four at once; a hundred objects looked at in one go. A control
//! plane that starts compares first and has little to write.

mod board;
mod patch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::board::{Board, Job};
use self::patch::{Outcome, write};
use crate::clock::Clock;
use crate::finding::Finding;
use crate::model::{Mesh, ObjectKey};
use crate::status::replicas::{Replicas, total};
use crate::xds::{Published, Receipt, Receipts};

/// Objects with a status, as the API server has them.
pub type Objects = BTreeMap<ObjectKey, Arc<Value>>;

/// After something changed the rest of it is waited for: mesh, findings and resources follow within milliseconds.
const QUIET: Duration = Duration::from_millis(100);
/// How often it is looked whether proxies have answered: soon after a change, and then once a second.
const SOON: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(1);
/// Between two looks, whatever happens: looking costs more than writing.
const GAP: Duration = Duration::from_millis(100);
/// Bound: writes at once.
const AT_ONCE: usize = 4;

/// What statuses follow from.
#[derive(Debug)]
pub struct Inputs {
    /// The objects. Order: a source that reads a generation shows it here last, after mesh and findings.
    pub objects: watch::Receiver<Arc<Objects>>,
    /// The mesh in force, as the publisher gets it.
    pub mesh: watch::Receiver<Arc<Mesh>>,
    /// What there is to say.
    pub findings: watch::Receiver<Arc<Vec<Finding>>>,
    /// [`crate::xds::Publisher::published`].
    pub published: watch::Receiver<Option<Published>>,
    /// Who runs what.
    pub receipts: Receipts,
}

/// See the module.
pub struct StatusWriter {
    client: Client,
    inputs: Inputs,
    leads: watch::Receiver<bool>,
    clock: Clock,
    /// Where there may be others.
    replicas: Option<Replicas>,
}

impl std::fmt::Debug for StatusWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusWriter").field("leads", &*self.leads.borrow()).finish_non_exhaustive()
    }
}

impl StatusWriter {
    /// Writes while `leads` is true ([`super::Lease::new`]).
    #[must_use]
    pub fn new(client: Client, inputs: Inputs, leads: watch::Receiver<bool>, clock: Clock) -> Self {
        Self { client, inputs, leads, clock, replicas: None }
    }

    /// Counts the proxies of other replicas too.
    #[must_use]
    pub(crate) fn with(self, replicas: Replicas) -> Self {
        Self { replicas: Some(replicas), ..self }
    }

    /// Runs until a sender is gone.
    pub async fn run(mut self) {
        loop {
            if self.leads.wait_for(|leads| *leads).await.is_err() {
                return;
            }
            let mut leads = self.leads.clone();
            tokio::select! {
                // What is under way when the Lease is lost is broken off.
                biased;
                lost = leads.wait_for(|leads| !*leads) => if lost.is_err() { return },
                () = self.lead() => return,
            }
        }
    }

    /// One term.
    async fn lead(&mut self) {
        let mut board = Board::new(Instant::now());
        let mut writing: JoinSet<(ObjectKey, Outcome)> = JoinSet::new();
        let mut generation = self.inputs.receipts.watch();
        self.inputs.objects.mark_changed();
        self.inputs.findings.mark_changed();
        loop {
            let soonest = Instant::now() + GAP;
            self.look(&mut board, &mut writing).await;
            sleep_until(soonest).await;
            let wait = if board.is_urgent(Instant::now()) { SOON } else { SELDOM };
            let next = sleep_until(Instant::now() + wait);
            let changed = tokio::select! {
                changed = self.inputs.objects.changed() => {
                    // It is read when it is looked at, and must count as new until then.
                    self.inputs.objects.mark_changed();
                    changed
                }
                changed = self.inputs.findings.changed() => {
                    self.inputs.findings.mark_changed();
                    changed
                }
                changed = generation.changed(), if board.is_urgent(Instant::now()) => changed,
                Some(Ok((object, outcome))) = writing.join_next(), if !writing.is_empty() => {
                    board.ended(&object, outcome, Instant::now());
                    continue;
                }
                () = next => {
                    board.second();
                    continue;
                }
            };
            if changed.is_err() {
                return;
            }
            sleep_until(Instant::now() + QUIET).await;
        }
    }

    /// Takes in what is new, looks at some objects, and starts what may be written now.
    async fn look(&mut self, board: &mut Board, writing: &mut JoinSet<(ObjectKey, Outcome)>) {
        let now = Instant::now();
        if self.inputs.objects.has_changed().unwrap_or(false) {
            board.take_objects(&self.inputs.objects.borrow_and_update().clone(), now);
        }
        if self.inputs.findings.has_changed().unwrap_or(false) {
            board.take_findings(&self.inputs.findings.borrow_and_update().clone());
        }
        let keys = board.choose();
        if keys.is_empty() {
            return;
        }
        let mesh = self.inputs.mesh.borrow_and_update().clone();
        let published = self.inputs.published.borrow_and_update().clone();
        let Some(receipts) = self.receipts(&mesh, &keys).await else { return };
        board.take_mesh(&mesh, published.as_ref());
        let stamp = stamp(&self.clock);
        for (key, receipt) in keys.iter().zip(&receipts) {
            if writing.len() >= AT_ONCE {
                return;
            }
            let Some(job) = board.judge(key, receipt, &stamp, now) else { continue };
            let (client, key) = (self.client.clone(), key.clone());
            let Job { object, verdict } = job;
            let stamp = stamp.clone();
            writing.spawn(async move {
                let outcome = write(client, &key, object, &verdict, &stamp).await;
                (key, outcome)
            });
        }
    }

    /// Of these objects, over the proxies of all replicas.
    async fn receipts(&mut self, mesh: &Mesh, keys: &[ObjectKey]) -> Option<Vec<Receipt>> {
        let (receipts, asked) = (self.inputs.receipts.clone(), keys.to_vec());
        // Begun before the others are asked.
        let own = tokio::task::spawn_blocking(move || receipts.of(&asked));
        let others = match &mut self.replicas {
            Some(replicas) => replicas.ask(mesh, keys).await,
            None => Vec::new(),
        };
        Some(total(own.await.ok()?, &others))
    }
}

/// The time as conditions have it.
fn stamp(clock: &Clock) -> String {
    let now = time::OffsetDateTime::from(clock.now());
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
