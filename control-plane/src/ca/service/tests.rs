//! Who gets a certificate, for what, and who does not.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tonic::{Code, Request, Status};
use weft_certs::{Serial, verify};
use weft_proto::identity::identity_server::Identity;
use weft_proto::identity::{IssueRequest, IssueResponse};

use super::IdentityService;
use crate::ca::CaNumbers;
use crate::model::Mesh;
use crate::peer::AuthenticatedPeer;
use crate::testing::{TestCa, csr, id, mesh, trust_domain};

fn request(csr: Vec<u8>) -> Request<IssueRequest> {
    Request::new(IssueRequest { csr })
}

fn with_token(csr: Vec<u8>, token: &str) -> Request<IssueRequest> {
    let mut request = request(csr);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn with_peer(csr: Vec<u8>, service_account: &str, expired: bool) -> Request<IssueRequest> {
    let mut request = request(csr);
    request.extensions_mut().insert(AuthenticatedPeer {
        id: id(service_account),
        serial: Serial::new(&[1]),
        expired,
    });
    request
}

async fn issue(ca: &TestCa, request: Request<IssueRequest>) -> Result<IssueResponse, Status> {
    let service = IdentityService::new(ca.ca.clone(), None);
    service.issue(request).await.map(tonic::Response::into_inner)
}

async fn refused(ca: &TestCa, request: Request<IssueRequest>) -> (Code, String) {
    let status = issue(ca, request).await.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn a_token_buys_the_certificate_of_its_workload() {
    let ca = TestCa::new(&["product"]);
    let answer = issue(&ca, with_token(csr("product"), &ca.token("product"))).await.unwrap();
    let chain: Vec<_> = answer.chain.into_iter().map(CertificateDer::from).collect();
    let peer = verify::peer(&chain, &trust_domain(), ca.clock.clock().now()).unwrap();
    assert_eq!(peer.id, id("product"));
    assert_eq!(answer.trust_bundle.len(), 1);
}

#[tokio::test]
async fn a_token_works_once() {
    let ca = TestCa::new(&["product"]);
    let token = ca.token("product");
    issue(&ca, with_token(csr("product"), &token)).await.unwrap();
    let (code, message) = refused(&ca, with_token(csr("product"), &token)).await;
    assert_eq!(code, Code::Unauthenticated, "{message}");
    assert!(message.contains("used"), "{message}");
}

#[tokio::test]
async fn somebody_elses_identity_is_refused_and_the_token_is_spent() {
    let ca = TestCa::new(&["product", "payment"]);
    let token = ca.token("product");
    let (code, message) = refused(&ca, with_token(csr("payment"), &token)).await;
    assert_eq!(code, Code::PermissionDenied);
    for id in [id("product"), id("payment")] {
        assert!(message.contains(id.as_str()), "{message}");
    }
    let (code, _) = refused(&ca, with_token(csr("product"), &token)).await;
    assert_eq!(code, Code::Unauthenticated);
}

#[tokio::test]
async fn a_certificate_renews_itself_and_nobody_else() {
    let ca = TestCa::new(&["product", "payment"]);
    for expired in [false, true] {
        issue(&ca, with_peer(csr("product"), "product", expired)).await.unwrap();
        let (code, message) = refused(&ca, with_peer(csr("payment"), "product", expired)).await;
        assert_eq!(code, Code::PermissionDenied, "{message}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_workload_that_is_gone_is_not_renewed() {
    let ca = TestCa::new(&["product", "payment"]);
    ca.mesh.send_replace(mesh(&["payment"]));
    let (code, message) = refused(&ca, with_peer(csr("product"), "product", false)).await;
    assert_eq!(code, Code::PermissionDenied);
    assert!(message.contains("no workload of the mesh"), "{message}");
}

#[tokio::test]
async fn a_bad_request_is_told_so_and_spends_no_token() {
    let ca = TestCa::new(&["product"]);
    let token = ca.token("product");
    let (code, _) = refused(&ca, with_token(b"nonsense".to_vec(), &token)).await;
    assert_eq!(code, Code::InvalidArgument);
    issue(&ca, with_token(csr("product"), &token)).await.unwrap();
}

#[tokio::test]
async fn without_proof_there_is_nothing() {
    let ca = TestCa::new(&["product"]);
    let (code, message) = refused(&ca, request(csr("product"))).await;
    assert_eq!(code, Code::Unauthenticated);
    assert!(message.contains("send a token"), "{message}");
    for authorization in ["", "Bearer", "Bearer ", "bearer x", "Basic eDp4", "Bearer made-up"] {
        let mut request = request(csr("product"));
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        let (code, message) = refused(&ca, request).await;
        assert_eq!(code, Code::Unauthenticated, "{authorization}: {message}");
    }
}

#[tokio::test]
async fn a_bad_token_is_not_made_good_by_a_certificate() {
    let ca = TestCa::new(&["product"]);
    let mut request = with_token(csr("product"), "made-up");
    request.extensions_mut().insert(AuthenticatedPeer {
        id: id("product"),
        serial: Serial::new(&[1]),
        expired: false,
    });
    assert_eq!(refused(&ca, request).await.0, Code::Unauthenticated);
}

#[tokio::test]
async fn the_life_is_the_meshs_and_at_least_five_seconds() {
    let ca = TestCa::new(&["product"]);
    let now = i64::try_from(ca.clock.clock().unix()).unwrap();
    for (configured, life) in [(1, 5), (10, 10), (3600, 3600)] {
        let mut changed = Mesh::clone(&mesh(&["product"]));
        changed.config.leaf_lifetime = Duration::from_secs(configured);
        ca.mesh.send_replace(Arc::new(changed));
        let answer = issue(&ca, with_peer(csr("product"), "product", false)).await.unwrap();
        assert_eq!((answer.not_before, answer.not_after), (now - 60, now + life));
        assert_eq!(answer.renew_after, now + life * 60 / 100);
    }
}

#[tokio::test]
async fn a_failure_of_the_authority_spends_no_token_and_is_counted() {
    let ca = TestCa::new(&["product"]);
    ca.clock.advance(Duration::from_secs(2 * 365 * 24 * 3600));
    let token = ca.token("product");
    for _ in 0..2 {
        let (code, message) = refused(&ca, with_token(csr("product"), &token)).await;
        assert_eq!(code, Code::Unavailable, "{message}");
    }
    let CaNumbers { issued, refused, failed, tokens, .. } = ca.ca.numbers();
    assert_eq!((issued, refused, failed, tokens), (0, 0, 2, 1));
}

#[tokio::test]
async fn a_reload_renews_the_issuing_certificate() {
    let ca = TestCa::new(&["product"]);
    ca.clock.advance(Duration::from_secs(2 * 365 * 24 * 3600));
    let bundle = ca.ca.bundle();
    ca.ca.reload().await;
    issue(&ca, with_token(csr("product"), &ca.token("product"))).await.unwrap();
    assert_eq!(ca.ca.bundle(), bundle);
}
