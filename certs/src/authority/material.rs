//! All that a CA consists of, keys included: made, renewed when it is time, and turned into an [`Authority`].
//!
//! Used by [`super::Authority`] and by `store`; written and read by `state`, changed on request by `steps`. Lives only
//! while a CA is loaded or made, so that the root's key does not stay in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::Issuer;
use rustls::pki_types::CertificateDer;

use super::issuing_key::IssuingKey;
use super::roots::{Root, RootState};
use super::{Authority, AuthorityError, Lifetimes, Signing, template};
use crate::bundle::TrustBundle;
use crate::clock;
use crate::key::PrivateKey;
use crate::spiffe::TrustDomain;
use crate::x509::Certificate;

/// A root with its key; without one where the key is somebody else's.
pub(super) struct RootCertificate {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: Option<PrivateKey>,
}

/// What signs leaves.
#[derive(Clone)]
pub(super) struct Issuing {
    /// The issuing certificate, then those between it and the root.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: IssuingKey,
}

/// A root that is believed before it signs.
pub(super) struct Next {
    pub(super) root: RootCertificate,
    /// What came with it from outside; `None` where it is made when the root's turn comes.
    pub(super) issuing: Option<Issuing>,
    /// Whole seconds since 1970.
    pub(super) since: i64,
}

/// A root that is still believed.
pub(super) struct Old {
    pub(super) certificate: CertificateDer<'static>,
    /// The last second of the last leaf that can lead to it.
    pub(super) last_leaf: i64,
    /// What the control plane's own certificate is signed with as long as the root is believed: whoever starts with the
    /// roots of yesterday finds it.
    pub(super) issuing: Option<Issuing>,
}

/// How long a new root is only believed before it signs by itself: everybody has heard of it by then, the longest life of
/// a leaf included, within which a proxy that was away comes back.
const ANNOUNCED: i64 = 60 * 24 * 3600;

/// Root and issuing certificate with their keys; while the root changes, the one that comes and those that go.
///
/// A root in the last third of its life gets a successor. That is believed at once, signs after [`ANNOUNCED`], and the
/// old one is believed to its end: at no moment does anybody meet a chain that it cannot know. `steps` does the same
/// sooner, for whoever has seen that everybody is ready.
pub(super) struct Material {
    pub(super) root: RootCertificate,
    pub(super) issuing: Issuing,
    pub(super) next: Option<Next>,
    /// The oldest first.
    pub(super) old: Vec<Old>,
    /// The longest life of a leaf under `root`, seconds; `None` if it was never recorded.
    pub(super) leaf_life: Option<i64>,
}

impl Material {
    pub(super) fn create(
        trust_domain: &TrustDomain,
        now: SystemTime,
        lifetimes: Lifetimes,
    ) -> Result<Self, AuthorityError> {
        let now = clock::unix(now);
        let root = root(trust_domain, now, lifetimes.root)?;
        let issuing = issuing(&root, trust_domain, now, lifetimes.issuing)?;
        Ok(Self { root, issuing, next: None, old: Vec::new(), leaf_life: None })
    }

