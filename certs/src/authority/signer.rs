//! Where the issuing key lies: in this process, or behind something else that can sign.
//!
//! Used by [`super::Authority`]. The trait is the seam for keys that must not be in the control
//! plane's memory; it signs synchronously, so a remote signer needs its own bounded waiting.

use std::cell::RefCell;

use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData, SignatureAlgorithm, SigningKey,
};

use crate::key::PrivateKey;

/// A curve, and the digest that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-256 with SHA-256.
    P256,
    /// P-384 with SHA-384.
    P384,
}

/// Holds an ECDSA key and signs with it.
pub trait Signer: Send + Sync {
    /// The public key: an uncompressed point, 65 bytes on P-256, 97 on P-384.
    fn public_key(&self) -> &[u8];

    /// What the key is on.
    fn curve(&self) -> Curve {
        Curve::P256
    }

    /// An ECDSA signature over `message` with the curve's digest, in DER.
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

/// One use of a [`Signer`] by rcgen, whose own error for this has no room for the reason.
pub(super) struct Attempt<'a> {
    signer: &'a dyn Signer,
    failure: RefCell<Option<SignerError>>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(signer: &'a dyn Signer) -> Self {
        Self { signer, failure: RefCell::new(None) }
    }

    /// Why the signer failed, if that is why rcgen did.
    pub(super) fn into_failure(self) -> Option<SignerError> {
        self.failure.into_inner()
    }
}

impl PublicKeyData for Attempt<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.signer.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.signer.curve() {
            Curve::P256 => &PKCS_ECDSA_P256_SHA256,
            Curve::P384 => &PKCS_ECDSA_P384_SHA384,
        }
    }
}

impl SigningKey for Attempt<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|failure| {
            self.failure.replace(Some(failure));
            rcgen::Error::RemoteKeyError
        })
    }
}
