//! `weft.identity.v1`: a proxy's CSR in, a certificate out. Authenticate, compare, sign.
//!
//! The only service that takes a peer whose certificate has expired (for a renewal after the control plane
//! was away for long), and the only one that takes no certificate at all, with a join token instead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use weft_certs::csr::{self, SigningRequest};
use weft_certs::{IssueError, Serial, SpiffeId};
use weft_proto::identity::identity_server::{Identity, IdentityServer};
use weft_proto::identity::{IssueRequest, IssueResponse};

use super::reviewer::ReviewError;
use super::token::Grant;
use super::{CertificateAuthority, TokenReviewer};
use crate::clock;
use crate::peer::{self, AuthenticatedPeer};

// Bound: a CSR of ours has about 300 bytes, and `csr` reads at most 16 KiB.
const MAX_REQUEST: usize = 32 * 1024;

/// The gRPC face of the CA.
#[derive(Clone, Debug)]
pub(crate) struct IdentityService {
    ca: Arc<CertificateAuthority>,
    /// Where there is an API server: tokens are those of service accounts.
    reviewer: Option<TokenReviewer>,
}

/// How the caller proved who it is.
enum Proof {
    /// With a join token, which is spent now.
    Token { token: String, grant: Grant },
    /// With the token of a service account, bound to a pod.
    ServiceAccount { id: SpiffeId },
    /// With the certificate of this connection.
    Certificate { id: SpiffeId, serial: Serial, expired: bool },
}

impl Proof {
    fn id(&self) -> &SpiffeId {
        match self {
            Self::Token { grant, .. } => &grant.identity,
            Self::ServiceAccount { id } | Self::Certificate { id, .. } => id,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Token { .. } => "join token",
            Self::ServiceAccount { .. } => "service-account token",
            Self::Certificate { expired: false, .. } => "certificate",
            Self::Certificate { expired: true, .. } => "expired certificate",
        }
    }
}

impl IdentityService {
    /// The service over `ca`. With a `reviewer` callers without a certificate show a service account's token, without
    /// one a join token.
    pub(crate) fn new(ca: Arc<CertificateAuthority>, reviewer: Option<TokenReviewer>) -> Self {
        Self { ca, reviewer }
    }

    /// For the server's routes.
    pub(crate) fn into_server(self) -> IdentityServer<Self> {
        IdentityServer::new(self).max_decoding_message_size(MAX_REQUEST)
    }

    async fn answer(&self, request: &Request<IssueRequest>) -> Result<IssueResponse, Status> {
        // Order: what is malformed is refused before a token is looked at, and so does not spend it.
        let csr = csr::verify(&request.get_ref().csr)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let proof = self.authenticate(request).await?;
        if let Err(denied) = self.check_denied(&proof) {
            // What is denied is the workload, and perhaps not for long.
            self.give_back(proof);
            return Err(denied);
        }
        self.check_known(&proof)?;
        match self.ca.sign(&csr, proof.id()) {
            Ok((issued, renew_at)) => {
                let id = proof.id();
                let leaf = issued.chain.first().and_then(|leaf| Serial::of(leaf).ok());
                let serial = leaf.map_or_else(String::new, |serial| serial.to_string());
                tracing::info!(%id, serial, proof = proof.name(), "issued a certificate");
                Ok(IssueResponse {
                    chain: issued.chain.iter().map(|der| der.to_vec()).collect(),
                    trust_bundle: self.trust_bundle(),
                    not_before: seconds(clock::unix(issued.not_before)),
                    not_after: seconds(clock::unix(issued.not_after)),
                    renew_after: seconds(clock::unix(renew_at)),
                })
            }
            Err(error) => Err(self.refuse(&error, proof, &csr)),
        }
    }

    async fn authenticate(&self, request: &Request<IssueRequest>) -> Result<Proof, Status> {
        if let Some(token) = bearer(request.metadata())? {
            if let Some(reviewer) = &self.reviewer {
                return self.review(reviewer, token).await;
            }
            let grant = self.ca.tokens().take(token, self.ca.now());
            let grant = grant.map_err(|error| Status::unauthenticated(error.to_string()))?;
            return Ok(Proof::Token { token: token.to_owned(), grant });
        }
        match request.extensions().get::<AuthenticatedPeer>() {
            Some(AuthenticatedPeer { id, serial, expired }) => {
                Ok(Proof::Certificate { id: id.clone(), serial: serial.clone(), expired: *expired })
            }
            None => Err(Status::unauthenticated(
                "no proof of identity: send a token (authorization: Bearer …), or connect with the \
                 certificate to renew",
            )),
        }
    }

