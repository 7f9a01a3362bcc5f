//! The ConfigMap with the mesh's roots, in every namespace with meshed pods.
//!
//! A pod mounts it, so it has to be there before the pod is: [`Ensure::ensure`] is asked during admission. [`TrustBundles`]
//! keeps the ones that exist in step with the CA. Written by server-side apply: whoever else keeps keys in that ConfigMap
//! keeps them.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio_stream::StreamExt;

use super::counts::count;
use super::{Counts, FIELD_MANAGER};
use crate::injection::TRUST_BUNDLE;
use crate::outage::{Outage, Pace};

/// Its key.
const KEY: &str = "root.pem";
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of the ConfigMaps: what each holds, by namespace. Bound: the namespaces of the cluster. Two texts that are
/// the same are kept once where they are the bundle in force.
type Known = Arc<Mutex<HashMap<String, Arc<str>>>>;

/// Keeps the ConfigMaps that exist in step.
pub(super) struct TrustBundles {
    ensure: Ensure,
    leader: watch::Receiver<bool>,
}

/// Makes sure of one ConfigMap.
#[derive(Clone)]
pub(super) struct Ensure {
    client: Client,
    bundle: watch::Receiver<Arc<str>>,
    known: Known,
    counts: Arc<Counts>,
}

impl TrustBundles {
    pub(super) fn new(
        client: Client,
        bundle: watch::Receiver<Arc<str>>,
        leader: watch::Receiver<bool>,
        counts: Arc<Counts>,
    ) -> (Self, Ensure) {
        let ensure = Ensure { client, bundle, known: Known::default(), counts };
        (Self { ensure: ensure.clone(), leader }, ensure)
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        let config = watcher::Config::default().fields(&format!("metadata.name={TRUST_BUNDLE}"));
        let api: Api<ConfigMap> = Api::all(self.ensure.client.clone());
        let mut events = pin!(watch_objects(api, config).backoff(Pace::default()));
        let mut bundle = self.ensure.bundle.clone();
        let mut listed = HashMap::new();
        let (mut failed, mut outage) = (false, Outage::default());
        loop {
            let retry = async {
                match failed {
                    true => tokio::time::sleep(RETRY).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { return };
                    let begins = outage.begins(&event);
                    match event {
                        Ok(event) => self.note(event, &mut listed),
                        Err(error) if begins => {
                            tracing::warn!(%error, "cannot watch the ConfigMaps {TRUST_BUNDLE}; trying again");
                        }
                        Err(_) => {}
                    }
                }
                changed = bundle.changed() => if changed.is_err() { return },
                changed = self.leader.changed() => if changed.is_err() { return },
                () = retry => {}
            }
            failed = *self.leader.borrow_and_update() && !self.update().await;
        }
    }

    fn note(&self, event: Event<ConfigMap>, listed: &mut HashMap<String, Arc<str>>) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(found) => listed.extend(self.ensure.entry(&found)),
            Event::InitDone => *self.ensure.known() = std::mem::take(listed),
            Event::Apply(found) => self.ensure.known().extend(self.ensure.entry(&found)),
            Event::Delete(gone) => {
                self.ensure.known().remove(gone.metadata.namespace.as_deref().unwrap_or_default());
            }
        }
    }

    /// Writes those that differ, one after the other: a new root waits hours before it signs anything. Returns whether
    /// all went well.
    async fn update(&self) -> bool {
        let wanted = self.ensure.bundle.borrow().clone();
        let stale: Vec<String> = {
            let known = self.ensure.known();
            known.iter().filter(|(_, has)| **has != wanted).map(|(name, _)| name.clone()).collect()
        };
        let mut good = true;
        for namespace in stale {
            match self.ensure.write(&namespace, &wanted).await {
                // Before the watch says so, or every event of one would have all the others written again.
                Ok(()) => drop(self.ensure.known().insert(namespace, wanted.clone())),
                // A namespace that is being deleted takes its ConfigMap with it.
                Err(error) => {
                    tracing::warn!(%error, namespace, "cannot update the ConfigMap {TRUST_BUNDLE}");
                    good = false;
                }
            }
        }
        good
    }
}

impl Ensure {
    /// Returns when `namespace` has the bundle in force. Asks the API server only if it is not known to have it.
    ///
    /// # Errors
    /// If the API server would not have it.
    pub(super) async fn ensure(&self, namespace: &str) -> Result<(), kube::Error> {
        let wanted = self.bundle.borrow().clone();
        if self.known().get(namespace) == Some(&wanted) {
            return Ok(());
        }
        self.write(namespace, &wanted).await
    }

    async fn write(&self, namespace: &str, bundle: &Arc<str>) -> Result<(), kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let wanted = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": TRUST_BUNDLE,
                "labels": {"app.kubernetes.io/part-of": "weft", "app.kubernetes.io/managed-by": FIELD_MANAGER},
            },
            "data": {KEY: &**bundle},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match api.patch(TRUST_BUNDLE, &params, &Patch::Apply(&wanted)).await {
            Ok(_) => {
                count(&self.counts.bundles_written);
                Ok(())
            }
            Err(error) => {
                count(&self.counts.bundles_failed);
                Err(error)
            }
        }
    }

    fn entry(&self, found: &ConfigMap) -> Option<(String, Arc<str>)> {
        let namespace = found.metadata.namespace.clone()?;
        let text = found.data.as_ref().and_then(|data| data.get(KEY)).map_or("", String::as_str);
        let wanted = self.bundle.borrow();
        let text = if **wanted == *text { wanted.clone() } else { text.into() };
        Some((namespace, text))
    }

    /// Held for look-ups only, never over an `.await`.
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<str>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
