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

/// Root and issuing certificate with their keys.
pub(super) struct Material {
    root: Signing,
    issuing: Signing,
}

impl Material {
    pub(super) fn create(
        trust_domain: &TrustDomain,
        now: SystemTime,
        lifetimes: Lifetimes,
    ) -> Result<Self, AuthorityError> {
        let now = clock::unix(now);
        let end = after(now, lifetimes.root);
        let params = template::root(trust_domain, now - template::BACKDATED, end)?
            .ok_or(AuthorityError::Validity)?;
        let key = PrivateKey::generate()?;
        let certificate = params.self_signed(key.pair())?.into();
        let root = Signing { certificate, key };
        let issuing = issuing(&root, trust_domain, now, lifetimes.issuing)?;
        Ok(Self { root, issuing })
    }

    /// Makes a new issuing certificate if this one is in the last third of its life, or over.
    /// Returns whether it did.
    pub(super) fn renew(
        &mut self,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<bool, AuthorityError> {
        let now = clock::unix(now);
        let (start, end) = Certificate::parse(&self.issuing.certificate)?.validity();
        let root_end = Certificate::parse(&self.root.certificate)?.validity().1;
        if now > root_end {
            return Err(AuthorityError::RootExpired(clock::system(root_end)));
        }
        // A renewal under a root that ends as soon gains nothing.
        if now < end - (end - start) / 3 || end >= root_end {
            return Ok(false);
        }
        let life = Lifetimes::default().issuing;
        self.issuing = issuing(&self.root, trust_domain, now, life)?;
        Ok(true)
    }

    /// The CA that this is, after checking that all of it fits together.
    pub(super) fn authority(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<Authority, AuthorityError> {
        self.root.check_root(trust_domain)?;
        let bundle = TrustBundle::from_der([self.root.certificate.clone()])?;
        let signer = Arc::new(self.issuing.key.clone());
        Authority::with_signer(trust_domain, bundle, self.issuing.certificate.clone(), signer)
    }

    /// Root certificate, root key, issuing certificate, issuing key.
    pub(super) fn to_pem(&self) -> String {
        [&self.root, &self.issuing]
            .map(|signing| pem::certificate(&signing.certificate) + &signing.key.to_pem())
            .concat()
    }

    /// Reads what [`Material::to_pem`] wrote; [`Material::authority`] checks it.
    pub(super) fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        use SectionKind::{Certificate, PrivateKey};
        let sections = pem::sections(text).map_err(AuthorityError::Pem)?;
        match &sections[..] {
            [
                (Certificate, root),
                (PrivateKey, root_key),
                (Certificate, leaf),
                (PrivateKey, key),
            ] => Ok(Self { root: signing(root, root_key)?, issuing: signing(leaf, key)? }),
            other => Err(AuthorityError::Pem(unexpected(other))),
        }
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
