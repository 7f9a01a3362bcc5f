//! The roots of a CA as others see them: which there are, and what each is for at the moment.
//!
//! Made by `material`, shown by [`super::Authority::roots`]. Nothing secret in it.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::bundle;
use crate::x509::{Certificate, CertificateError};

/// A root that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// SHA-256 of its DER, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Its subject, for people.
    pub name: String,
    /// The first second at which it is valid.
    pub not_before: SystemTime,
    /// The last second at which it is valid.
    pub not_after: SystemTime,
    /// What it is for.
    pub state: RootState,
    /// Its key is somebody else's: the issuing certificate came from outside.
    pub external: bool,
}

/// What a root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootState {
    /// Believed, and nothing leads to it yet.
    Staged {
        /// Since when it is believed.
        since: SystemTime,
    },
    /// New certificates lead to it.
    Issuing,
    /// Believed, and nothing new leads to it.
    Old {
        /// When the last certificate of a workload that can lead to it ends.
        last_leaf: SystemTime,
    },
}

impl Root {
    pub(super) fn new(
        der: &CertificateDer<'_>,
        state: RootState,
        external: bool,
    ) -> Result<Self, CertificateError> {
        let certificate = Certificate::parse(der)?;
        let (not_before, not_after) = certificate.validity();
        Ok(Self {
            fingerprint: bundle::fingerprint_of(der),
            name: certificate.subject(),
            not_before: crate::clock::system(not_before),
            not_after: crate::clock::system(not_after),
            state,
            external,
        })
    }
}
