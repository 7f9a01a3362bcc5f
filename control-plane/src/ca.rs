//! The certificate authority as the control plane runs it: who may have which certificate, for how long.
//!
//! Around `weft_certs::Authority`, which signs and knows no network. `service` answers proxies over gRPC,
//! `token` is how a proxy without a certificate proves itself; tokens are minted over the admin socket. In Kubernetes
//! `reviewer` takes service-account tokens instead. `store` is where the CA is kept. What
//! must hold: a certificate names exactly the identity that its caller proved in the same call, and that
//! identity belongs to a workload of the mesh.

mod issuer;
mod reviewer;
mod service;
mod store;
mod token;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use weft_certs::csr::SigningRequest;
use weft_certs::{
    Authority, Change, Denial, IssueError, Issued, Leaf, Root, Serial, SpiffeId, TrustBundle,
    TrustDomain,
};

pub(crate) use self::issuer::{Issuer, IssuerView, Source as IssuerSource};
pub(crate) use self::reviewer::TokenReviewer;
pub(crate) use self::service::IdentityService;
pub(crate) use self::store::{CaStore, SecretStore, StoreError};
use self::token::JoinTokens;
use crate::clock::Clock;
use crate::model::{Key, Mesh};

/// Shorter lives would be spent on renewing.
const LEAF_LIFETIME_MIN: Duration = Duration::from_secs(5);
/// A leaf is renewed after this share of its life, in percent.
const RENEW_AFTER_PERCENT: u32 = 60;
/// How often the issuing certificate's age is looked at. It is replaced in the last third of its year.
const RELOAD_INTERVAL: Duration = Duration::from_secs(12 * 3600);

/// How long sidecars are given to hear of other roots by themselves, before one that has not is asked to renew, which tells
/// it too.
const HEARD: Duration = Duration::from_secs(5);

/// Signs for the mesh. One per control plane.
#[derive(Debug)]
pub(crate) struct CertificateAuthority {
    store: CaStore,
    authority: ArcSwap<Authority>,
    /// PEM of the trust bundle.
    bundle: watch::Sender<Arc<str>>,
    /// The roots, and since when they are these.
    roots: watch::Sender<(Arc<[Root]>, SystemTime)>,
    /// One change at a time, so that a later one is never overtaken by what an earlier one has read.
    changing: tokio::sync::Mutex<()>,
    tokens: Mutex<JoinTokens>,
    mesh: watch::Receiver<Arc<Mesh>>,
    clock: Clock,
    counts: Counts,
}

/// For `/metrics`.
#[derive(Debug, Default)]
struct Counts {
    issued: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// What `/metrics` shows of the CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CaNumbers {
    /// Certificates issued to workloads.
    pub(crate) issued: u64,
    /// Requests refused: no proof, a bad one, another identity, a bad CSR.
    pub(crate) refused: u64,
    /// Requests that the authority could not serve.
    pub(crate) failed: u64,
    /// Join tokens that nobody has used yet.
    pub(crate) tokens: usize,
    /// The end of the issuing certificate.
    pub(crate) not_after: SystemTime,
}

/// Why there is no join token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    /// No such workload.
    #[error("no MeshWorkload {0} exists")]
    UnknownWorkload(Key),
    /// Its service account makes no SPIFFE id.
    #[error("the identity of {0} is not valid: {1}")]
    Identity(Key, weft_certs::IdError),
    /// The table is full.
    #[error(transparent)]
    TooMany(#[from] token::TooMany),
    /// The system gives no randomness.
    #[error("no randomness for a join token")]
    Randomness,
}

