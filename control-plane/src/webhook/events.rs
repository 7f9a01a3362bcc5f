//! Tells the owner of a pod that it stays without a sidecar: an Event, as `kubectl describe` shows it.
//!
//! The reviewer hands it over and goes on; what cannot be written in time is dropped and counted, for the same was said
//! in the answer already.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::counts::count;
use super::{Counts, FIELD_MANAGER};
use crate::injection::{Owner, Skip};

/// Bound: waiting to be written.
const WAITING: usize = 256;
/// Between two; with it the recorder, which remembers six minutes, remembers at most 1,800.
const PACE: Duration = Duration::from_millis(200);

/// One to be written.
#[derive(Debug)]
struct Notice {
    owner: Owner,
    namespace: String,
    skip: Skip,
}

/// Writes them.
pub(super) struct Events {
    client: Client,
    notices: mpsc::Receiver<Notice>,
    counts: Arc<Counts>,
}

/// Takes them.
#[derive(Clone, Debug)]
pub(super) struct Tell {
    notices: mpsc::Sender<Notice>,
    counts: Arc<Counts>,
}

impl Tell {
    /// Has `owner` told; never waits.
    pub(super) fn skipped(&self, owner: Owner, namespace: &str, skip: Skip) {
        let notice = Notice { owner, namespace: namespace.to_owned(), skip };
        if self.notices.try_send(notice).is_err() {
            count(&self.counts.events_dropped);
        }
    }
}

impl Events {
    pub(super) fn new(client: Client, counts: Arc<Counts>) -> (Self, Tell) {
        let (sender, notices) = mpsc::channel(WAITING);
        (Self { client, notices, counts: counts.clone() }, Tell { notices: sender, counts })
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
        let recorder = Recorder::new(self.client, reporter);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while let Some(notice) = self.notices.recv().await {
            pace.tick().await;
            let event = Event {
                type_: EventType::Warning,
                reason: "WeftInjectionSkipped".to_owned(),
                note: Some(format!("pods get no Weft sidecar: {}", notice.skip)),
                action: "Inject".to_owned(),
                secondary: None,
            };
            let owner = ObjectReference {
                api_version: Some(notice.owner.api_version),
                kind: Some(notice.owner.kind),
                name: Some(notice.owner.name),
                namespace: Some(notice.namespace),
                uid: Some(notice.owner.uid),
                ..ObjectReference::default()
            };
            if let Err(error) = recorder.publish(&event, &owner).await {
                tracing::debug!(%error, "cannot write an Event");
                count(&self.counts.events_dropped);
            }
        }
    }
}
