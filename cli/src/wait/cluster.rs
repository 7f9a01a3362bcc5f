//! The cluster that is asked for the objects of the files.

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client};
use serde_json::Value;

use super::manifests::{Wanted, plural};
use crate::args::WaitArgs;
use crate::cluster::{Unanswered, connect};

pub(super) struct Cluster(Client);

impl Cluster {
    /// Reads the kubeconfig; nothing is asked yet.
    ///
    /// # Errors
    /// There is none, or it does not have the context.
    pub(super) async fn connect(args: &WaitArgs) -> Result<Self> {
        connect(&args.cluster).await.map(Self)
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
        match api.get(&wanted.name).await {
            Ok(found) => serde_json::to_value(found).map(Some).context("the answer cannot be read"),
            // Not only of objects: the path of a kind that nobody has defined is not there either, and its answer is no Status.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => {
                let asking = || format!("cannot ask the cluster for {wanted}");
                Err(Unanswered::from(error)).with_context(asking)
            }
        }
    }
}