    /// Takes the steps that are due: a successor of the root, its turn, a new issuing certificate in the last third of
    /// the present one's life, roots that are over forgotten. Returns whether anything changed.
    pub(super) fn renew(
        &mut self,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<bool, AuthorityError> {
        let now = clock::unix(now);
        let changed = self.renew_root(trust_domain, now)?;
        let root_end = end(&self.root.certificate)?;
        if now > root_end {
            return Err(AuthorityError::RootExpired(clock::system(root_end)));
        }
        let (start, end) = Certificate::parse(self.issuing.certificate()?)?.validity();
        // A renewal under a root that ends as soon gains nothing; under one from outside it is somebody else's.
        if now < end - (end - start) / 3 || end >= root_end || self.root.key.is_none() {
            return Ok(changed);
        }
        let life = Lifetimes::default().issuing;
        self.issuing = issuing(&self.root, trust_domain, now, life)?;
        Ok(true)
    }

    fn renew_root(&mut self, trust_domain: &TrustDomain, now: i64) -> Result<bool, AuthorityError> {
        let mut over = Vec::new();
        for old in &self.old {
            over.push(now > end(&old.certificate)?);
        }
        let mut over_too = over.iter();
        self.old.retain(|_| !over_too.next().is_some_and(|over| *over));
        let forgotten = over.contains(&true);
        let (start, end) = Certificate::parse(&self.root.certificate)?.validity();
        let Some(next) = &self.next else {
            if now > end || now < end - (end - start) / 3 || self.root.key.is_none() {
                return Ok(forgotten);
            }
            let life = Duration::from_secs(u64::try_from(end - start).unwrap_or(0));
            let root = root(trust_domain, now, life)?;
            self.next = Some(Next { root, issuing: None, since: now - template::BACKDATED });
            return Ok(true);
        };
        // The end of the present root leaves no choice.
        if now < next.since + ANNOUNCED && now <= end {
            return Ok(forgotten);
        }
        self.issue(trust_domain, now, None)?;
        self.old.retain(|old| self::end(&old.certificate).is_ok_and(|end| now <= end));
        Ok(true)
    }

    /// The CA that this is, after checking that all of it fits together.
    pub(super) fn authority(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<Authority, AuthorityError> {
        self.root.check(trust_domain)?;
        if let Some(next) = &self.next {
            next.root.check(trust_domain)?;
        }
        for old in &self.old {
            check_authority(&Certificate::parse(&old.certificate)?, trust_domain)?;
        }
        let next = self.next.iter().map(|next| &next.root.certificate);
        let old = self.old.iter().map(|old| &old.certificate);
        let believed = [&self.root.certificate].into_iter().chain(next).chain(old);
        let bundle = TrustBundle::from_der(believed.cloned())?;
        let mut authority = Authority::of(
            trust_domain,
            bundle,
            Signing::new(&self.issuing, &self.root.certificate)?,
        )?;
        for old in &self.old {
            let signing = old.issuing.as_ref().map(|issuing| (issuing, &old.certificate));
            let signing = signing.map(|(issuing, root)| Signing::new(issuing, root)).transpose()?;
            authority.earlier.extend(signing);
        }
        authority.roots = self.roots()?;
        authority.leaf_life = self.leaf_life;
        Ok(authority)
    }

    /// In the order in which they came.
    fn roots(&self) -> Result<Vec<Root>, AuthorityError> {
        let mut roots = Vec::new();
        for old in &self.old {
            let state = RootState::Old { last_leaf: clock::system(old.last_leaf) };
            roots.push(Root::new(&old.certificate, state, false)?);
        }
        let external = self.root.key.is_none();
        roots.push(Root::new(&self.root.certificate, RootState::Issuing, external)?);
        if let Some(next) = &self.next {
            let state = RootState::Staged { since: clock::system(next.since) };
            roots.push(Root::new(&next.root.certificate, state, next.root.key.is_none())?);
        }
        Ok(roots)
    }
}

impl Issuing {
    /// The one that signs leaves.
    pub(super) fn certificate(&self) -> Result<&CertificateDer<'static>, AuthorityError> {
        self.chain.first().ok_or(AuthorityError::Inconsistent("there is no issuing certificate"))
    }
}

impl RootCertificate {
    fn check(&self, trust_domain: &TrustDomain) -> Result<(), AuthorityError> {
        let root = Certificate::parse(&self.certificate)?;
        check_authority(&root, trust_domain)?;
        if self.key.as_ref().is_some_and(|key| root.public_key_info() != key.public_key_info()) {
            return Err(AuthorityError::Inconsistent("the root certificate has another key"));
        }
        Ok(())
    }
}

/// Whether `certificate` is a CA's that may vouch for `trust_domain`: one that names another may not, one from outside
/// names none.
pub(super) fn check_authority(
    certificate: &Certificate<'_>,
    trust_domain: &TrustDomain,
) -> Result<(), AuthorityError> {
    if !certificate.is_ca()? {
        return Err(AuthorityError::Inconsistent("a CA certificate may not sign certificates"));
    }
    let expected = format!("spiffe://{trust_domain}");
    match certificate.uris()?[..] {
        [] => Ok(()),
        [uri] if uri == expected => Ok(()),
        ref uris => Err(AuthorityError::ForeignTrustDomain {
            found: uris.join(", "),
            expected: trust_domain.clone(),
        }),
    }
}

pub(super) fn root(
    trust_domain: &TrustDomain,
    now: i64,
    life: Duration,
) -> Result<RootCertificate, AuthorityError> {
    let params = template::root(trust_domain, now - template::BACKDATED, after(now, life))?
        .ok_or(AuthorityError::Validity)?;
    let key = PrivateKey::generate()?;
    let certificate = params.self_signed(key.pair())?.into();
    Ok(RootCertificate { certificate, key: Some(key) })
}

pub(super) fn issuing(
    root: &RootCertificate,
    trust_domain: &TrustDomain,
    now: i64,
    life: Duration,
) -> Result<Issuing, AuthorityError> {
    let Some(root_key) = &root.key else {
        return Err(AuthorityError::Inconsistent("the root's key is not here"));
    };
    let end = after(now, life).min(end(&root.certificate)?);
    let params = template::issuing(trust_domain, now - template::BACKDATED, end)?
        .ok_or(AuthorityError::Validity)?;
    let key = PrivateKey::generate()?;
    let issuer = Issuer::from_ca_cert_der(&root.certificate, root_key.pair())?;
    let certificate = params.signed_by(key.pair(), &issuer)?.into();
    Ok(Issuing { chain: vec![certificate], key: IssuingKey::P256(key) })
}

impl Signing {
    fn new(issuing: &Issuing, root: &CertificateDer<'static>) -> Result<Self, AuthorityError> {
        Self::with(issuing.chain.clone(), root, Arc::new(issuing.key.clone()))
    }
}

/// The last second of a certificate, whole seconds since 1970.
pub(super) fn end(certificate: &CertificateDer<'_>) -> Result<i64, AuthorityError> {
    Ok(Certificate::parse(certificate)?.validity().1)
}

pub(super) fn after(now: i64, life: Duration) -> i64 {
    now.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX))
}
