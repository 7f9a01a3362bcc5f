//! Leader election by a `coordination.k8s.io` Lease: of all replicas one writes status.
//!
//! [`Lease::run`] keeps [`Lease::new`]'s receiver true only while nobody else can have the Lease: it gives up by its own
//! clock 10 s after it last began to renew, and others take the Lease 15 s after they last saw it renewed, by theirs.
//! Losing the Lease ends nothing but the writing of status.

mod decide;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use decide::{Record, Step, decide};

/// Name of the Lease.
const NAME: &str = "weft-control-plane";
/// How long it is good without being renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it.
const RENEW: Duration = Duration::from_secs(5);
/// After how long without a renewal the holder gives up: [`DURATION`] less what a last write may be under way.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often others look, and how soon a renewal that failed is tried again.
const LOOK: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(1);
/// Bound on one attempt.
const ATTEMPT: Duration = Duration::from_secs(4);

/// One replica's part in the election.
pub struct Lease {
    api: Api<Object>,
    identity: String,
    leads: watch::Sender<bool>,
    stopping: watch::Receiver<bool>,
    /// The record as last seen, and since when it has been so.
    seen: Option<(Record, Instant)>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Lease {
    /// `identity` must be another one in every process: the name of the pod. The receiver is true while this replica
    /// leads, false at first.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        identity: String,
        stopping: watch::Receiver<bool>,
    ) -> (Self, watch::Receiver<bool>) {
        let (leads, receiver) = watch::channel(false);
        let api = Api::namespaced(client, namespace);
        (Self { api, identity, leads, stopping, seen: None }, receiver)
    }

    /// Takes part until `stopping` is true, then lets go of the Lease, so that another replica need not wait for it,
    /// and returns: within about four seconds, whatever the API server does.
    pub async fn run(mut self) {
        let mut renewed = None;
        let mut stopping = self.stopping.clone();
        loop {
            let began = Instant::now();
            let end = give_up_at(renewed).map_or(began + ATTEMPT, |end| end.min(began + ATTEMPT));
            let attempt = tokio::select! {
                attempt = timeout_at(end, self.attempt(began)) => attempt,
                _ = stopping.wait_for(|stopping| *stopping) => break,
            };
            let next = match attempt {
                Ok(Ok(true)) => {
                    renewed = Some(began);
                    began + RENEW
                }
                Ok(Ok(false)) => {
                    renewed = None;
                    began + LOOK
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the Lease cannot be read or written");
                    Instant::now() + AGAIN
                }
                Err(_elapsed) => Instant::now(),
            };
            let give_up = give_up_at(renewed);
            if give_up.is_some_and(|at| at <= Instant::now()) {
                tracing::warn!("the Lease could not be renewed in time");
                renewed = None;
            }
            self.tell(renewed.is_some());
            let next = give_up_at(renewed).map_or(next, |at| next.min(at));
            tokio::select! {
                () = sleep_until(next) => {}
                _ = stopping.wait_for(|stopping| *stopping) => break,
            }
        }
        // Order: nothing is written any more when another may begin to.
        self.tell(false);
        if renewed.is_some() {
            let end = Instant::now() + ATTEMPT;
            let _ = timeout_at(end, self.release()).await;
        }
    }

    fn tell(&self, leads: bool) {
        let changed = self.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads);
        if changed {
            tracing::info!(identity = self.identity, leads, "leader election");
        }
    }

    /// Reads the Lease and writes it if that is due; is it ours? Whoever writes between the two makes it an error, and
    /// the next attempt shows who.
    async fn attempt(&mut self, now: Instant) -> kube::Result<bool> {
        let Some(found) = self.api.get_opt(NAME).await? else {
            let spec = self.spec(&Record::default(), None);
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = Object { metadata, spec: Some(spec) };
            return self.api.create(&PostParams::default(), &lease).await.map(|_| true);
        };
        let record = record(found.spec.as_ref());
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        self.seen = Some((record.clone(), since));
        if decide(&record, &self.identity, now.saturating_duration_since(since)) == Step::Wait {
            return Ok(false);
        }
        let acquired = found.spec.as_ref().and_then(|spec| spec.acquire_time.clone());
        let lease = Object { spec: Some(self.spec(&record, acquired)), ..found };
        // The version that was read goes with it: of two that take it at once one is refused.
        self.api.replace(NAME, &PostParams::default(), &lease).await.map(|_| true)
    }

    fn spec(&self, before: &Record, acquired: Option<MicroTime>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_own = before.holder == self.identity;
        let acquired = acquired.filter(|_| is_own).unwrap_or_else(|| now.clone());
        let transitions = before.transitions + i32::from(!is_own && !before.renewed.is_empty());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(acquired),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) -> kube::Result<()> {
        let Some(found) = self.api.get_opt(NAME).await? else { return Ok(()) };
        let Some(spec) = &found.spec else { return Ok(()) };
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return Ok(());
        }
        let spec = LeaseSpec { holder_identity: Some(String::new()), ..spec.clone() };
        let lease = Object { spec: Some(spec), ..found };
        self.api.replace(NAME, &PostParams::default(), &lease).await.map(drop)
    }
}

fn give_up_at(renewed: Option<Instant>) -> Option<Instant> {
    renewed.map(|at| at + GIVE_UP)
}

fn record(spec: Option<&LeaseSpec>) -> Record {
    let Some(spec) = spec else { return Record::default() };
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.clone().unwrap_or_default(),
        duration: seconds.map_or(DURATION, Duration::from_secs),
        renewed: spec.renew_time.as_ref().map_or_else(String::new, |at| at.0.to_string()),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}
