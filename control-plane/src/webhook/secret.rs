//! Keeps the Secret with the port's certificate: makes it, renews it, and follows what other replicas make.
//!
//! Run by `Webhook`. Several replicas may find at the same moment that a certificate is needed. Whoever writes first wins:
//! a Secret is created, or replaced in the version that was judged, and never overwritten. The others see the result.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_stream::StreamExt;

use super::certificate::{self, Held, Verdict};
use super::{Counts, FIELD_MANAGER, Options, SECRET, is_conflict};
use crate::clock::{self, Clock};
use crate::outage::{Outage, Pace};

/// The longest wait before the clock is looked at again: timers do not notice a clock that was set.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the Secret.
#[derive(Debug)]
pub(super) struct Keeper {
    secrets: Api<Secret>,
    names: Vec<String>,
    clock: Clock,
    held: watch::Sender<Option<Arc<Held>>>,
    counts: Arc<Counts>,
}

/// What is known of the Secret.
enum Seen {
    /// Not read yet.
    Nothing,
    /// There is none.
    Absent,
    /// As it was last seen.
    Present(Box<Secret>),
}

impl Keeper {
    pub(super) fn new(
        client: Client,
        options: &Options,
        clock: Clock,
        counts: Arc<Counts>,
    ) -> (Self, watch::Receiver<Option<Arc<Held>>>) {
        let (held, receiver) = watch::channel(None);
        let secrets = Api::namespaced(client, &options.namespace);
        (Self { secrets, names: options.names.clone(), clock, held, counts }, receiver)
    }

    /// For ever.
    pub(super) async fn run(self) {
        let config = watcher::Config::default().fields(&format!("metadata.name={SECRET}"));
        let mut events = pin!(watch_objects(self.secrets.clone(), config).backoff(Pace::default()));
        let (mut seen, mut listed) = (Seen::Nothing, None);
        let mut outage = Outage::default();
        loop {
            let wait = self.act(&seen).await;
            let event = match tokio::time::timeout(wait, events.next()).await {
                Err(_elapsed) => continue,
                // Never: a watcher begins again by itself.
                Ok(None) => return,
                Ok(Some(event)) => event,
            };
            let begins = outage.begins(&event);
            match event {
                Ok(Event::Init) => listed = None,
                Ok(Event::InitApply(secret)) => listed = Some(secret),
                Ok(Event::InitDone) => seen = Seen::of(listed.take()),
                Ok(Event::Apply(secret)) => seen = Seen::of(Some(secret)),
                Ok(Event::Delete(_)) => seen = Seen::Absent,
                Err(error) if begins => {
                    tracing::warn!(%error, "cannot watch the Secret {SECRET}; trying again")
                }
                Err(_) => {}
            }
        }
    }

    /// Does what the Secret needs; returns when to look again.
    async fn act(&self, seen: &Seen) -> Duration {
        let secret = match seen {
            Seen::Nothing => return LOOK_AT_CLOCK,
            Seen::Absent => None,
            Seen::Present(secret) => Some(&**secret),
        };
        let data = secret.map(|secret| secret.data.clone().unwrap_or_default());
        match certificate::judge(data.as_ref(), &self.names, self.clock.now()) {
            Ok(Verdict::Keep(held)) => {
                let left = held.renew_at.duration_since(self.clock.now()).unwrap_or_default();
                self.publish(held);
                left.clamp(Duration::from_millis(1), LOOK_AT_CLOCK)
            }
            Ok(Verdict::Replace(data, why)) => {
                self.write(secret, data, why).await;
                RETRY
            }
            Err(error) => {
                tracing::error!(%error, "no certificate for the webhook");
                RETRY
            }
        }
    }

    fn publish(&self, held: Arc<Held>) {
        self.counts.not_after.store(clock::unix(held.not_after), Ordering::Relaxed);
        self.held.send_if_modified(|known| {
            // A certificate has a CA of its own, so the bundle tells certificates apart.
            let same = known.as_ref().is_some_and(|known| known.bundle == held.bundle);
            *known = Some(held);
            !same
        });
    }

    /// The watch brings what was written, by whomever.
    async fn write(
        &self,
        before: Option<&Secret>,
        data: BTreeMap<String, ByteString>,
        why: &'static str,
    ) {
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let result = match before {
            None => self.secrets.create(&params, &new(data)).await,
            Some(before) => {
                // Race: the version that was judged is in it, so that of another replica is not overwritten.
                let secret = Secret { data: Some(data), ..before.clone() };
                self.secrets.replace(SECRET, &params, &secret).await
            }
        };
        match result {
            Ok(_) => tracing::info!(why, "made a certificate for the webhook"),
            Err(error) if is_conflict(&error) => {
                tracing::debug!("another replica made the webhook's certificate");
            }
            Err(error) => tracing::error!(%error, "cannot write the Secret {SECRET}; trying again"),
        }
    }
}

impl Seen {
    fn of(secret: Option<Secret>) -> Self {
        secret.map_or(Self::Absent, |secret| Self::Present(Box::new(secret)))
    }
}

fn new(data: BTreeMap<String, ByteString>) -> Secret {
    let labels =
        [("app.kubernetes.io/part-of", "weft"), ("app.kubernetes.io/managed-by", FIELD_MANAGER)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("kubernetes.io/tls".to_owned()),
        ..Secret::default()
    }
}
