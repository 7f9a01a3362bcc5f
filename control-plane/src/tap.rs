//! `weft tap`: requests as they end, from the sidecars to one watcher, as lines of JSON. Called by `admin`; a tap lives as long as
//! its answer is read, and as the control plane does.
//!
//! Sidecars that come while a tap is open are invited too. What is over the rate, and what the watcher does not read fast
//! enough, is dropped where it arises, counted, and told.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use weft_proto::names;
use weft_proto::telemetry::{OpenTap, RequestFilter};

use crate::model::Mesh;
use crate::requests::{Entry, identity, service, workloads};
use crate::telemetry::{Shown, Tap, TelemetryService};

/// Bound: taps at once.
const MAX_TAPS: usize = 8;
/// Bound: lines on their way to a watcher.
const MAX_LINES: usize = 64;
/// How soon sidecars that come later are invited, and how often a watcher is told that he still watches.
const LOOK: Duration = Duration::from_secs(1);

/// What somebody wants to see. What is left out selects nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TapQuery {
    /// Whose sidecars: workloads by name; all of them where it is empty.
    workloads: Vec<String>,
    /// Only what is sent to this Service.
    to: String,
    method: String,
    path: String,
    /// `503`, or `5` for all of that class.
    status: u32,
    /// SPIFFE id of the other side.
    peer: String,
    errors: bool,
    /// Requests a second of each sidecar; 0 is 100, and 1,000 is the most.
    most: u32,
}

/// The one who opens taps.
#[derive(Debug)]
pub(crate) struct Tapping {
    telemetry: TelemetryService,
    turns: Arc<Semaphore>,
}

/// The lines of one tap.
pub(crate) type Lines = ReceiverStream<Result<Bytes, Infallible>>;

/// One tap under way.
struct Session {
    telemetry: TelemetryService,
    mesh: watch::Receiver<Arc<Mesh>>,
    query: TapQuery,
    tap: Tap,
    /// Who was invited, by the number of his stream.
    told: HashMap<Arc<str>, u64>,
    lines: mpsc::Sender<Result<Bytes, Infallible>>,
    _turn: OwnedSemaphorePermit,
}

impl Tapping {
    /// By way of the sidecars' reports.
    pub(crate) fn new(telemetry: TelemetryService) -> Self {
        Self { telemetry, turns: Arc::new(Semaphore::new(MAX_TAPS)) }
    }

    /// Opens one. It ends when its lines are dropped or `stopping` is true.
    ///
    /// # Errors
    /// In words: what is asked cannot be.
    pub(crate) fn open(
        &self,
        mesh: watch::Receiver<Arc<Mesh>>,
        mut query: TapQuery,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<Lines, String> {
        if !query.to.is_empty() {
            query.to = service(&mesh.borrow(), &query.to)?;
        }
        for name in &query.workloads {
            workloads(&mesh.borrow(), name)?;
        }
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| format!("{MAX_TAPS} taps are open, which is the limit"))?;
        let (lines, stream) = mpsc::channel(MAX_LINES);
        let (telemetry, tap) = (self.telemetry.clone(), self.telemetry.open_tap());
        let told = HashMap::new();
        let session = Session { telemetry, mesh, query, tap, told, lines, _turn: turn };
        tokio::spawn(async move {
            tokio::select! {
                () = session.run() => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        });
        Ok(ReceiverStream::new(stream))
    }
}

impl Session {
    /// Until nobody reads any more.
    async fn run(mut self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let gone = tokio::select! {
                _ = look.tick() => self.look().await,
                Some(shown) = self.tap.shown.recv() => self.show(shown).await,
                () = self.lines.closed() => true,
            };
            if gone {
                return;
            }
        }
    }

    /// Invites who is new, and tells how many watch. Returns whether nobody reads.
    async fn look(&mut self) -> bool {
        let wanted = self.wanted();
        let streams = self.telemetry.streams();
        self.told.retain(|workload, number| streams.get(workload) == Some(number));
        for (workload, number) in streams {
            let is_wanted =
                wanted.as_ref().is_none_or(|all| all.iter().any(|one| **one == *workload));
            if !is_wanted || self.told.contains_key(&workload) {
                continue;
            }
            let invitation = OpenTap {
                id: self.tap.invite(&workload),
                filter: Some(self.filter()),
                most: self.query.most,
            };
            if self.telemetry.invite(&workload, invitation).await {
                self.told.insert(workload, number);
            }
        }
        let dropped = self.tap.dropped();
        let status = json!({ "type": "status", "sidecars": self.told.len(), "dropped": dropped });
        self.line(&status).await
    }

    fn wanted(&self) -> Option<Vec<String>> {
        if self.query.workloads.is_empty() {
            return None;
        }
        let mesh = self.mesh.borrow();
        let all = self.query.workloads.iter().filter_map(|name| workloads(&mesh, name).ok());
        let name = |key: &crate::model::Key| names::workload(&key.name, &key.namespace);
        Some(all.flatten().map(|key| name(&key)).collect())
    }

    fn filter(&self) -> RequestFilter {
        let TapQuery { to, method, path, status, peer, errors, .. } = self.query.clone();
        // Who is asked for what is sent somewhere is not asked for what comes in.
        let direction = i32::from(!to.is_empty());
        RequestFilter { service: to, method, path, status, peer, errors, direction }
    }

    async fn show(&mut self, (workload, events): Shown) -> bool {
        let identity = identity(&self.mesh.borrow(), &workload);
        for record in events.requests {
            let entry = Entry::of(&workload, &identity, record);
            let Ok(mut line) = serde_json::to_value(entry) else { continue };
            line["type"] = "request".into();
            if self.line(&line).await {
                return true;
            }
        }
        if events.dropped == 0 {
            return false;
        }
        let dropped =
            json!({ "type": "dropped", "workload": &*workload, "dropped": events.dropped });
        self.line(&dropped).await
    }

    async fn line(&self, value: &Value) -> bool {
        let mut text = value.to_string();
        text.push('\n');
        self.lines.send(Ok(text.into())).await.is_err()
    }
}
