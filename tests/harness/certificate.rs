//! Asks the control plane for a certificate, as a sidecar does or as somebody who only claims to be one.

use tonic::{Request, Status};
use weft_certs::{Leaf, PrivateKey, SpiffeId, csr};
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::identity::{IssueRequest, IssueResponse};

use super::{Mesh, control_channel};

/// Asks in the name of `id`, with a new key.
pub(crate) async fn issue(
    mesh: &Mesh,
    id: &SpiffeId,
    token: Option<&str>,
    leaf: Option<&Leaf>,
) -> Result<IssueResponse, Status> {
    let csr = csr::create(&PrivateKey::generate().expect("a key"), id).expect("it is sound");
    issue_for(mesh, csr, token, leaf).await
}

/// Sends this signing request (DER, or whatever it is) with a join token, a certificate, both, or nothing to prove it.
pub(crate) async fn issue_for(
    mesh: &Mesh,
    csr: Vec<u8>,
    token: Option<&str>,
    leaf: Option<&Leaf>,
) -> Result<IssueResponse, Status> {
    let mut request = Request::new(IssueRequest { csr });
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("it is a header's value");
        request.metadata_mut().insert("authorization", value);
    }
    let channel = control_channel(mesh.control_plane(), leaf).await.expect("it listens");
    Ok(IdentityClient::new(channel).issue(request).await?.into_inner())
}

/// A join token for a workload (`web.shop`), good for one certificate.
pub(crate) async fn join_token(mesh: &Mesh, workload: &str) -> String {
    let bootstrap = mesh.control_plane().join(workload).await.expect("the mesh knows it");
    bootstrap["join_token"].as_str().expect("a token").to_owned()
}
