//! What this crate wants to know of a certificate, read strictly.
//!
//! Used by the peer check, leaves, bundles and the CA. Reading says nothing about trust: signatures
//! are checked by webpki in the handshake (`tls`) and by the CA for its own chain.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::clock;
use crate::denied::Serial;
use crate::spiffe::{IdError, SpiffeId};

/// Why a certificate is not that of a workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate, or one with contradictory extensions.
    #[error("the certificate cannot be read: {0}")]
    Malformed(String),
    /// No URI among its alternative names; other names are not looked at.
    #[error("the certificate names no workload: it has no URI SAN")]
    NoUri,
    /// Two or more URIs; an X.509-SVID has exactly one.
    #[error("the certificate names {0} URIs, exactly one is allowed")]
    SeveralUris(usize),
    /// Its URI is no id of a workload.
    #[error("the certificate's URI {uri:?} is not a workload's SPIFFE id: {reason}")]
    NotSpiffe {
        /// The URI, shortened.
        uri: String,
        /// What is wrong with it.
        #[source]
        reason: IdError,
    },
    /// It may sign certificates, which no workload's may.
    #[error("the certificate is a certificate authority's, not a workload's")]
    Authority,
}

/// A certificate that was read.
pub(crate) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    /// Reads one certificate; bytes behind it are an error.
    pub(crate) fn parse(der: &'a CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| malformed(&e))?;
        if rest.is_empty() {
            Ok(Self(certificate))
        } else {
            Err(malformed(&format!("{} bytes behind its end", rest.len())))
        }
    }

    /// The workload's id, if this is a workload's certificate.
    pub(crate) fn workload(&self) -> Result<SpiffeId, CertificateError> {
        if self.is_ca()? || self.may_sign()? {
            return Err(CertificateError::Authority);
        }
        let uris = self.uris()?;
        match uris[..] {
            [] => Err(CertificateError::NoUri),
            [uri] => SpiffeId::parse(uri).map_err(|reason| CertificateError::NotSpiffe {
                uri: uri.chars().take(256).collect(),
                reason,
            }),
            _ => Err(CertificateError::SeveralUris(uris.len())),
        }
    }

    /// All URIs among the alternative names.
    pub(crate) fn uris(&self) -> Result<Vec<&str>, CertificateError> {
        let Some(names) = self.0.subject_alternative_name().map_err(|e| malformed(&e))? else {
            return Ok(Vec::new());
        };
        let mut uris = Vec::new();
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(uri) => uris.push(*uri),
                GeneralName::Invalid(..) => {
                    return Err(malformed(&"an alternative name is broken"));
                }
                _ => {}
            }
        }
        Ok(uris)
    }

    /// All DNS names among the alternative names.
    pub(crate) fn dns_names(&self) -> Result<Vec<String>, CertificateError> {
        let names = self.0.subject_alternative_name().map_err(|e| malformed(&e))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        Ok(names
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect())
    }

    /// Whether its basic constraints make it a CA's.
    pub(crate) fn is_ca(&self) -> Result<bool, CertificateError> {
        let constraints = self.0.basic_constraints().map_err(|e| malformed(&e))?;
        Ok(constraints.is_some_and(|constraints| constraints.value.ca))
    }

    /// Whether its key may sign certificates or CRLs, which X.509-SVID §4.3 forbids a workload.
    fn may_sign(&self) -> Result<bool, CertificateError> {
        let usage = self.0.key_usage().map_err(|e| malformed(&e))?;
        Ok(usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()))
    }

    /// Whether its key may sign certificates; where no usage is named it may.
    pub(crate) fn may_sign_certificates(&self) -> bool {
        match self.0.key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
            Err(_) => false,
        }
    }

    /// How many CAs its basic constraints allow below it; `None` for any number.
    pub(crate) fn path_length(&self) -> Option<u32> {
        self.0.basic_constraints().ok()??.value.path_len_constraint
    }

    /// Its subject, for people.
    pub(crate) fn subject(&self) -> String {
        self.0.subject().to_string()
    }

    /// Whole seconds since 1970: the first and the last at which it is valid.
    pub(crate) fn validity(&self) -> (i64, i64) {
        let validity = self.0.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    }

    /// The last second at which it is valid.
    pub(crate) fn not_after(&self) -> SystemTime {
        clock::system(self.validity().1)
    }

    /// Its serial number, which its issuer gave no other certificate.
    pub(crate) fn serial(&self) -> Serial {
        Serial::new(self.0.raw_serial())
    }

    /// DER of its public key with the algorithm.
    pub(crate) fn public_key_info(&self) -> &[u8] {
        self.0.public_key().raw
    }

    /// Whether `issuer` signed it, by name and by signature.
    pub(crate) fn is_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        self.0.issuer() == issuer.0.subject()
            && self.0.verify_signature(Some(issuer.0.public_key())).is_ok()
    }
}

fn malformed(reason: &impl ToString) -> CertificateError {
    CertificateError::Malformed(reason.to_string())
}
