//! The key of a CA certificate: P-256 as everywhere here, and P-384 where an issuer from outside has one.
//!
//! Used by `material`, `state` and `issuer`. What it reads is PKCS #8 or SEC 1, what it writes PKCS #8.

use std::fmt;
use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData, SigningKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::SectionKind;
use zeroize::{Zeroize, Zeroizing};

use super::signer::{Curve, Signer, SignerError};
use crate::key::{KeyError, PrivateKey};
use crate::pem::{self, Section};

/// See the module. Clones share the same key.
#[derive(Clone)]
pub(super) enum IssuingKey {
    P256(PrivateKey),
    P384(Arc<Pair>),
}

/// Wiped when the last clone goes.
pub(super) struct Pair(KeyPair);

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// `ecPublicKey`, and the two curves, as DER.
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

impl IssuingKey {
    /// Reads a section of PEM.
    ///
    /// # Errors
    /// If it is no key, or none on these curves.
    pub(super) fn from_section((kind, der): &Section) -> Result<Self, KeyError> {
        match kind {
            SectionKind::PrivateKey => Self::from_pkcs8(der),
            SectionKind::EcPrivateKey => Self::from_pkcs8(&wrapped(der, P256))
                .or_else(|_| Self::from_pkcs8(&wrapped(der, P384))),
            _ => Err(KeyError::NotP256),
        }
    }

    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = PrivateKey::from_pkcs8(der) {
            return Ok(Self::P256(key));
        }
        let der = PrivatePkcs8KeyDer::from(der);
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P384_SHA384)
            .map(|pair| Self::P384(Arc::new(Pair(pair))))
            .map_err(|_| KeyError::NotP256)
    }

    /// As PEM. Belongs only where nobody else can read it.
    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        match self {
            Self::P256(key) => key.to_pem(),
            Self::P384(pair) => pem::private_key(pair.0.serialized_der()),
        }
    }

    /// DER of the public key with its algorithm, as certificates hold it.
    pub(super) fn public_key_info(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.public_key_info(),
            Self::P384(pair) => pair.0.subject_public_key_info(),
        }
    }
}

impl Signer for IssuingKey {
    fn public_key(&self) -> &[u8] {
        match self {
            Self::P256(key) => key.public_key(),
            Self::P384(pair) => pair.0.public_key_raw(),
        }
    }

    fn curve(&self) -> Curve {
        match self {
            Self::P256(_) => Curve::P256,
            Self::P384(_) => Curve::P384,
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self {
            Self::P256(key) => Signer::sign(key, message),
            Self::P384(pair) => {
                SigningKey::sign(&pair.0, message).map_err(|error| SignerError(error.to_string()))
            }
        }
    }
}

impl fmt::Debug for IssuingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuingKey(redacted)")
    }
}

/// A SEC 1 key (RFC 5915) as PKCS #8 has it: version 0, the algorithm, and the key as an octet string.
fn wrapped(sec1: &[u8], curve: &[u8]) -> Zeroizing<Vec<u8>> {
    let algorithm = der(0x30, &[EC_PUBLIC_KEY, curve].concat());
    let key = Zeroizing::new(der(0x04, sec1));
    let content = Zeroizing::new([&[0x02, 0x01, 0x00][..], &algorithm, &key].concat());
    Zeroizing::new(der(0x30, &content))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let short: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    // Bound: never grown, which would leave what it held before.
    let mut out = Vec::with_capacity(content.len() + 10);
    out.push(tag);
    match (content.len(), u8::try_from(short.len())) {
        (0..128, _) => out.extend(length.last()),
        (_, bytes) => {
            out.push(0x80 | bytes.unwrap_or(0));
            out.extend(short);
        }
    }
    out.extend(content);
    out
}
