//! Words for why a certificate was refused, the same for a handshake and for the check after it: for metrics and for who
//! has to find out. Each word is one of [`REASONS`].

use rustls::{CertificateError as TlsCertificateError, Error};

use super::verifier::Refusal;
use crate::verify::PeerError;
use crate::x509::CertificateError;

/// Every word that [`reason`] and [`PeerError::word`] say.
pub const REASONS: &[&str] = &[
    "bad_signature",
    "chain_too_long",
    "denied",
    "expired",
    "foreign_trust_domain",
    "is_authority",
    "malformed",
    "no_certificate",
    "no_uri",
    "not_spiffe",
    "not_valid_yet",
    "other",
    "several_uris",
    "unknown_issuer",
    "wrong_identity",
    "wrong_usage",
];

/// Why a handshake failed, if it was for the other side's certificate.
#[must_use]
pub fn reason(error: &Error) -> Option<&'static str> {
    use TlsCertificateError as Certificate;
    match error {
        Error::NoCertificatesPresented => Some("no_certificate"),
        Error::InvalidCertificate(reason) => Some(match reason {
            Certificate::Expired | Certificate::ExpiredContext { .. } => "expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "not_valid_yet",
            Certificate::UnknownIssuer => "unknown_issuer",
            Certificate::BadSignature => "bad_signature",
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "wrong_usage"
            }
            Certificate::Revoked => "denied",
            Certificate::BadEncoding => "malformed",
            Certificate::Other(other) => match other.0.downcast_ref::<Refusal>() {
                Some(refusal) => refusal.word(),
                None => of_webpki(&format!("{:?}", other.0)),
            },
            _ => "other",
        }),
        _ => None,
    }
}

/// Of webpki's errors that rustls has no name for.
fn of_webpki(name: &str) -> &'static str {
    match name {
        "CaUsedAsEndEntity" => "is_authority",
        "PathLenConstraintViolated"
        | "MaximumPathDepthExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumSignatureChecksExceeded" => "chain_too_long",
        _ => "other",
    }
}

impl CertificateError {
    /// One of [`REASONS`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NoUri => "no_uri",
            Self::SeveralUris(_) => "several_uris",
            Self::NotSpiffe { .. } => "not_spiffe",
            Self::Authority => "is_authority",
        }
    }
}

impl PeerError {
    /// One of [`REASONS`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Certificate(error) => error.word(),
            Self::ForeignTrustDomain { .. } => "foreign_trust_domain",
            Self::WrongIdentity { .. } => "wrong_identity",
            Self::NotYetValid { .. } => "not_valid_yet",
            Self::Expired { .. } => "expired",
        }
    }
}
