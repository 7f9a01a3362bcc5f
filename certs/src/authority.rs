//! The CA of one trust domain: a root, an issuing certificate under it, and leaves under that.
//!
//! Owned by the control plane, which calls [`Authority::issue`] after it has established who the
//! caller is. The root's key is needed only to make issuing certificates and is not kept in memory;
//! the issuing key lies behind [`Signer`]. The CA never invents a name: a leaf carries the id that
//! was proven, the keys and usages that `template` writes, and nothing else from the request.

mod error;
mod issuer;
mod issuing_key;
mod material;
mod roots;
mod signer;
mod state;
mod steps;
mod store;
pub(crate) mod template;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{Issuer, PublicKeyData};
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

pub use self::error::{AuthorityError, IssueError};
pub use self::issuer::{ExternalIssuer, IssuerFault};
pub use self::roots::{Root, RootState};
pub use self::signer::{Curve, Signer, SignerError};
pub use self::steps::Change;
pub use self::store::StoreError;

use self::material::Material;
use self::signer::Attempt;
use crate::bundle::TrustBundle;
use crate::clock;
use crate::csr::SigningRequest;
use crate::key::PrivateKey;
use crate::leaf::Leaf;
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::Certificate;

/// A certificate authority that can issue leaves for its trust domain.
pub struct Authority {
    trust_domain: TrustDomain,
    bundle: TrustBundle,
    signing: Signing,
    /// Of roots that are still believed after their turn, the oldest first.
    earlier: Vec<Signing>,
    roots: Vec<Root>,
    /// Seconds; `None` if it was never recorded.
    leaf_life: Option<i64>,
}

/// A CA certificate that signs leaves, and what uses its key.
struct Signing {
    /// The issuing certificate, then those between it and its root.
    chain: Vec<CertificateDer<'static>>,
    /// Of `chain`, those that a leaf is sent with: not the root, which may sign by itself.
    sent: usize,
    /// Whole seconds since 1970: the last second of all of it, the root included.
    end: i64,
    signer: Arc<dyn Signer>,
}

/// How long the CA's own certificates live. Leaves have theirs given each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// The root's life; ten years by default.
    pub root: Duration,
    /// The issuing certificate's life, cut to the root's; a year by default.
    pub issuing: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { root: DAY * 3650, issuing: DAY * 365 }
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The leaf, then the issuing certificate; the root is in the trust bundle.
    pub chain: Vec<CertificateDer<'static>>,
    /// The first second at which the leaf is valid, 60 s before it was issued.
    pub not_before: SystemTime,
    /// The last second at which the leaf is valid.
    pub not_after: SystemTime,
}

impl Authority {
    /// A new CA in memory only. When it is dropped its keys are gone.
    ///
    /// # Errors
    /// If the system gives no randomness, or a lifetime cannot be expressed.
    pub fn create(
        trust_domain: &TrustDomain,
        now: SystemTime,
        lifetimes: Lifetimes,
    ) -> Result<Self, AuthorityError> {
        Material::create(trust_domain, now, lifetimes)?.authority(trust_domain)
    }

    /// The CA whose state lies in `dir` (made 0700 if missing), or a new one that is put there.
    ///
    /// Two processes that start at once end up with the same CA. An issuing certificate in the last
    /// third of its life is replaced by a new one under the same root.
    ///
    /// # Errors
    /// If the state is broken, belongs to another trust domain, is open to other users, or its root
    /// is over. It is never overwritten in these cases.
    pub fn load_or_create(
        dir: &Path,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        Ok(store::change(dir, trust_domain, now, &Change::Renew)?.0)
    }

    /// The CA whose state lies in `dir` after this change, and whether it changed anything. The new state is there as a
    /// whole when this returns; on an error the old one is.
    ///
    /// # Errors
    /// As [`Authority::load_or_create`], and if the change cannot be made.
    pub fn change_in(
        dir: &Path,
        trust_domain: &TrustDomain,
        now: SystemTime,
        change: &Change,
    ) -> Result<(Self, bool), AuthorityError> {
        store::change(dir, trust_domain, now, change)
    }

