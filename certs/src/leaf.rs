//! A workload's own certificate with its key.
//!
//! The proxy keeps one in memory and in its state directory; the control plane has one for its own
//! port. Whoever holds a [`Leaf`] knows that key and certificate belong together and that the
//! certificate names a workload. Whether it is still valid is a question with a time in it.

use std::fmt;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;
use zeroize::Zeroizing;

use crate::clock;
use crate::denied::Serial;
use crate::key::{KeyError, PrivateKey};
use crate::pem::{self, PemError};
use crate::spiffe::SpiffeId;
use crate::x509::{Certificate, CertificateError};

// Bound: a leaf and its intermediates; longer chains are refused by webpki anyway.
pub(crate) const MAX_CHAIN: usize = 8;

/// A certificate chain (leaf first, no root) and the leaf's private key.
#[derive(Clone)]
pub struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKey,
    id: SpiffeId,
    serial: Serial,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// Why chain and key make no leaf.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The text is not PEM of certificates and one key.
    #[error("the leaf cannot be read: {0}")]
    Pem(#[from] PemError),
    /// The key in it is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No certificate, or more than 8.
    #[error("the leaf's chain has {0} certificates, 1 to {MAX_CHAIN} are allowed")]
    ChainLength(usize),
    /// The first certificate names no workload, or an intermediate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key is another one than the certificate's.
    #[error("the private key does not belong to the certificate of {0}")]
    KeyMismatch(SpiffeId),
}

impl Leaf {
    /// Puts a chain (leaf first) and its key together. An expired leaf is accepted: it can still be
    /// what a renewal is asked with.
    ///
    /// # Errors
    /// If the leaf names no workload, a certificate cannot be read, or the key is not its key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKey) -> Result<Self, LeafError> {
        if chain.is_empty() || chain.len() > MAX_CHAIN {
            return Err(LeafError::ChainLength(chain.len()));
        }
        for intermediate in &chain[1..] {
            Certificate::parse(intermediate)?;
        }
        let leaf = Certificate::parse(&chain[0])?;
        let id = leaf.workload()?;
        if leaf.public_key_info() != key.public_key_info() {
            return Err(LeafError::KeyMismatch(id));
        }
        let (not_before, not_after) = leaf.validity();
        let (not_before, not_after) = (clock::system(not_before), clock::system(not_after));
        let serial = leaf.serial();
        Ok(Self { chain, key, id, serial, not_before, not_after })
    }

    /// Reads what [`Leaf::to_pem`] wrote: the chain, leaf first, and one private key anywhere.
    ///
    /// # Errors
    /// As [`Leaf::new`], and if the text holds anything else.
    pub fn from_pem(text: &str) -> Result<Self, LeafError> {
        const EXPECTED: &str = "certificates and one private key";
        let sections = pem::sections(text)?;
        let (mut chain, mut keys) = (Vec::new(), Vec::new());
        for (kind, der) in &sections {
            match kind {
                SectionKind::Certificate => chain.push(CertificateDer::from(der.to_vec())),
                SectionKind::PrivateKey => keys.push(der),
                _ => return Err(pem::unexpected(EXPECTED, &sections).into()),
            }
        }
        match keys[..] {
            [key] => Self::new(chain, PrivateKey::from_pkcs8(key)?),
            _ => Err(pem::unexpected(EXPECTED, &sections).into()),
        }
    }

    /// Chain and key as PEM. Belongs only into a file that nobody else can read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let (chain, key) = (self.chain_pem(), self.key.to_pem());
        // Never grown, which would leave what it held before.
        let mut text = Zeroizing::new(String::with_capacity(chain.len() + key.len()));
        text.push_str(&chain);
        text.push_str(&key);
        text
    }

    /// The chain alone as PEM; nothing secret in it.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem::certificate(certificate)).collect()
    }

    /// The chain, leaf first, without the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The leaf's private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Whose certificate it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Its serial number.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The first second at which it is valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The last second at which it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether it is valid at `now`, both ends included.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        let now = clock::unix(now);
        clock::unix(self.not_before) <= now && now <= clock::unix(self.not_after)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("id", &self.id)
            .field("serial", &self.serial)
            .field("not_before", &clock::show(self.not_before))
            .field("not_after", &clock::show(self.not_after))
            .field("chain", &self.chain.len())
            .field("key", &self.key)
            .finish()
    }
}

#[cfg(test)]
mod tests;
