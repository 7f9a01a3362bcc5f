//! One call of `weft.identity.v1`: a new key, a CSR for our own id, proof of it, and a certificate that is looked
//! at before it is believed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};
use weft_certs::{Leaf, PrivateKey, SpiffeId, TrustBundle, csr};
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::identity::{IssueRequest, IssueResponse};

use crate::bootstrap::Token;
use crate::control_channel::{ChannelError, ControlPlane};

/// Limit on one attempt, the connection included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the id is proven.
pub(super) enum Proof {
    /// The certificate at hand, which may have expired, to a control plane under these roots.
    Certificate(Leaf, TrustBundle),
    /// A token, to a control plane under the bootstrap's roots.
    Token(Token),
}

/// What came back.
pub(super) struct Issued {
    pub(super) leaf: Leaf,
    pub(super) bundle: TrustBundle,
    /// When the control plane wants to be asked again.
    pub(super) renew_after: Option<SystemTime>,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    #[error(
        "neither a certificate that can be renewed nor a join token: get a new bootstrap file and start again"
    )]
    NoProof,
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("control plane: no answer within {TIMEOUT:?}")]
    Timeout,
    #[error("control plane, asked with the {proof}: {code:?}: {message}")]
    Refused { proof: &'static str, code: Code, message: String },
    #[error("{0}")]
    Token(String),
    #[error("key or signing request: {0}")]
    Request(String),
    #[error("the certificate that was issued is of no use: {0}")]
    Response(String),
}

/// The word for [`Proof::Certificate`].
const CERTIFICATE: &str = "certificate";

impl IssueError {
    /// A token was looked at and is no good.
    pub(super) fn refuses_token(&self) -> bool {
        matches!(self, Self::Refused { proof, code: Code::Unauthenticated, .. } if *proof != CERTIFICATE)
    }
}

/// Asks for a certificate.
pub(super) async fn issue(
    control_plane: &ControlPlane,
    id: &SpiffeId,
    proof: Proof,
) -> Result<Issued, IssueError> {
    let key = PrivateKey::generate().map_err(|error| IssueError::Request(error.to_string()))?;
    let csr = csr::create(&key, id).map_err(|error| IssueError::Request(error.to_string()))?;
    let call = call(control_plane, IssueRequest { csr }, proof);
    let response = tokio::time::timeout(TIMEOUT, call).await.map_err(|_| IssueError::Timeout)??;
    accept(response, key, id, SystemTime::now()).map_err(IssueError::Response)
}

async fn call(
    control_plane: &ControlPlane,
    request: IssueRequest,
    proof: Proof,
) -> Result<IssueResponse, IssueError> {
    let mut request = Request::new(request);
    let (name, channel) = match proof {
        Proof::Certificate(leaf, bundle) => {
            (CERTIFICATE, control_plane.connect(Some(&leaf), &bundle).await?)
        }
        Proof::Token(token) => {
            let kind = token.kind();
            let mut bearer = format!("Bearer {}", token.read().map_err(IssueError::Token)?)
                .parse::<MetadataValue<Ascii>>()
                .map_err(|_| IssueError::Token(format!("the {kind} is no header value")))?;
            bearer.set_sensitive(true);
            request.metadata_mut().insert("authorization", bearer);
            (kind, control_plane.channel(None).await?)
        }
    };
    let refused = |status: Status| IssueError::Refused {
        proof: name,
        code: status.code(),
        message: status.message().to_owned(),
    };
    let response = IdentityClient::new(channel).issue(request).await.map_err(refused)?;
    Ok(response.into_inner())
}

/// Believes the response if it is what was asked for: our key, our id, valid now.
fn accept(
    response: IssueResponse,
    key: PrivateKey,
    id: &SpiffeId,
    now: SystemTime,
) -> Result<Issued, String> {
    let IssueResponse { chain, trust_bundle, renew_after, .. } = response;
    let ders = |list: Vec<Vec<u8>>| list.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
    let leaf = Leaf::new(ders(chain), key).map_err(|error| error.to_string())?;
    if leaf.id() != id {
        return Err(format!("it is for {}", leaf.id()));
    }
    weft_certs::verify::expected_peer(leaf.chain(), id, now).map_err(|error| error.to_string())?;
    let bundle = TrustBundle::from_der(ders(trust_bundle)).map_err(|error| error.to_string())?;
    let renew_after = u64::try_from(renew_after)
        .ok()
        .filter(|seconds| *seconds > 0)
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    Ok(Issued { leaf, bundle, renew_after })
}
