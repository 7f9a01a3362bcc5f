//! Why there is no CA, and why there is no certificate.
//!
//! Returned by [`super::Authority`] to the control plane, which shows [`AuthorityError`] to whoever
//! starts it and answers [`IssueError`] to whoever asked.

use std::time::{Duration, SystemTime};

use super::{SignerError, StoreError};
use crate::bundle::BundleError;
use crate::clock;
use crate::key::KeyError;
use crate::leaf::LeafError;
use crate::pem::PemError;
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::CertificateError;

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state is not PEM of the right sections.
    #[error("the CA's state cannot be read: {0}")]
    Pem(#[source] PemError),
    /// A certificate could not be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The root is no root.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The library could not write a certificate.
    #[error("a CA certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// Another trust domain's CA.
    #[error("the CA is for {found}, not for the trust domain {expected}")]
    ForeignTrustDomain {
        /// What the certificate names.
        found: String,
        /// What was asked for.
        expected: TrustDomain,
    },
    /// Certificates and keys that do not belong together.
    #[error("the CA's state does not fit together: {0}")]
    Inconsistent(&'static str),
    /// So many roots whose turn is over are believed that no other is taken in.
    #[error("{0} roots are still believed after their turn: retire them first")]
    TooManyRoots(usize),
    /// A life so long or a time so far off that no certificate can express it.
    #[error("the CA's validity cannot be expressed in a certificate")]
    Validity,
    /// The root is over. Nothing under it would be believed.
    #[error("the CA's root expired at {}; moving its state away makes a new CA, which every workload then has to join", clock::show(*.0))]
    RootExpired(SystemTime),
    /// The state directory or what lies in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request asks for another name than the caller proved.
    #[error("the CSR asks for {requested}, but the caller is {proven}")]
    WrongIdentity {
        /// What the request asks for.
        requested: SpiffeId,
        /// Who the caller is.
        proven: SpiffeId,
    },
    /// A name that this CA does not vouch for.
    #[error("{id} is not in the CA's trust domain {trust_domain}")]
    ForeignTrustDomain {
        /// The name.
        id: SpiffeId,
        /// What the CA vouches for.
        trust_domain: TrustDomain,
    },
    /// A life of under a second, or one that cannot be expressed.
    #[error("a leaf cannot live for {0:?}")]
    Lifetime(Duration),
    /// The issuing certificate is over; the CA must be loaded again, which renews it.
    #[error("the CA's issuing certificate expired at {}", clock::show(*.0))]
    IssuerExpired(SystemTime),
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The issuing key cannot be used, or the library could not write the certificate.
    #[error("the certificate cannot be signed: {0}")]
    Sign(#[from] SignerError),
    /// What was issued could not be read back; never expected.
    #[error(transparent)]
    Leaf(#[from] LeafError),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self::Sign(SignerError(error.to_string()))
    }
}
