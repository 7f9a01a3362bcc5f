//! The place that a control plane works in: where the mesh is described, where the CA is kept, and how proxies without a
//! certificate prove who they are. A directory on one machine, or a cluster.
//!
//! Used by [`super::App::build`]; the one file that knows both places.

use std::sync::Arc;

use anyhow::{Context, Result};
use kube::Client;
use tokio::sync::watch;
use tokio_rustls::rustls::ClientConfig;
use weft_certs::{Authority, SpiffeId, TrustDomain};

use super::state_dir::StateDir;
use super::trust_domain;
use crate::ca::{CaStore, IssuerSource, SecretStore, TokenReviewer};
use crate::clock::Clock;
use crate::config::{Config, KubernetesConfig, SourceConfig};
use crate::finding::Finding;
use crate::model::Mesh;
use crate::source::{DirectorySource, KubernetesSource, RawObjects};
use crate::status::{Own, Replicas};

/// Where the mesh is described, followed.
pub(super) enum Source {
    /// Files.
    Directory(Box<DirectorySource>),
    /// The API server.
    Kubernetes(Box<KubernetesSource>),
}

/// The cluster that we run in.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) config: KubernetesConfig,
}

impl Cluster {
    /// The cluster that the configuration asks for; `None` without one. Asks nothing of it yet.
    pub(super) async fn find(config: &SourceConfig) -> Result<Option<Self>> {
        let SourceConfig::Kubernetes(config) = config else { return Ok(None) };
        let client = Client::try_default().await.context(
            "there is no API server to talk to: neither a service account of a pod nor a kubeconfig",
        )?;
        Ok(Some(Self { client, config: config.clone() }))
    }

    /// Its other replicas, for whoever asks them with this identity and certificate.
    pub(super) fn replicas(
        &self,
        identity: SpiffeId,
        tls: watch::Receiver<Arc<ClientConfig>>,
        clock: Clock,
    ) -> Replicas {
        let KubernetesConfig { namespace, pod, .. } = &self.config;
        let (namespace, pod) = (namespace.clone(), pod.clone());
        Replicas::new(Own { namespace, pod, identity, tls, clock })
    }

    /// How its proxies prove who they are.
    pub(super) fn reviewer(&self) -> TokenReviewer {
        TokenReviewer::new(self.client.clone())
    }
}

impl Source {
    /// Reads everything once.
    pub(super) async fn open(config: &SourceConfig, cluster: Option<&Cluster>) -> Result<Self> {
        match (config, cluster) {
            (_, Some(cluster)) => {
                let source = KubernetesSource::open(cluster.client.clone()).await;
                Ok(Self::Kubernetes(Box::new(source)))
            }
            (SourceConfig::Directory(dir), None) => {
                // Reading a large directory takes a while; the runtime goes on meanwhile.
                let dir = dir.clone();
                let opened = tokio::task::spawn_blocking(move || DirectorySource::open(dir)).await;
                let source = opened.context("reading the configuration was broken off")??;
                Ok(Self::Directory(Box::new(source)))
            }
            (SourceConfig::Kubernetes(_), None) => anyhow::bail!("there is no API server"),
        }
    }

    /// The mesh as it was read, and its changes.
    pub(super) fn mesh(&self) -> watch::Receiver<Arc<Mesh>> {
        match self {
            Self::Directory(source) => source.mesh(),
            Self::Kubernetes(source) => source.mesh(),
        }
    }

    /// What is to be said about it.
    pub(super) fn findings(&self) -> watch::Receiver<Arc<Vec<Finding>>> {
        match self {
            Self::Directory(source) => source.findings(),
            Self::Kubernetes(source) => source.findings(),
        }
    }

    /// The objects that are given a status, as the API server has them; none of files.
    pub(super) fn objects(&self) -> watch::Receiver<RawObjects> {
        match self {
            Self::Directory(_) => watch::channel(RawObjects::default()).1,
            Self::Kubernetes(source) => source.raw(),
        }
    }

    /// Follows changes; never returns.
    pub(super) async fn run(self) {
        match self {
            Self::Directory(source) => source.run().await,
            Self::Kubernetes(source) => source.run().await,
        }
    }

    /// The CA of this place, made at the first start, and where it is kept. Decides for good which trust domain it is
    /// for.
    pub(super) async fn authority(
        &self,
        config: &Config,
        state: &StateDir,
        cluster: Option<&Cluster>,
        clock: &Clock,
    ) -> Result<(Authority, CaStore)> {
        let (store, recorded, kept) = match cluster {
            None => {
                let store = CaStore::Directory(state.path().join("ca"));
                (store, state.trust_domain()?, state.path().display().to_string())
            }
            Some(cluster) => {
                let namespace = &cluster.config.namespace;
                let secret = SecretStore::new(cluster.client.clone(), namespace);
                let recorded = secret.trust_domain().await?;
                (CaStore::Secret(secret), recorded, format!("Secret {namespace}/weft-ca"))
            }
        };
        let trust_domain = self.trust_domain(recorded, config, &kept)?;
        let authority = store.load(&trust_domain, clock.now()).await?;
        if cluster.is_none() {
            state.record_trust_domain(&trust_domain)?;
        }
        Ok((authority, store))
    }

    /// Where an issuing CA from outside is looked for; nowhere unless it is asked for.
    pub(super) fn issuer(config: &Config, cluster: Option<&Cluster>) -> Option<IssuerSource> {
        match cluster {
            None => config.issuer_dir.clone().map(IssuerSource::Directory),
            Some(Cluster { client, config }) => {
                let (namespace, name) = (&config.namespace, &config.issuer_secret);
                Some(IssuerSource::secret(client.clone(), namespace, name))
            }
        }
    }

    fn trust_domain(
        &self,
        recorded: Option<TrustDomain>,
        config: &Config,
        kept: &str,
    ) -> Result<TrustDomain> {
        let (mesh, findings) = (self.mesh().borrow().clone(), self.findings().borrow().clone());
        trust_domain::decide(recorded, config.trust_domain.as_ref(), kept, (&mesh, &findings))
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory(_) => "Directory",
            Self::Kubernetes(_) => "Kubernetes",
        })
    }
}