    async fn review(&self, reviewer: &TokenReviewer, token: &str) -> Result<Proof, Status> {
        match reviewer.review(token, &self.ca.trust_domain()).await {
            Ok(id) => Ok(Proof::ServiceAccount { id }),
            Err(error @ ReviewError::Unavailable(_)) => {
                tracing::warn!(%error, "cannot look at a service-account token");
                Err(Status::unavailable(error.to_string()))
            }
            Err(error) => {
                tracing::warn!(%error, "refused a service-account token");
                Err(Status::unauthenticated(error.to_string()))
            }
        }
    }

    /// Who is denied gets nothing, whatever proves who he is. A denied certificate proves nothing, a token does.
    fn check_denied(&self, proof: &Proof) -> Result<(), Status> {
        let serial = match proof {
            Proof::Token { .. } | Proof::ServiceAccount { .. } => None,
            Proof::Certificate { serial, .. } => Some(serial),
        };
        match self.ca.denial(proof.id(), serial) {
            None => Ok(()),
            Some(denial) => {
                tracing::warn!(%denial, proof = proof.name(), "refused a certificate");
                Err(peer::denied(&denial))
            }
        }
    }

    /// A token speaks for a workload that existed when it was minted, minutes ago at most. A certificate may
    /// be older than the workload's end.
    fn check_known(&self, proof: &Proof) -> Result<(), Status> {
        match proof {
            Proof::Token { .. } | Proof::ServiceAccount { .. } => Ok(()),
            Proof::Certificate { id, .. } if self.ca.is_known(id) => Ok(()),
            Proof::Certificate { id, .. } => Err(Status::permission_denied(format!(
                "no workload of the mesh has the identity {id} any more"
            ))),
        }
    }

    fn refuse(&self, error: &IssueError, proof: Proof, csr: &SigningRequest) -> Status {
        match error {
            IssueError::WrongIdentity { .. } => {
                let (requested, proven) = (csr.id(), proof.id());
                tracing::warn!(%requested, %proven, proof = proof.name(), "refused a certificate");
                Status::permission_denied(error.to_string())
            }
            IssueError::ForeignTrustDomain { .. } => Status::permission_denied(error.to_string()),
            IssueError::Lifetime(_)
            | IssueError::IssuerExpired(_)
            | IssueError::Key(_)
            | IssueError::Sign(_)
            | IssueError::Leaf(_) => {
                tracing::error!(%error, id = %proof.id(), "cannot issue a certificate");
                // Our fault: the caller may try again with what it has.
                self.give_back(proof);
                Status::unavailable(error.to_string())
            }
        }
    }

    fn give_back(&self, proof: Proof) {
        if let Proof::Token { token, grant } = proof {
            self.ca.tokens().restore(&token, grant);
        }
    }

    fn trust_bundle(&self) -> Vec<Vec<u8>> {
        self.ca.bundle().ders().iter().map(|der| der.to_vec()).collect()
    }

    fn count(&self, answer: &Result<IssueResponse, Status>) {
        let counts = &self.ca.counts;
        let count = match answer {
            Ok(_) => &counts.issued,
            Err(status) if status.code() == tonic::Code::Unavailable => &counts.failed,
            Err(_) => &counts.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn issue(
        &self,
        request: Request<IssueRequest>,
    ) -> Result<Response<IssueResponse>, Status> {
        let answer = self.answer(&request).await;
        self.count(&answer);
        answer.map(Response::new)
    }
}

/// The token of `authorization: Bearer <token>`; `None` without that header.
fn bearer(metadata: &MetadataMap) -> Result<Option<&str>, Status> {
    let Some(value) = metadata.get("authorization") else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| {
        Status::unauthenticated("the authorization metadata is not `Bearer <token>`")
    })?;
    Ok(Some(token.trim()))
}

fn seconds(unix: u64) -> i64 {
    i64::try_from(unix).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
