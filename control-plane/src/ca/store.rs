//! Where the CA's state is kept: a directory, or a Secret that all replicas share.
//!
//! Called by [`super::CertificateAuthority`] at the start, now and then, and when a Secret changes. Several replicas that
//! start at once, or renew at once, end up with one CA: the API server takes the first write, and whoever loses reads what
//! won. A state that cannot be used is never written over, and only a control plane that starts makes a new one: where
//! there is a mesh already, a new CA is one that no sidecar believes yet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Client, ResourceExt};
use tokio_stream::{Stream, StreamExt};
use weft_certs::{Authority, AuthorityError, Change, TrustDomain};
use zeroize::{Zeroize, Zeroizing};

use crate::outage::Pace;

/// The Secret, and its keys.
const SECRET: &str = "weft-ca";
const STATE: &str = "authority.pem";
const TRUST_DOMAIN: &str = "trust-domain";
/// Bound: writes that others were faster with, before it is said to be somebody's fault.
const ATTEMPTS: usize = 10;

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The state, in a directory or a Secret, is of no use.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The API server did not do what was asked.
    #[error("Secret {namespace}/{SECRET}: cannot {action}: {source}")]
    Api {
        /// What was asked.
        action: &'static str,
        /// Where.
        namespace: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The Secret does not hold what it should.
    #[error("Secret {namespace}/{SECRET} cannot be used: {reason}; it was left as it is")]
    Damaged {
        /// Where.
        namespace: String,
        /// What is wrong.
        reason: String,
    },
    /// The Secret was there, and is not any more.
    #[error(
        "Secret {namespace}/{SECRET} is gone; put a copy of it back: a control plane that starts without it makes another \
         CA, and sidecars do not believe each other until all have heard of it"
    )]
    Gone {
        /// Where it was.
        namespace: String,
    },
    /// Reading a directory was broken off.
    #[error("reading the CA was broken off")]
    BrokenOff,
}

/// See the module.
#[derive(Clone)]
pub(crate) enum CaStore {
    /// For one process.
    Directory(PathBuf),
    /// For replicas.
    Secret(SecretStore),
}

impl std::fmt::Debug for CaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(dir) => f.debug_tuple("Directory").field(dir).finish(),
            Self::Secret(secret) => f.debug_tuple("Secret").field(&secret.namespace).finish(),
        }
    }
}

impl CaStore {
    /// The CA as it is kept, or a new one; renewed where that is due.
    ///
    /// # Errors
    /// If the state is broken, of another trust domain, or out of reach.
    pub(crate) async fn load(
        &self,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Authority, StoreError> {
        let absent = Absent::IsTheFirstStart;
        Ok(self.changed(trust_domain, now, (Change::Renew, absent)).await?.0)
    }

    /// The CA as it is kept now, for whoever runs it already; renewed where that is due.
    ///
    /// # Errors
    /// As [`CaStore::load`], and if a Secret is gone.
    pub(crate) async fn reload(
        &self,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Authority, StoreError> {
        Ok(self.change(trust_domain, now, Change::Renew).await?.0)
    }

    /// The CA after this change, which is kept when this returns, and whether it changed anything. Others that change it at
    /// the same time come before or after, never between.
    ///
    /// # Errors
    /// As [`CaStore::reload`], and if the change cannot be made; then the CA is as it was.
    pub(crate) async fn change(
        &self,
        trust_domain: &TrustDomain,
        now: SystemTime,
        change: Change,
    ) -> Result<(Authority, bool), StoreError> {
        self.changed(trust_domain, now, (change, Absent::IsALoss)).await
    }

    async fn changed(
        &self,
        trust_domain: &TrustDomain,
        now: SystemTime,
        (change, absent): (Change, Absent),
    ) -> Result<(Authority, bool), StoreError> {
        match self {
            Self::Directory(dir) => {
                let (dir, trust_domain) = (dir.clone(), trust_domain.clone());
                let change = move || Authority::change_in(&dir, &trust_domain, now, &change);
                let changed = tokio::task::spawn_blocking(change).await;
                Ok(changed.map_err(|_| StoreError::BrokenOff)??)
            }
            Self::Secret(secret) => secret.change(trust_domain, now, (&change, absent)).await,
        }
    }

    /// Returns when it may be kept otherwise than before; for ever never where nobody tells.
    pub(crate) fn changes(&self) -> Pin<Box<dyn Stream<Item = ()> + Send>> {
        let Self::Secret(secret) = self else { return Box::pin(tokio_stream::pending()) };
        let config = watcher::Config::default().fields(&format!("metadata.name={SECRET}"));
        let events = watch_objects(secret.api.clone(), config).backoff(Pace::default());
        // While nobody can be asked nothing is known to have changed; the watches of the mesh tell of it.
        Box::pin(events.filter_map(|event| match event {
            Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => Some(()),
            Ok(Event::Init | Event::InitApply(_)) | Err(_) => None,
        }))
    }
}

/// What it means that there is no Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    IsTheFirstStart,
    IsALoss,
}

/// The Secret `weft-ca` of one namespace.
#[derive(Clone)]
pub(crate) struct SecretStore {
    api: Api<Secret>,
    namespace: String,
}

impl SecretStore {
    /// The Secret in this namespace; nothing is asked yet.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// The trust domain that the CA was made for; `None` before there is one.
    pub(crate) async fn trust_domain(&self) -> Result<Option<TrustDomain>, StoreError> {
        let Some(mut secret) = self.read().await? else { return Ok(None) };
        let text = self.text(&mut secret, TRUST_DOMAIN)?;
        wipe(&mut secret);
        text.trim()
            .parse()
            .map(Some)
            .map_err(|error| self.damaged(format!("{TRUST_DOMAIN}: {error}")))
    }

