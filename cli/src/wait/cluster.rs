//! The cluster that is asked, connected as kubectl would.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::Value;

use super::manifests::{Wanted, plural};
use crate::args::WaitArgs;

/// A cluster that is away is told soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Cluster(Client);

impl Cluster {
    /// Reads the kubeconfig; nothing is asked yet.
    ///
    /// # Errors
    /// There is none, or it does not have the context.
    pub(super) async fn connect(args: &WaitArgs) -> Result<Self> {
        let options =
            KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let written = match &args.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).context("cannot read the kubeconfig")?,
            None => match Kubeconfig::read() {
                Ok(found) => found,
                Err(error) => {
                    let inside = Config::incluster();
                    let inside = inside.with_context(|| format!("no cluster is known: {error}"))?;
                    return Self::of(inside);
                }
            },
        };
        let config = Config::from_custom_kubeconfig(written, &options).await;
        Self::of(config.context("the kubeconfig names no cluster")?)
    }

    fn of(mut config: Config) -> Result<Self> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        Ok(Self(Client::try_from(config).context("cannot talk to the cluster")?))
    }

    /// Namespace of the context.
    pub(super) fn namespace(&self) -> &str {
        self.0.default_namespace()
    }

    /// The object; `None` if there is none, or nothing of its kind.
    ///
    /// # Errors
    /// The API server cannot be asked.
    pub(super) async fn get(&self, wanted: &Wanted) -> Result<Option<Value>> {
        let version = if wanted.kind.ends_with("Route") {
            ("gateway.networking.k8s.io", "v1")
        } else {
            ("weft.dev", "v1alpha1")
        };
        let resource = ApiResource {
            group: version.0.to_owned(),
            version: version.1.to_owned(),
            api_version: format!("{}/{}", version.0, version.1),
            kind: wanted.kind.clone(),
            plural: plural(version.0, &wanted.kind).unwrap_or_default().to_owned(),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.0.clone(), &wanted.namespace, &resource);
        let found = api.get_opt(&wanted.name).await;
        let found = found.with_context(|| format!("cannot ask the cluster for {wanted}"))?;
        found.map(serde_json::to_value).transpose().context("the answer cannot be read")
    }
}