    /// The state of a new CA as text, for whoever keeps it elsewhere than in a directory. It holds private keys.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new_state(
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Zeroizing<String>, AuthorityError> {
        Ok(Material::create(trust_domain, now, Lifetimes::default())?.to_pem())
    }

    /// The CA of a state, and the state that is to be kept from now on if something was due to be renewed.
    ///
    /// # Errors
    /// If the state is broken or belongs to another trust domain, or its root is over.
    pub fn from_state(
        state: &str,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<(Self, Option<Zeroizing<String>>), AuthorityError> {
        Self::change_state(state, trust_domain, now, &Change::Renew)
    }

    /// The CA of a state after this change, and the state that is to be kept from now on if it changed anything.
    ///
    /// # Errors
    /// As [`Authority::from_state`], and if the change cannot be made.
    pub fn change_state(
        state: &str,
        trust_domain: &TrustDomain,
        now: SystemTime,
        change: &Change,
    ) -> Result<(Self, Option<Zeroizing<String>>), AuthorityError> {
        let mut material = Material::from_pem(state)?;
        // Order: checked before it is changed, so that no change ever writes over what is damaged.
        material.authority(trust_domain)?;
        let changed = material.apply(change, trust_domain, now)?;
        let authority = material.authority(trust_domain)?;
        Ok((authority, changed.then(|| material.to_pem())))
    }

    /// A CA whose issuing key lies elsewhere: `issuing` is its certificate, signed by a root in
    /// `bundle`, and `signer` uses its key.
    ///
    /// # Errors
    /// If `issuing` is no CA's certificate under the bundle, names another trust domain, or its key
    /// is not the signer's.
    pub fn with_signer(
        trust_domain: &TrustDomain,
        bundle: TrustBundle,
        issuing: CertificateDer<'static>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, AuthorityError> {
        let certificate = Certificate::parse(&issuing)?;
        let mut signed = None;
        for root in bundle.ders() {
            if certificate.is_signed_by(&Certificate::parse(root)?) {
                signed = signed.or(Some(root.clone()));
            }
        }
        let unsigned = AuthorityError::Inconsistent("no root signed the issuing certificate");
        // Order: another key is the likelier mistake, and said first.
        let root = signed.as_ref().unwrap_or(&issuing);
        let root = root.clone();
        let signing = Signing::with(vec![issuing], &root, signer)?;
        if signed.is_none() {
            return Err(unsigned);
        }
        Self::of(trust_domain, bundle, signing)
    }

    /// A CA that signs with `signing` and says nothing of its roots.
    fn of(
        trust_domain: &TrustDomain,
        bundle: TrustBundle,
        signing: Signing,
    ) -> Result<Self, AuthorityError> {
        let certificate = signing.chain.first();
        let certificate = certificate.ok_or(AuthorityError::Inconsistent("there is no CA"))?;
        material::check_authority(&Certificate::parse(certificate)?, trust_domain)?;
        if bundle.root_of(&signing.chain).is_none() {
            return Err(AuthorityError::Inconsistent("no root signed the issuing certificate"));
        }
        let (trust_domain, earlier, roots) = (trust_domain.clone(), Vec::new(), Vec::new());
        Ok(Self { trust_domain, bundle, signing, earlier, roots, leaf_life: None })
    }

    /// Signs a leaf for `request` if it asks for `proven`, the id that the caller has shown to be.
    ///
    /// The leaf lives for `lifetime` from `now`, but never longer than the issuing certificate.
    ///
    /// # Errors
    /// If the request asks for another id, the id is not in this trust domain, the lifetime is under
    /// a second, or the signer fails.
    pub fn issue(
        &self,
        request: &SigningRequest,
        proven: &SpiffeId,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        if request.id() != proven {
            return Err(IssueError::WrongIdentity {
                requested: request.id().clone(),
                proven: proven.clone(),
            });
        }
        self.sign(&self.signing, request.public_key(), proven, (lifetime, now))
    }

    /// A leaf with a new key, for the process that runs the CA. While an earlier root is believed it leads there, as long
    /// as what signed under it can: whoever starts with the roots of yesterday believes it too.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn leaf_for(
        &self,
        id: &SpiffeId,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Leaf, IssueError> {
        let key = PrivateKey::generate()?;
        let last =
            clock::unix(now).saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        let earlier = self.earlier.iter().find(|earlier| earlier.end >= last);
        let signing = earlier.unwrap_or(&self.signing);
        let issued = self.sign(signing, key.pair(), id, (lifetime, now))?;
        Ok(Leaf::new(issued.chain, key)?)
    }

    /// What whoever trusts this CA has to believe.
    pub fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }

