//! Where the issuing key lies: in this process, or behind something else that can sign.
//!
//! Used by [`super::Authority`]. The trait is the seam for keys that must not be in the control
//! plane's memory; it signs synchronously, so a remote signer needs its own bounded waiting.

use std::sync::Arc;

use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::key::PrivateKey;

/// Holds an ECDSA P-256 key and signs with it.
pub trait Signer: Send + Sync {
    /// The public key: an uncompressed point, 65 bytes.
    fn public_key(&self) -> &[u8];

    /// An ECDSA signature with SHA-256 over `message`, in DER.
    ///
    /// # Errors
    /// If the key cannot be reached or refuses.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SignerError(pub String);

impl Signer for PrivateKey {
    fn public_key(&self) -> &[u8] {
        self.pair().public_key_raw()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        SigningKey::sign(self.pair(), message).map_err(|e| SignerError(e.to_string()))
    }
}

/// A [`Signer`] as rcgen wants it.
pub(super) struct RcgenSigner(Arc<dyn Signer>);

impl RcgenSigner {
    pub(super) fn new(signer: Arc<dyn Signer>) -> Self {
        Self(signer)
    }
}

impl PublicKeyData for RcgenSigner {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for RcgenSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        // rcgen has no variant for a foreign signer's reason that keeps the text but this one.
        self.0.sign(message).map_err(|e| rcgen::Error::PemError(e.to_string()))
    }
}
