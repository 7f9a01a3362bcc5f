//! The cluster that a command talks to: connected as kubectl would, asked page by page.
//!
//! Used by `check`, `uninstall`, `wait`, [`crate::control_planes`] and [`crate::sidecars`]. Nothing is kept, and nothing is watched.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::de::DeserializeOwned;

use crate::args::ClusterArgs;

/// A cluster that is away is told soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one answer; a page of pods of a busy cluster takes a second or two.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bound: objects in one answer.
const PAGE: u32 = 500;
/// Bound: pages of one list.
const MAX_PAGES: usize = 1000;

/// Where Weft is installed.
pub(crate) const NAMESPACE: &str = "weft-system";

/// Says of a pod that it has a sidecar, and of which version.
pub(crate) use weft_control_plane::injection::INJECTED;

/// Reads the kubeconfig; nothing is asked yet.
///
/// # Errors
/// There is none, or it does not have the context.
pub(crate) async fn connect(args: &ClusterArgs) -> Result<Client> {
    let options =
        KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let written = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map_err(|error| anyhow!(causes(&error)))?,
        None => match Kubeconfig::read() {
            Ok(found) => found,
            // In a pod there is a service account instead, and no context to choose.
            Err(error) => match Config::incluster().ok().filter(|_| args.context.is_none()) {
                Some(config) => return client(config),
                None => bail!("no cluster is known: {}", causes(&error)),
            },
        },
    };
    let config = Config::from_custom_kubeconfig(written, &options).await;
    client(config.map_err(|error| anyhow!(causes(&error)))?)
}

fn client(mut config: Config) -> Result<Client> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(Client::try_from(config).map_err(Unanswered::from)?)
}

/// All objects of a kind, page by page.
///
/// # Errors
/// What the API server says, or that there is no end of them.
pub(crate) async fn list<K>(api: &Api<K>, params: ListParams) -> Result<Vec<K>, Unanswered>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut params = params.limit(PAGE);
    let mut all = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = api.list(&params).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    Ok(all)
}

/// The pods of all namespaces.
///
/// # Errors
/// As [`list`].
pub(crate) async fn pods(client: &Client) -> Result<Vec<Pod>, Unanswered> {
    list(&Api::<Pod>::all(client.clone()), ListParams::default()).await
}

/// The version of a pod's sidecar; `None` if it has none.
pub(crate) fn sidecar(pod: &Pod) -> Option<&str> {
    pod.metadata.annotations.as_ref()?.get(INJECTED).map(String::as_str)
}

/// Has the pod ended? Then nothing of it runs, whatever it had.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Meshed pods that have not ended, by namespace.
pub(crate) fn meshed(pods: &[Pod]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for pod in pods.iter().filter(|pod| sidecar(pod).is_some() && !has_ended(pod)) {
        *counts.entry(pod.metadata.namespace.clone().unwrap_or_default()).or_insert(0) += 1;
    }
    counts
}

/// Why the API server gave no answer, in its own words where it has said why.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Unanswered {
    words: String,
    /// Does it, or what a kubeconfig has for logging in, not know whoever asks?
    pub(crate) is_refusal: bool,
}

impl From<kube::Error> for Unanswered {
    fn from(error: kube::Error) -> Self {
        let (words, is_refusal) = match &error {
            kube::Error::Api(status) => {
                let words = match status.message.trim() {
                    "" => format!("{} (HTTP {})", status.reason, status.code),
                    message => message.to_owned(),
                };
                (words, matches!(status.code, 401 | 403))
            }
            kube::Error::Auth(_) => (causes(&error), true),
            _ => (causes(&error), false),
        };
        Self { words, is_refusal }
    }
}

/// The error and what has caused it, each once.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        next = error.source();
        // Many say what their cause says once more.
        let ends = next.map(ToString::to_string);
        let own = ends.as_deref().and_then(|cause| said.strip_suffix(cause)).unwrap_or(&said);
        let own = own.trim().trim_end_matches(':').trim();
        if !own.is_empty() && own != "ServiceError" {
            words.push(own.to_owned());
        }
    }
    words.join(": ")
}

#[cfg(test)]
mod tests;