    async fn change(
        &self,
        trust_domain: &TrustDomain,
        now: SystemTime,
        (change, absent): (&Change, Absent),
    ) -> Result<(Authority, bool), StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(mut secret) = self.read().await? else {
                if absent == Absent::IsALoss {
                    return Err(StoreError::Gone { namespace: self.namespace.clone() });
                }
                let state = Authority::new_state(trust_domain, now)?;
                let mut secret = self.secret(None, trust_domain, &state);
                let made = self.api.create(&PostParams::default(), &secret).await;
                wipe(&mut secret);
                if self.unless_conflict("create", made)? {
                    tracing::info!(%trust_domain, "made a CA: there was no Secret {SECRET}");
                }
                // Order: read back what won, ours or another's.
                continue;
            };
            let state = self.text(&mut secret, STATE)?;
            let changed = Authority::change_state(&state, trust_domain, now, change);
            let (authority, new) = changed.map_err(|error| match error {
                AuthorityError::TooManyRoots(_) => StoreError::Authority(error),
                error => self.damaged(error.to_string()),
            })?;
            let Some(new) = new else { return Ok((authority, false)) };
            let mut new = self.secret(secret.resource_version(), trust_domain, &new);
            let replaced = self.api.replace(SECRET, &PostParams::default(), &new).await;
            wipe(&mut new);
            if self.unless_conflict("replace", replaced)? {
                return Ok((authority, true));
            }
        }
        Err(self.damaged(format!("{ATTEMPTS} attempts to write it met other writers")))
    }

    async fn read(&self) -> Result<Option<Secret>, StoreError> {
        self.api.get_opt(SECRET).await.map_err(|error| self.api_error("read", error))
    }

    /// Was it written? A conflict says that another replica was faster.
    fn unless_conflict(
        &self,
        action: &'static str,
        written: Result<Secret, kube::Error>,
    ) -> Result<bool, StoreError> {
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(self.api_error(action, error)),
        }
    }

    fn secret(&self, version: Option<String>, trust_domain: &TrustDomain, state: &str) -> Secret {
        let data = [
            (STATE.to_owned(), ByteString(state.as_bytes().to_vec())),
            (TRUST_DOMAIN.to_owned(), ByteString(trust_domain.as_str().as_bytes().to_vec())),
        ];
        let part_of = ("app.kubernetes.io/part-of".to_owned(), "weft".to_owned());
        Secret {
            metadata: ObjectMeta {
                name: Some(SECRET.to_owned()),
                namespace: Some(self.namespace.clone()),
                labels: Some(BTreeMap::from([part_of])),
                resource_version: version,
                ..ObjectMeta::default()
            },
            data: Some(data.into()),
            ..Secret::default()
        }
    }

    /// Takes it out, so that no copy stays where it was.
    fn text(&self, secret: &mut Secret, key: &str) -> Result<Zeroizing<String>, StoreError> {
        let bytes = secret.data.as_mut().and_then(|data| data.remove(key));
        let bytes = bytes.ok_or_else(|| self.damaged(format!("there is no {key}")))?;
        let text = String::from_utf8(bytes.0);
        text.map(Zeroizing::new).map_err(|_| self.damaged(format!("{key} is no text")))
    }

    fn damaged(&self, reason: String) -> StoreError {
        StoreError::Damaged { namespace: self.namespace.clone(), reason }
    }

    fn api_error(&self, action: &'static str, error: kube::Error) -> StoreError {
        StoreError::Api { action, namespace: self.namespace.clone(), source: Box::new(error) }
    }
}

/// What was sent or read, as far as it is in our hands: the API's client has buffers of its own.
fn wipe(secret: &mut Secret) {
    for value in secret.data.iter_mut().flat_map(BTreeMap::values_mut) {
        value.0.zeroize();
    }
}
