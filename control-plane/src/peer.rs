//! Who is at the other end of a gRPC connection, as the TLS layer proved it.
//!
//! The server that terminates TLS puts one [`AuthenticatedPeer`] into the extensions of every request of
//! the connection, or none where the client showed no certificate. The services read it from there and
//! from nowhere else: nothing that a client says of itself makes an identity.

use tonic::Status;
use weft_certs::{Denial, Serial, SpiffeId};
use weft_proto::names::DENIED;

/// A peer whose certificate was verified: chain, trust domain and name; the time only if `expired` is
/// false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedPeer {
    /// Its SPIFFE id.
    pub id: SpiffeId,
    /// The serial number of its certificate.
    pub serial: Serial,
    /// Its leaf has run out. Only the identity service may look at such a peer.
    pub expired: bool,
}

impl AuthenticatedPeer {
    /// The peer of a request that needs a valid certificate: ADS, telemetry.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` without a certificate or with an expired one.
    #[allow(clippy::result_large_err, reason = "tonic's own error type, made once a stream")]
    pub fn require(extensions: &http::Extensions) -> Result<Self, Status> {
        match extensions.get::<Self>() {
            Some(peer @ Self { expired: false, .. }) => Ok(peer.clone()),
            Some(Self { id, expired: true, .. }) => Err(Status::unauthenticated(format!(
                "the certificate of {id} has expired; renew it first"
            ))),
            None => Err(Status::unauthenticated(
                "a client certificate of this mesh is required; get one from weft.identity.v1",
            )),
        }
    }
}

/// What a peer is told who is denied, so that he knows that it is about himself.
pub(crate) fn denied(denial: &Denial) -> Status {
    Status::permission_denied(format!("{DENIED}{denial}"))
}
