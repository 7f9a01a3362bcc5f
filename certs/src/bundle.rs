//! Trust bundles: the roots whose chains are believed.
//!
//! Made by the CA, pushed to proxies as PEM, kept in their state. A bundle is a set: order and
//! repetition in the text do not matter for equality or fingerprint.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;

use crate::pem::{self, PemError};
use crate::spiffe::{IdError, TrustDomain};
use crate::x509::{Certificate, CertificateError};

// Bound: a rotation needs two roots, a federation a handful.
const MAX_ROOTS: usize = 100;
/// Begins a line of a bundle's text that is no PEM, and that whoever reads PEM skips.
const LABEL: &str = "# trust-domain: ";

/// A set of root certificates, at least one. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustBundle(Arc<[CertificateDer<'static>]>);

/// Why there is no trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The text is not PEM of certificates only.
    #[error("the trust bundle cannot be read: {0}")]
    Pem(#[from] PemError),
    /// Nothing would be believed.
    #[error("the trust bundle is empty")]
    Empty,
    /// More than 100 roots.
    #[error("the trust bundle has {0} certificates, at most {MAX_ROOTS} are allowed")]
    TooMany(usize),
    /// One of them is no certificate.
    #[error("certificate {index} of the trust bundle: {reason}")]
    Certificate {
        /// Which one, counted from 1.
        index: usize,
        /// What is wrong with it.
        #[source]
        reason: CertificateError,
    },
    /// One of them may not sign certificates, so it cannot be a root.
    #[error("certificate {index} of the trust bundle is not a certificate authority's")]
    NotAuthority {
        /// Which one, counted from 1.
        index: usize,
    },
    /// One of them does not say which trust domain it is of.
    #[error("certificate {index} of the trust bundle names no trust domain: {reason}")]
    TrustDomain {
        /// Which one, counted from 1.
        index: usize,
        /// What is wrong with its URI SAN.
        reason: String,
    },
    /// None of them says which trust domain it is of.
    #[error("no certificate of the trust bundle names a trust domain")]
    Nameless,
    /// They are not of one trust domain.
    #[error("the trust bundle has roots of several trust domains: {0} and {1}")]
    SeveralTrustDomains(TrustDomain, TrustDomain),
}

impl TrustBundle {
    /// From DER certificates.
    ///
    /// # Errors
    /// If there are none or too many, or one is not a CA's certificate.
    pub fn from_der(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, BundleError> {
        let mut roots: Vec<_> = roots.into_iter().collect();
        if roots.is_empty() {
            return Err(BundleError::Empty);
        }
        if roots.len() > MAX_ROOTS {
            return Err(BundleError::TooMany(roots.len()));
        }
        for (root, index) in roots.iter().zip(1..) {
            let authority = Certificate::parse(root)
                .and_then(|root| root.is_ca())
                .map_err(|reason| BundleError::Certificate { index, reason })?;
            if !authority {
                return Err(BundleError::NotAuthority { index });
            }
        }
        roots.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        roots.dedup();
        Ok(Self(roots.into()))
    }

    /// From PEM that holds certificates only.
    ///
    /// # Errors
    /// As [`TrustBundle::from_der`], and if anything else is in the text, such as a private key.
    pub fn from_pem(text: &str) -> Result<Self, BundleError> {
        let sections = pem::sections(text)?;
        if sections.iter().any(|(kind, _)| *kind != SectionKind::Certificate) {
            return Err(pem::unexpected("certificates only", &sections).into());
        }
        Self::from_der(sections.iter().map(|(_, der)| CertificateDer::from(der.to_vec())))
    }

    /// All roots as PEM, in the bundle's own order.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|root| pem::certificate(root)).collect()
    }

