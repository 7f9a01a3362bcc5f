//! All that a CA consists of, keys included: made, renewed, and read from and written to PEM.
//!
//! Used by [`super::Authority`] and by `store`. Lives only while a CA is loaded or made, so that the
//! root's key does not stay in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::Issuer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;

use super::{Authority, AuthorityError, Lifetimes, template};
use crate::bundle::TrustBundle;
use crate::clock;
use crate::key::{KeyError, PrivateKey};
use crate::pem::{self, PemError};
use crate::spiffe::TrustDomain;
use crate::x509::Certificate;

/// A certificate with its key.
struct Signing {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

/// How long a new root is only believed before anything is signed under it: everybody has heard of it by then, the
/// longest life of a leaf included, within which a proxy that was away comes back.
const ANNOUNCED: i64 = 60 * 24 * 3600;

/// Root and issuing certificate with their keys; while the root changes, the one that comes and those that go.
///
/// A root in the last third of its life gets a successor. That is believed at once, signs after [`ANNOUNCED`], and the
/// old one is believed to its end: at no moment does anybody meet a chain that it cannot know.
pub(super) struct Material {
    root: Signing,
    issuing: Signing,
    next: Option<Signing>,
    old: Vec<CertificateDer<'static>>,
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
        Ok(Self { root, issuing, next: None, old: Vec::new() })
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
        let (start, end) = Certificate::parse(&self.issuing.certificate)?.validity();
        let root_end = Certificate::parse(&self.root.certificate)?.validity().1;
        if now > root_end {
            return Err(AuthorityError::RootExpired(clock::system(root_end)));
        }
        // A renewal under a root that ends as soon gains nothing.
        if now < end - (end - start) / 3 || end >= root_end {
            return Ok(changed);
        }
        let life = Lifetimes::default().issuing;
        self.issuing = issuing(&self.root, trust_domain, now, life)?;
        Ok(true)
    }

    fn renew_root(&mut self, trust_domain: &TrustDomain, now: i64) -> Result<bool, AuthorityError> {
        let mut over = Vec::new();
        for old in &self.old {
            over.push(now > Certificate::parse(old)?.validity().1);
        }
        let mut over_too = over.iter();
        self.old.retain(|_| !over_too.next().is_some_and(|over| *over));
        let forgotten = over.contains(&true);
        let (start, end) = Certificate::parse(&self.root.certificate)?.validity();
        let Some(next) = self.next.take() else {
            if now > end || now < end - (end - start) / 3 {
                return Ok(forgotten);
            }
            let life = Duration::from_secs(u64::try_from(end - start).unwrap_or(0));
            self.next = Some(root(trust_domain, now, life)?);
            return Ok(true);
        };
        let known_since = Certificate::parse(&next.certificate)?.validity().0;
        // The end of the present root leaves no choice.
        if now < known_since + ANNOUNCED && now <= end {
            self.next = Some(next);
            return Ok(forgotten);
        }
        self.issuing = issuing(&next, trust_domain, now, Lifetimes::default().issuing)?;
        let old = std::mem::replace(&mut self.root, next);
        if now <= end {
            self.old.push(old.certificate);
        }
        Ok(true)
    }