impl CertificateAuthority {
    /// Runs `authority`, which is kept in `store`. `mesh` says which identities exist.
    pub(crate) fn new(
        authority: Authority,
        store: CaStore,
        mesh: watch::Receiver<Arc<Mesh>>,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            bundle: watch::Sender::new(pem(&authority)),
            roots: watch::Sender::new((authority.roots().into(), clock.now())),
            changing: tokio::sync::Mutex::default(),
            authority: ArcSwap::from_pointee(authority),
            tokens: Mutex::default(),
            mesh,
            clock,
            counts: Counts::default(),
        }
    }

    /// The trust bundle in force, as PEM, and its changes.
    pub(crate) fn bundle_pem(&self) -> watch::Receiver<Arc<str>> {
        self.bundle.subscribe()
    }

    /// The trust bundle in force.
    pub(crate) fn bundle(&self) -> TrustBundle {
        self.authority.load().bundle().clone()
    }

    /// What this CA vouches for.
    pub(crate) fn trust_domain(&self) -> TrustDomain {
        self.authority.load().trust_domain().clone()
    }

    /// The CA's clock.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// A single-use token for `workload`, and the identity that it can be turned into.
    ///
    /// # Errors
    /// If there is no such workload, or too many tokens are outstanding.
    pub(crate) fn mint(&self, workload: &Key) -> Result<(String, SpiffeId), MintError> {
        let identity = {
            let mesh = self.mesh.borrow();
            let found = mesh.workloads.get(workload);
            let found = found.ok_or_else(|| MintError::UnknownWorkload(workload.clone()))?;
            SpiffeId::workload(&self.trust_domain(), &workload.namespace, &found.service_account)
                .map_err(|error| MintError::Identity(workload.clone(), error))?
        };
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_unspecified| MintError::Randomness)?;
        let token =
            self.tokens().mint(workload.clone(), identity.clone(), secret, self.clock.now())?;
        Ok((token, identity))
    }

    /// A leaf for the control plane itself, and when to renew it.
    pub(crate) fn leaf_for(&self, id: &SpiffeId) -> Result<(Leaf, SystemTime), IssueError> {
        let now = self.clock.now();
        let leaf = self.authority.load().leaf_for(id, self.leaf_lifetime(), now)?;
        let renew_at = renew_at(now, leaf.not_after());
        Ok((leaf, renew_at))
    }

    /// For `/metrics`.
    pub(crate) fn numbers(&self) -> CaNumbers {
        CaNumbers {
            issued: self.counts.issued.load(Ordering::Relaxed),
            refused: self.counts.refused.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            tokens: self.tokens().outstanding(self.clock.now()),
            not_after: self.authority.load().not_after(),
        }
    }

    /// The roots as they are now, and their changes.
    pub(crate) fn roots(&self) -> watch::Receiver<(Arc<[Root]>, SystemTime)> {
        self.roots.subscribe()
    }

    /// The root that new certificates lead to.
    pub(crate) fn issuing_root(&self) -> String {
        self.authority.load().issuing_root()
    }

    /// The longest life that a leaf under that root can have had.
    pub(crate) fn leaf_life(&self) -> Option<Duration> {
        self.authority.load().leaf_life()
    }

    /// Should a sidecar with a leaf of this root, that believes these, have it renewed now? One that does not believe the
    /// root which issues is told of it by the renewal; first it is given the time to hear of it otherwise.
    pub(crate) fn wants_renewal(&self, leaf_root: &str, believed: &[String]) -> bool {
        let authority = self.authority.load();
        let (issuing, known) = (authority.issuing_root(), authority.bundle().fingerprints());
        // One that says nothing of roots is of an earlier version.
        if believed.is_empty() {
            return false;
        }
        let same =
            believed.len() == known.len() && known.iter().all(|root| believed.contains(root));
        if same {
            return leaf_root != issuing;
        }
        let since = self.roots.borrow().1;
        self.clock.now().duration_since(since).is_ok_and(|time| time >= HEARD)
    }

    /// Changes the CA: kept when this returns, and in force here.
    ///
    /// # Errors
    /// As [`CaStore::change`].
    pub(crate) async fn change(&self, change: Change) -> Result<bool, StoreError> {
        let _turn = self.changing.lock().await;
        let now = self.clock.now();
        let (authority, changed) = self.store.change(&self.trust_domain(), now, change).await?;
        self.install(authority);
        Ok(changed)
    }

    /// Keeps the issuing certificate fresh in a process that runs for months, and takes up what other replicas, or people,
    /// change. Cancel: at any time.
    pub(crate) async fn run(&self) {
        let mut changes = self.store.changes();
        let mut mesh = self.mesh.clone();
        loop {
            let wait = tokio::time::sleep(RELOAD_INTERVAL);
            // Each is a reason to look, and so would be the end of the one that has none.
            tokio::select! {
                _ = changes.next() => self.reload().await,
                () = wait => self.reload().await,
                Ok(()) = mesh.changed() => {}
            }
            self.record_leaf_life().await;
        }
    }

    /// Has it written down how long leaves live, before any lives so long: what a root has signed is over by then.
    pub(crate) async fn record_leaf_life(&self) {
        let life = self.leaf_lifetime();
        if self.leaf_life().is_some_and(|known| known >= life) {
            return;
        }
        if let Err(error) = self.change(Change::Leaves(life)).await {
            tracing::error!(%error, "cannot record that certificates live longer; they do not yet");
        }
    }

    async fn reload(&self) {
        let _turn = self.changing.lock().await;
        match self.store.reload(&self.trust_domain(), self.clock.now()).await {
            Ok(authority) => self.install(authority),
            Err(error) => tracing::error!(%error, "cannot reload the CA; the old one goes on"),
        }
    }

    fn install(&self, authority: Authority) {
        let (bundle, roots) = (pem(&authority), Arc::<[Root]>::from(authority.roots()));
        // Order: what signs is in force before anybody hears of the roots.
        self.authority.store(Arc::new(authority));
        self.bundle.send_if_modified(|known| {
            let changed = *known != bundle;
            if changed {
                tracing::info!("the mesh has other roots");
            }
            *known = bundle;
            changed
        });
        let now = self.clock.now();
        self.roots.send_if_modified(|known| {
            let changed = known.0 != roots;
            if changed {
                *known = (roots, now);
            }
            changed
        });
    }

    /// Signs for `proven`, if the request asks for just that. Returns also when to renew.
    fn sign(
        &self,
        request: &SigningRequest,
        proven: &SpiffeId,
    ) -> Result<(Issued, SystemTime), IssueError> {
        let now = self.clock.now();
        let issued = self.authority.load().issue(request, proven, self.longest_leaf(), now)?;
        let renew_at = renew_at(now, issued.not_after);
        Ok((issued, renew_at))
    }

    /// Does a workload of the mesh have this identity?
    fn is_known(&self, id: &SpiffeId) -> bool {
        let mesh = self.mesh.borrow();
        let account = (id.namespace(), id.service_account());
        id.trust_domain() == self.authority.load().trust_domain()
            && mesh
                .workloads
                .values()
                .any(|known| (&*known.key.namespace, &*known.service_account) == account)
    }

    /// Is this workload denied, or this certificate of its?
    fn denial(&self, id: &SpiffeId, serial: Option<&Serial>) -> Option<Denial> {
        self.mesh.borrow().denial(id, serial)
    }

    /// How long a leaf is to live.
    pub(crate) fn leaf_lifetime(&self) -> Duration {
        self.mesh.borrow().config.leaf_lifetime.max(LEAF_LIFETIME_MIN)
    }

    /// Longer than was written down none may live.
    fn longest_leaf(&self) -> Duration {
        let life = self.leaf_lifetime();
        self.leaf_life().map_or(life, |recorded| life.min(recorded))
    }

    /// Held for look-ups only, never over an `.await` or a signature.
    fn tokens(&self) -> MutexGuard<'_, JoinTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The trust bundle as it is told and kept in ConfigMaps.
fn pem(authority: &Authority) -> Arc<str> {
    authority.bundle().to_pem_for(authority.trust_domain()).into()
}

/// After [`RENEW_AFTER_PERCENT`] of what is left at `now`; not of the nominal life, which starts earlier than
/// now so that clocks may differ a little.
fn renew_at(now: SystemTime, not_after: SystemTime) -> SystemTime {
    let life = not_after.duration_since(now).unwrap_or(Duration::ZERO);
    now + life * RENEW_AFTER_PERCENT / 100
}