    /// All roots, sorted by their bytes.
    pub fn ders(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// SHA-256 of each root's DER, 64 hexadecimal digits, in the bundle's own order.
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|root| fingerprint_of(root)).collect()
    }

    /// The fingerprint of the root that `chain` (leaf first) leads to; `None` if none of the bundle signed the last of
    /// it. Only the name and that one signature are looked at.
    pub fn root_of(&self, chain: &[CertificateDer<'_>]) -> Option<String> {
        let last = Certificate::parse(chain.last()?).ok()?;
        let mut roots = self.0.iter();
        let root = roots.find(|root| {
            Certificate::parse(root).is_ok_and(|certificate| last.is_signed_by(&certificate))
        });
        root.map(|root| fingerprint_of(root))
    }

    /// The one trust domain of all roots: those that name one have it as their only URI SAN, `spiffe://<trust domain>`
    /// (X.509-SVID §4.2). A root from outside may name none.
    ///
    /// # Errors
    /// If no root has such a name, or they do not agree.
    pub fn trust_domain(&self) -> Result<TrustDomain, BundleError> {
        let mut found: Option<TrustDomain> = None;
        for (root, index) in self.0.iter().zip(1..) {
            let own = trust_domain_of(root)
                .map_err(|reason| BundleError::TrustDomain { index, reason })?;
            match (&found, own) {
                (Some(first), Some(own)) if *first != own => {
                    return Err(BundleError::SeveralTrustDomains(first.clone(), own));
                }
                (_, Some(own)) => found = Some(own),
                (_, None) => {}
            }
        }
        found.ok_or(BundleError::Nameless)
    }

    /// All roots as PEM for whoever has yet to learn its trust domain: where a root names none, the first line does.
    pub fn to_pem_for(&self, trust_domain: &TrustDomain) -> String {
        let named = |root| matches!(trust_domain_of(root), Ok(Some(_)));
        if self.0.iter().all(named) {
            return self.to_pem();
        }
        format!("{LABEL}{trust_domain}\n{}", self.to_pem())
    }

    /// The trust domain of a bundle that was read from `text`: what its roots say, else what [`Self::to_pem_for`] wrote.
    ///
    /// # Errors
    /// As [`Self::trust_domain`].
    pub fn trust_domain_in(&self, text: &str) -> Result<TrustDomain, BundleError> {
        let written = text.lines().next().and_then(|line| line.strip_prefix(LABEL));
        match (self.trust_domain(), written.and_then(|name| name.trim().parse().ok())) {
            (Err(BundleError::Nameless), Some(written)) => Ok(written),
            (found, _) => found,
        }
    }

    /// SHA-256 over the roots: the same for equal bundles, whatever their order was. Names a trust
    /// epoch.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for root in self.0.iter() {
            // DER says its own length, so no two sets run together to the same bytes.
            context.update(root);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }

    /// For rustls.
    pub(crate) fn to_store(&self) -> Result<RootCertStore, rustls::Error> {
        let mut store = RootCertStore::empty();
        for root in self.0.iter() {
            store.add(root.clone())?;
        }
        Ok(store)
    }
}

/// SHA-256 of a certificate's DER, 64 hexadecimal digits.
pub(crate) fn fingerprint_of(certificate: &CertificateDer<'_>) -> String {
    let digest = digest::digest(&digest::SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn trust_domain_of(root: &CertificateDer<'_>) -> Result<Option<TrustDomain>, String> {
    let root = Certificate::parse(root).map_err(|error| error.to_string())?;
    let uris = root.uris().map_err(|error| error.to_string())?;
    let uri = match uris[..] {
        [] => return Ok(None),
        [uri] => uri,
        _ => return Err(format!("it has {} URI SANs, exactly one is expected", uris.len())),
    };
    let name = uri.strip_prefix("spiffe://").ok_or_else(|| IdError::Scheme.to_string())?;
    name.parse().map(Some).map_err(|error: IdError| format!("{uri:?}: {error}"))
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint().map(|byte| format!("{byte:02x}")).concat();
        write!(f, "TrustBundle({} roots, {fingerprint})", self.0.len())
    }
}

#[cfg(test)]
mod tests;