    /// The CA that this is, after checking that all of it fits together.
    pub(super) fn authority(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<Authority, AuthorityError> {
        self.root.check_root(trust_domain)?;
        if let Some(next) = &self.next {
            next.check_root(trust_domain)?;
        }
        for old in &self.old {
            check_authority(&Certificate::parse(old)?, trust_domain)?;
        }
        let believed = [&self.root].into_iter().chain(&self.next).map(|root| &root.certificate);
        let bundle = TrustBundle::from_der(believed.chain(&self.old).cloned())?;
        let signer = Arc::new(self.issuing.key.clone());
        Authority::with_signer(trust_domain, bundle, self.issuing.certificate.clone(), signer)
    }

    /// Root certificate and key, issuing certificate and key; then the next root's if there is one, and the old roots'
    /// certificates.
    pub(super) fn to_pem(&self) -> String {
        let with_keys = [&self.root, &self.issuing].into_iter().chain(&self.next);
        let with_keys =
            with_keys.map(|signing| pem::certificate(&signing.certificate) + &signing.key.to_pem());
        with_keys.chain(self.old.iter().map(|old| pem::certificate(old))).collect()
    }

    /// Reads what [`Material::to_pem`] wrote; [`Material::authority`] checks it.
    pub(super) fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        use SectionKind::{Certificate, PrivateKey};
        let sections = pem::sections(text).map_err(AuthorityError::Pem)?;
        let [
            (Certificate, root),
            (PrivateKey, root_key),
            (Certificate, leaf),
            (PrivateKey, key),
            rest @ ..,
        ] = &sections[..]
        else {
            return Err(AuthorityError::Pem(unexpected(&sections)));
        };
        let (next, old) = match rest {
            [(Certificate, next), (PrivateKey, key), old @ ..] => (Some(signing(next, key)?), old),
            old => (None, old),
        };
        if old.iter().any(|(kind, _)| *kind != Certificate) {
            return Err(AuthorityError::Pem(unexpected(&sections)));
        }
        let old = old.iter().map(|(_, der)| CertificateDer::from(der.to_vec())).collect();
        Ok(Self { root: signing(root, root_key)?, issuing: signing(leaf, key)?, next, old })
    }
}

impl Signing {
    fn check_root(&self, trust_domain: &TrustDomain) -> Result<(), AuthorityError> {
        let root = Certificate::parse(&self.certificate)?;
        check_authority(&root, trust_domain)?;
        if root.public_key_info() != self.key.public_key_info() {
            return Err(AuthorityError::Inconsistent("the root certificate has another key"));
        }
        Ok(())
    }
}

/// Whether `certificate` is a CA's for `trust_domain`.
pub(super) fn check_authority(
    certificate: &Certificate<'_>,
    trust_domain: &TrustDomain,
) -> Result<(), AuthorityError> {
    if !certificate.is_ca()? {
        return Err(AuthorityError::Inconsistent("a CA certificate may not sign certificates"));
    }
    let expected = format!("spiffe://{trust_domain}");
    match certificate.uris()?[..] {
        [uri] if uri == expected => Ok(()),
        ref uris => Err(AuthorityError::ForeignTrustDomain {
            found: uris.join(", "),
            expected: trust_domain.clone(),
        }),
    }
}

fn unexpected(found: &[pem::Section]) -> PemError {
    pem::unexpected("root certificate and key, issuing certificate and key", found)
}

fn signing(certificate: &[u8], key: &[u8]) -> Result<Signing, KeyError> {
    let certificate = CertificateDer::from(certificate.to_vec());
    Ok(Signing { certificate, key: PrivateKey::from_pkcs8(key)? })
}

fn root(trust_domain: &TrustDomain, now: i64, life: Duration) -> Result<Signing, AuthorityError> {
    let params = template::root(trust_domain, now - template::BACKDATED, after(now, life))?
        .ok_or(AuthorityError::Validity)?;
    let key = PrivateKey::generate()?;
    let certificate = params.self_signed(key.pair())?.into();
    Ok(Signing { certificate, key })
}

fn issuing(
    root: &Signing,
    trust_domain: &TrustDomain,
    now: i64,
    life: Duration,
) -> Result<Signing, AuthorityError> {
    let root_end = Certificate::parse(&root.certificate)?.validity().1;
    let end = after(now, life).min(root_end);
    let params = template::issuing(trust_domain, now - template::BACKDATED, end)?
        .ok_or(AuthorityError::Validity)?;
    let key = PrivateKey::generate()?;
    let issuer = Issuer::from_ca_cert_der(&root.certificate, root.key.pair())?;
    let certificate = params.signed_by(key.pair(), &issuer)?.into();
    Ok(Signing { certificate, key })
}

fn after(now: i64, life: Duration) -> i64 {
    now.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX))
}
