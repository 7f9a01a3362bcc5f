//! Certificate signing requests: one name, one key, and proof that the asker holds the key.
//!
//! [`create`] is called by the proxy, [`verify`] by the control plane's identity service on bytes
//! from the network. `verify` decides only what is asked for; whether the caller may have that name
//! is decided by [`crate::Authority::issue`], against the name that the caller proved.

use rcgen::{CertificateParams, DistinguishedName, SanType, SubjectPublicKeyInfo};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer;

use crate::key::PrivateKey;
use crate::spiffe::{IdError, SpiffeId};

// Bound: a request of ours has about 300 bytes; the longest legal id still fits.
const MAX_LEN: usize = 16 * 1024;

/// A request that was read and whose signature was right.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    id: SpiffeId,
    public_key: SubjectPublicKeyInfo,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More than 16 KiB.
    #[error("the CSR is {0} bytes long, at most {MAX_LEN} are read")]
    TooLong(usize),
    /// Not a PKCS #10 request, or one with bytes behind or between its parts.
    #[error("the CSR cannot be read: {0}")]
    Malformed(String),
    /// Another kind of key or signature.
    #[error("the CSR's key or signature is not ECDSA P-256 with SHA-256; only that is issued")]
    NotP256,
    /// The asker did not show that it holds the private key.
    #[error("the CSR's signature does not fit its public key")]
    Signature,
    /// Another PKCS #10 attribute than the extension request, or that one twice.
    #[error("the CSR holds the attribute {0}; only one extension request is allowed")]
    Attribute(String),
    /// An extension that a workload cannot have, or that cannot be read.
    #[error("the CSR asks for the extension {0}, which is not issued")]
    Extension(String),
    /// It asks for a CA certificate.
    #[error("the CSR asks for a certificate authority's certificate")]
    Authority,
    /// It asks for a DNS name, an address or another name that is no URI.
    #[error("the CSR asks for the name {0}; only one SPIFFE id is issued")]
    OtherName(String),
    /// It asks for no URI, or for several.
    #[error("the CSR asks for {0} URIs, exactly one is needed")]
    Uris(usize),
    /// The URI is no id of a workload.
    #[error("the CSR asks for {uri:?}, which is not a workload's SPIFFE id: {reason}")]
    NotSpiffe {
        /// The URI, shortened.
        uri: String,
        /// What is wrong with it.
        #[source]
        reason: IdError,
    },
}

/// The library could not write a request; not caused by input.
#[derive(Debug, thiserror::Error)]
#[error("the CSR cannot be made: {0}")]
pub struct CreateError(#[from] rcgen::Error);

/// A request in DER for a certificate that names `id`, signed with `key`.
///
/// # Errors
/// If the cryptographic library fails.
pub fn create(key: &PrivateKey, id: &SpiffeId) -> Result<Vec<u8>, CreateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
    Ok(params.serialize_request(key.pair())?.der().to_vec())
}

/// Reads a request in DER: a P-256 key, a signature with it, and exactly one name, a SPIFFE id.
///
/// The subject is ignored (a common name is no identity), as are requested key usages that do not
/// reach for a CA's rights: the CA writes its own.
///
/// # Errors
/// If there is anything in the request that would not be issued.
pub fn verify(der: &[u8]) -> Result<SigningRequest, CsrError> {
    if der.len() > MAX_LEN {
        return Err(CsrError::TooLong(der.len()));
    }
    let (_, request) = X509CertificationRequest::from_der(der).map_err(|e| malformed(&e))?;
    // The signature is the last part: bytes behind it, inside or outside, belong to nothing.
    if end(&request.signature_value.data) != end(der) {
        return Err(malformed(&"bytes behind its end"));
    }
    let info = &request.certification_request_info;
    let key = &info.subject_pki.algorithm;
    let curve = key.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    if key.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
        || curve != Some(OID_EC_P256)
        || request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
    {
        return Err(CsrError::NotP256);
    }
    // A compressed point would be copied into the certificate, and TLS 1.3 knows none.
    if info.subject_pki.subject_public_key.data.first() != Some(&0x04) {
        return Err(CsrError::NotP256);
    }
    request.verify_signature().map_err(|_| CsrError::Signature)?;
    let id = requested_id(&request)?;
    let public_key =
        SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| CsrError::NotP256)?;
    Ok(SigningRequest { id, public_key })
}

impl SigningRequest {
    /// The name asked for. Asked for, not granted.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    pub(crate) fn public_key(&self) -> &SubjectPublicKeyInfo {
        &self.public_key
    }
}

fn requested_id(request: &X509CertificationRequest<'_>) -> Result<SpiffeId, CsrError> {
    let mut uris = Vec::new();
    let attributes = request.certification_request_info.attributes();
    for (index, attribute) in attributes.iter().enumerate() {
        let ParsedCriAttribute::ExtensionRequest(requested) = attribute.parsed_attribute() else {
            return Err(CsrError::Attribute(attribute.oid.to_id_string()));
        };
        if index > 0 {
            return Err(CsrError::Attribute(attribute.oid.to_id_string()));
        }
        for extension in &requested.extensions {
            uris.extend(check_extension(extension)?);
        }
    }
    let [uri] = uris[..] else { return Err(CsrError::Uris(uris.len())) };
    SpiffeId::parse(uri)
        .map_err(|reason| CsrError::NotSpiffe { uri: uri.chars().take(256).collect(), reason })
}

/// The URIs in `extension`, none if it holds nothing that matters.
fn check_extension<'a>(extension: &'a X509Extension<'_>) -> Result<Vec<&'a str>, CsrError> {
    match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => names
            .general_names
            .iter()
            .map(|name| match name {
                GeneralName::URI(uri) => Ok(*uri),
                other => Err(CsrError::OtherName(other.to_string().chars().take(256).collect())),
            })
            .collect(),
        ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
            Err(CsrError::Authority)
        }
        ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
            Err(CsrError::Authority)
        }
        ParsedExtension::BasicConstraints(_)
        | ParsedExtension::KeyUsage(_)
        | ParsedExtension::ExtendedKeyUsage(_) => Ok(Vec::new()),
        _ => Err(CsrError::Extension(extension.oid.to_id_string())),
    }
}

/// Where in memory `bytes` end.
fn end(bytes: &[u8]) -> *const u8 {
    bytes.as_ptr_range().end
}

fn malformed(reason: &impl ToString) -> CsrError {
    CsrError::Malformed(reason.to_string())
}

#[cfg(test)]
mod tests;