    /// Every root that is believed, in the order in which they came. Empty of a CA that was made with
    /// [`Authority::with_signer`].
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The root that new leaves of workloads lead to, by its fingerprint.
    pub fn issuing_root(&self) -> String {
        self.bundle.root_of(&self.signing.chain).unwrap_or_default()
    }

    /// The longest life of a leaf that was ever announced under the root that issues ([`Change::Leaves`]); `None` if
    /// nobody has.
    pub fn leaf_life(&self) -> Option<Duration> {
        self.leaf_life.map(|seconds| Duration::from_secs(seconds.unsigned_abs()))
    }

    /// What this CA vouches for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The last second at which leaves of this CA can be valid. [`Authority::load_or_create`] moves
    /// it on in the last third of the issuing certificate's life.
    pub fn not_after(&self) -> SystemTime {
        clock::system(self.signing.end)
    }

    fn sign(
        &self,
        signing: &Signing,
        public_key: &impl PublicKeyData,
        id: &SpiffeId,
        (lifetime, now): (Duration, SystemTime),
    ) -> Result<Issued, IssueError> {
        if id.trust_domain() != &self.trust_domain {
            return Err(IssueError::ForeignTrustDomain {
                id: id.clone(),
                trust_domain: self.trust_domain.clone(),
            });
        }
        let unix = clock::unix(now);
        if unix > signing.end {
            return Err(IssueError::IssuerExpired(clock::system(signing.end)));
        }
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        if seconds == 0 {
            return Err(IssueError::Lifetime(lifetime));
        }
        let not_after = unix.saturating_add(seconds).min(signing.end);
        let not_before = unix.saturating_sub(template::BACKDATED);
        let params =
            template::leaf(id, not_before, not_after)?.ok_or(IssueError::Lifetime(lifetime))?;
        let attempt = Attempt::new(&*signing.signer);
        let issuer = Issuer::from_ca_cert_der(&signing.chain[0], &attempt)?;
        let leaf = match params.signed_by(public_key, &issuer) {
            Ok(leaf) => leaf,
            Err(e) => return Err(attempt.into_failure().map_or(e.into(), IssueError::from)),
        };
        Ok(Issued {
            chain: [leaf.into()]
                .into_iter()
                .chain(signing.chain[..signing.sent].to_vec())
                .collect(),
            not_before: clock::system(not_before),
            not_after: clock::system(not_after),
        })
    }
}

impl Signing {
    /// `chain` is the issuing certificate and those between it and `root`; an issuing certificate that is the root itself
    /// stands alone. `signer` must have its key.
    fn with(
        chain: Vec<CertificateDer<'static>>,
        root: &CertificateDer<'static>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, AuthorityError> {
        let issuing = chain.first().ok_or(AuthorityError::Inconsistent("there is no CA"))?;
        let issuing = Certificate::parse(issuing)?;
        if !issuing.is_ca()? {
            return Err(AuthorityError::Inconsistent("a CA certificate may not sign certificates"));
        }
        if issuing.public_key_info() != Attempt::new(&*signer).subject_public_key_info() {
            return Err(AuthorityError::Inconsistent("the issuing certificate has another key"));
        }
        let mut end = Certificate::parse(root)?.validity().1;
        for certificate in &chain {
            end = end.min(Certificate::parse(certificate)?.validity().1);
        }
        let sent = if chain.first() == Some(root) { 0 } else { chain.len() };
        Ok(Self { chain, sent, end, signer })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("not_after", &clock::show(self.not_after()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
