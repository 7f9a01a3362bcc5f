//! Private keys: ECDSA P-256 and nothing else.
//!
//! Made by the proxy and by the CA. A key is never printed; the only ways out are `to_pem` (for a
//! 0600 file) and the crate-private conversion that rustls gets. What holds its bytes is wiped before it is given back:
//! here, in `pem`, and by AWS-LC, which wipes all that it frees.

use std::fmt;
use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::crypto::aws_lc_rs::sign;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::SectionKind;
use rustls::sign::SigningKey;
use zeroize::{Zeroize, Zeroizing};

use crate::pem::{self, PemError};

/// An ECDSA P-256 private key. Clones share the same key.
#[derive(Clone)]
pub struct PrivateKey(Arc<Pair>);

/// Wiped when the last clone goes.
struct Pair(KeyPair);

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness.
    #[error("no key could be generated: {0}")]
    Generate(#[source] rcgen::Error),
    /// The text is not one PEM section.
    #[error("the private key cannot be read: {0}")]
    Pem(#[from] PemError),
    /// The section is no PKCS #8 key on the curve P-256.
    #[error("the private key is not an ECDSA P-256 key in PKCS #8")]
    NotP256,
}

impl PrivateKey {
    /// A new random key.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map(|pair| Self(Arc::new(Pair(pair))))
            .map_err(KeyError::Generate)
    }

    /// Reads exactly one `PRIVATE KEY` section (PKCS #8).
    ///
    /// # Errors
    /// If there is anything else in the text, or the key is not P-256.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let sections = pem::sections(text)?;
        match &sections[..] {
            [(SectionKind::PrivateKey, der)] => Self::from_pkcs8(der),
            other => Err(pem::unexpected("one PKCS #8 private key", other).into()),
        }
    }

    /// The key as PEM (PKCS #8). Belongs only into a file that nobody else can read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::private_key(self.0.0.serialized_der())
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(der),
            &PKCS_ECDSA_P256_SHA256,
        )
        .map(|pair| Self(Arc::new(Pair(pair))))
        .map_err(|_| KeyError::NotP256)
    }

    /// For rustls, by a look at the bytes: what it is given it does not wipe.
    pub(crate) fn to_rustls(&self) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        sign::any_ecdsa_type(&PrivatePkcs8KeyDer::from(self.0.0.serialized_der()).into())
    }

    /// For rcgen.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0.0
    }

    /// DER of the public key with its algorithm, as certificates hold it.
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        self.0.0.subject_public_key_info()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(P-256, redacted)")
    }
}

#[cfg(test)]
mod tests;
