//! Tells the API server whose certificates to believe, and the port which certificate it may show.
//!
//! Run by `Webhook`. The `caBundle` of every webhook in the configuration is made what the Secret says, as often as
//! somebody changes it. A certificate is shown only once the configuration names its CA: until then the port goes on
//! with the one before, which the API server believes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;
use tokio_stream::StreamExt;
use weft_certs::ServingAuthorities;

use super::certificate::Held;
use super::{CONFIGURATION, FIELD_MANAGER, SECRET};
use crate::outage::{Outage, Pace};

/// From when we see a configuration until every API server has seen it too.
const SETTLE: Duration = Duration::from_secs(3);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the configuration.
#[derive(Debug)]
pub(super) struct Configuration {
    configurations: Api<MutatingWebhookConfiguration>,
    secrets: Api<Secret>,
    held: watch::Receiver<Option<Arc<Held>>>,
    serving: watch::Sender<Option<Arc<ServerConfig>>>,
}

impl Configuration {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        held: watch::Receiver<Option<Arc<Held>>>,
    ) -> (Self, watch::Receiver<Option<Arc<ServerConfig>>>) {
        let (serving, receiver) = watch::channel(None);
        let secrets = Api::namespaced(client.clone(), namespace);
        (Self { configurations: Api::all(client), secrets, held, serving }, receiver)
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        let config = watcher::Config::default().fields(&format!("metadata.name={CONFIGURATION}"));
        let mut events =
            pin!(watch_objects(self.configurations.clone(), config).backoff(Pace::default()));
        let mut seen: Option<MutatingWebhookConfiguration> = None;
        let mut shown: Option<Arc<Held>> = None;
        let mut outage = Outage::default();
        loop {
            let held = self.held.borrow_and_update().clone();
            let wait = match (&seen, held) {
                (Some(seen), Some(held)) => self.act(seen, &held, &mut shown).await,
                _ => None,
            };
            let again = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.held.changed() => if changed.is_err() { return },
                () = again => {}
                event = events.next() => {
                    let Some(event) = event else { return };
                    let begins = outage.begins(&event);
                    match event {
                        Ok(Event::InitApply(found) | Event::Apply(found)) => seen = Some(found),
                        Ok(Event::Delete(_)) => seen = None,
                        Err(error) if begins => {
                            tracing::warn!(%error, "cannot watch {CONFIGURATION}; trying again");
                        }
                        Ok(Event::Init | Event::InitDone) | Err(_) => {}
                    }
                }
            }
        }
    }

    /// Brings the configuration and the port in step with the Secret; returns when to look again, if by itself.
    async fn act(
        &self,
        seen: &MutatingWebhookConfiguration,
        held: &Arc<Held>,
        shown: &mut Option<Arc<Held>>,
    ) -> Option<Duration> {
        if let Some(patch) = patch(seen, &held.bundle) {
            return self.write(patch, held).await;
        }
        // A certificate has a CA of its own, so the bundle tells certificates apart.
        if shown.as_ref().is_some_and(|shown| shown.bundle == held.bundle) || !believes(seen, held)
        {
            return None;
        }
        if shown.is_some() {
            // Other API servers may be a little behind this one; at first there is nothing to go on with meanwhile.
            tokio::time::sleep(SETTLE).await;
        }
        match held.certificate.server_config() {
            Ok(config) => {
                self.serving.send_replace(Some(Arc::new(config)));
                *shown = Some(held.clone());
                tracing::info!("the webhook shows the certificate that the API server believes");
                None
            }
            Err(error) => {
                tracing::error!(%error, "the webhook cannot use its certificate");
                Some(RETRY)
            }
        }
    }

    /// The watch brings what was written, by whomever.
    async fn write(&self, patch: json_patch::Patch, held: &Held) -> Option<Duration> {
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch: Patch<()> = Patch::Json(patch);
        let written = match self.is_current(held).await {
            Ok(true) => self.configurations.patch(CONFIGURATION, &params, &patch).await.map(drop),
            Ok(false) => return Some(RETRY),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                tracing::info!("wrote the webhook's CA into {CONFIGURATION}");
                None
            }
            // Perhaps somebody changed it meanwhile, and the watch says how.
            Err(error) => {
                tracing::warn!(%error, "cannot write the caBundle of {CONFIGURATION}; trying again");
                Some(RETRY)
            }
        }
    }

    /// Race: another replica may have written a new Secret, and its CA into the configuration, before we hear of the
    /// Secret. Then the difference that we see is ours.
    async fn is_current(&self, held: &Held) -> Result<bool, kube::Error> {
        let secret = self.secrets.get_opt(SECRET).await?;
        let bundle = secret.and_then(|secret| secret.data?.remove("ca.crt"));
        Ok(bundle.is_some_and(|bundle| bundle.0 == held.bundle.as_bytes()))
    }
}

/// What makes every `caBundle` the wanted one; `None` if they are. Each is written only where the webhook still has its
/// place in the list.
fn patch(seen: &MutatingWebhookConfiguration, bundle: &str) -> Option<json_patch::Patch> {
    let wanted = ByteString(bundle.as_bytes().to_vec());
    let mut operations = Vec::new();
    for (index, webhook) in seen.webhooks.iter().flatten().enumerate() {
        if webhook.client_config.ca_bundle.as_ref() == Some(&wanted) {
            continue;
        }
        let place = format!("/webhooks/{index}");
        operations
            .push(json!({"op": "test", "path": format!("{place}/name"), "value": webhook.name}));
        operations.push(json!({
            "op": "add", "path": format!("{place}/clientConfig/caBundle"), "value": wanted,
        }));
    }
    if operations.is_empty() {
        return None;
    }
    serde_json::from_value(Value::Array(operations)).ok()
}

/// Does every webhook of the configuration name the CA of this certificate?
fn believes(seen: &MutatingWebhookConfiguration, held: &Held) -> bool {
    let mut webhooks = seen.webhooks.iter().flatten().peekable();
    webhooks.peek().is_some()
        && webhooks.all(|webhook| {
            let bundle = webhook.client_config.ca_bundle.as_ref();
            let bundle = bundle.and_then(|bytes| std::str::from_utf8(&bytes.0).ok());
            let bundle = bundle.and_then(|text| ServingAuthorities::from_pem(text).ok());
            bundle.is_some_and(|bundle| bundle.signed(&held.certificate))
        })
}

#[cfg(test)]
mod tests;
