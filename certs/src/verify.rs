//! Who is at the other end of a TLS connection: the check after every handshake.
//!
//! Called by whoever accepts or opens a mesh connection, with the chain that the handshake left.
//! It must run on resumed connections as well: rustls resumes without calling a verifier, so a leaf
//! that expired since the first handshake would otherwise go on being believed. Signatures are not
//! checked here; the handshake (the first one, for a resumed connection) has done that.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;

use crate::clock;
use crate::denied::Serial;
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::{Certificate, CertificateError};

/// How long after its end a leaf may still ask for its own renewal, and for nothing else.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A workload whose certificate was good when it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub id: SpiffeId,
    /// The last second at which its certificate is valid.
    pub not_after: SystemTime,
    /// The certificate's serial number.
    pub serial: Serial,
}

/// A workload whose certificate was good but for being expired, within [`RENEWAL_GRACE`].
///
/// Not a [`Peer`], so that nothing which asks for a peer can be given one by mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredPeer {
    /// Who it was.
    pub id: SpiffeId,
    /// The last second at which its certificate was valid.
    pub not_after: SystemTime,
    /// The certificate's serial number.
    pub serial: Serial,
}

/// What [`peer_allow_expired`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// As good as what [`peer`] returns.
    Valid(Peer),
    /// Good for a renewal only.
    Expired(ExpiredPeer),
}

/// Why the other end is not a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It sent no certificate.
    #[error("the peer presented no certificate")]
    NoCertificate,
    /// Its certificate is not that of a workload.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A workload of somebody else's.
    #[error("the peer {id} is not in the trust domain {expected}")]
    ForeignTrustDomain {
        /// Who it is.
        id: SpiffeId,
        /// Where it has to be from.
        expected: TrustDomain,
    },
    /// A workload of ours, but another one than was meant to be called.
    #[error("the peer is {id}, but {expected} was called")]
    WrongIdentity {
        /// Who it is.
        id: SpiffeId,
        /// Who was called.
        expected: SpiffeId,
    },
    /// Its certificate starts later. Usually one of the two clocks is wrong.
    #[error("the certificate of {id} is valid from {}, it is {} now", clock::show(*.not_before), clock::show(*.now))]
    NotYetValid {
        /// Who it claims to be.
        id: SpiffeId,
        /// The first second at which it is valid.
        not_before: SystemTime,
        /// When it was checked.
        now: SystemTime,
    },
    /// Its certificate is over, and [`RENEWAL_GRACE`] too if that was asked for.
    #[error("the certificate of {id} expired at {}, it is {} now", clock::show(*.not_after), clock::show(*.now))]
    Expired {
        /// Who it was.
        id: SpiffeId,
        /// The last second at which it was valid.
        not_after: SystemTime,
        /// When it was checked.
        now: SystemTime,
    },
}

/// The peer behind `chain` (leaf first): a workload of `trust_domain` whose leaf is valid `now`.
///
/// # Errors
/// If the leaf is missing, is not a workload's, is of another trust domain, or is not valid now.
pub fn peer(
    chain: &[CertificateDer<'_>],
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<Peer, PeerError> {
    match standing(chain, trust_domain, now)? {
        Standing::Valid(peer) => Ok(peer),
        Standing::Expired(expired) => Err(expired.error(now)),
    }
}

/// The peer behind `chain` if it is exactly `expected`: for whoever opened the connection.
///
/// # Errors
/// As [`peer`], and if the workload is another one.
pub fn expected_peer(
    chain: &[CertificateDer<'_>],
    expected: &SpiffeId,
    now: SystemTime,
) -> Result<Peer, PeerError> {
    let peer = peer(chain, expected.trust_domain(), now)?;
    if peer.id == *expected {
        Ok(peer)
    } else {
        Err(PeerError::WrongIdentity { id: peer.id, expected: expected.clone() })
    }
}

/// As [`peer`], but a leaf that expired less than [`RENEWAL_GRACE`] ago is told apart instead of
/// refused. Only for a server with [`crate::tls::ClientAuth::OptionalAllowExpired`], and there only
/// the service that renews certificates may go on with [`Standing::Expired`].
///
/// # Errors
/// As [`peer`], except for expiry within the grace.
pub fn peer_allow_expired(
    chain: &[CertificateDer<'_>],
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<Standing, PeerError> {
    match standing(chain, trust_domain, now)? {
        Standing::Expired(expired) if !within_grace(expired.not_after, now) => {
            Err(expired.error(now))
        }
        known => Ok(known),
    }
}

impl Standing {
    /// The peer, for every service but renewal.
    ///
    /// # Errors
    /// If its certificate had expired at `now`, the time of the request.
    pub fn valid(&self, now: SystemTime) -> Result<&Peer, PeerError> {
        match self {
            Self::Valid(peer) => Ok(peer),
            Self::Expired(expired) => Err(expired.error(now)),
        }
    }

    /// The serial number of its certificate.
    pub fn serial(&self) -> &Serial {
        match self {
            Self::Valid(peer) => &peer.serial,
            Self::Expired(expired) => &expired.serial,
        }
    }

    /// Who it is, or was.
    pub fn id(&self) -> &SpiffeId {
        match self {
            Self::Valid(peer) => &peer.id,
            Self::Expired(expired) => &expired.id,
        }
    }
}

impl ExpiredPeer {
    fn error(&self, now: SystemTime) -> PeerError {
        PeerError::Expired { id: self.id.clone(), not_after: self.not_after, now }
    }
}

/// Whether `now` is at most [`RENEWAL_GRACE`] behind `not_after`.
pub(crate) fn within_grace(not_after: SystemTime, now: SystemTime) -> bool {
    let grace = i64::try_from(RENEWAL_GRACE.as_secs()).unwrap_or(i64::MAX);
    clock::unix(now) <= clock::unix(not_after).saturating_add(grace)
}

fn standing(
    chain: &[CertificateDer<'_>],
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<Standing, PeerError> {
    let leaf = Certificate::parse(chain.first().ok_or(PeerError::NoCertificate)?)?;
    let id = leaf.workload()?;
    if id.trust_domain() != trust_domain {
        return Err(PeerError::ForeignTrustDomain { id, expected: trust_domain.clone() });
    }
    let (not_before, last) = leaf.validity();
    let (not_after, serial) = (clock::system(last), leaf.serial());
    if clock::unix(now) < not_before {
        return Err(PeerError::NotYetValid { id, not_before: clock::system(not_before), now });
    }
    Ok(if clock::unix(now) <= last {
        Standing::Valid(Peer { id, not_after, serial })
    } else {
        Standing::Expired(ExpiredPeer { id, not_after, serial })
    })
}

#[cfg(test)]
mod tests;
