//! Expired clients: let through only where a renewal may follow, and never as peers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{HandshakeKind, ServerConfig};

use super::{H1, Meeting, Side, meet};
use crate::testing::{Ca, DAY, MINUTE, domain, shop};
use crate::tls::{ClientAuth, client_config, server_config, server_name};
use crate::verify::{self, PeerError, Standing};
use crate::{Leaf, TrustBundle};

fn server(ca: &Ca, clients: ClientAuth) -> Arc<ServerConfig> {
    let leaf = ca.leaf("control-plane", SystemTime::now());
    server_config(&leaf, ca.bundle(), clients, &[H1]).unwrap().into()
}

/// A leaf of `ca` that expired `ago`.
fn expired(ca: &Ca, ago: Duration) -> Leaf {
    ca.leaf("product", SystemTime::now() - DAY - ago)
}

async fn ask(leaf: &Leaf, roots: &TrustBundle, server: &Arc<ServerConfig>) -> Meeting {
    let client = client_config(Some(leaf), roots, &[H1]).unwrap().into();
    meet(&client, server, server_name(&shop("control-plane"))).await
}

fn refused((client, server): Meeting) -> String {
    assert!(client.is_err(), "the client was let in");
    server.unwrap_err().to_string()
}

/// No peer, but known.
fn assert_expired(side: &Side) {
    let now = SystemTime::now();
    let strict = verify::peer(&side.chain, &domain(), now);
    assert!(matches!(strict, Err(PeerError::Expired { .. })), "{strict:?}");
    let standing = verify::peer_allow_expired(&side.chain, &domain(), now).unwrap();
    assert!(matches!(&standing, Standing::Expired(peer) if peer.id == shop("product")));
}

#[tokio::test]
async fn expired_for_less_than_a_week_gets_through_for_a_renewal() {
    let ca = Ca::new(SystemTime::now());
    let server = server(&ca, ClientAuth::OptionalAllowExpired);
    for ago in [MINUTE, 7 * DAY - MINUTE] {
        let (client, server) = ask(&expired(&ca, ago), ca.bundle(), &server).await;
        client.unwrap();
        assert_expired(&server.unwrap());
    }
    let long_ago = refused(ask(&expired(&ca, 7 * DAY + MINUTE), ca.bundle(), &server).await);
    assert!(long_ago.contains("Expired"), "{long_ago}");
}

#[tokio::test]
async fn resumption_changes_nothing_about_it() {
    let ca = Ca::new(SystemTime::now());
    let server = server(&ca, ClientAuth::OptionalAllowExpired);
    let client = client_config(Some(&expired(&ca, MINUTE)), ca.bundle(), &[H1]).unwrap().into();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (_, server) = meet(&client, &server, server_name(&shop("control-plane"))).await;
        let server = server.unwrap();
        assert_eq!(server.kind, kind);
        assert_expired(&server);
    }
}

#[tokio::test]
async fn valid_and_absent_certificates_are_as_good_there_as_elsewhere() {
    let now = SystemTime::now();
    let ca = Ca::new(now);
    let server = server(&ca, ClientAuth::OptionalAllowExpired);
    let (_, side) = ask(&ca.leaf("product", now), ca.bundle(), &server).await;
    let standing = verify::peer_allow_expired(&side.unwrap().chain, &domain(), now).unwrap();
    assert!(matches!(standing, Standing::Valid(_)));

    let nobody = client_config(None, ca.bundle(), &[H1]).unwrap().into();
    let (client, side) = meet(&nobody, &server, server_name(&shop("control-plane"))).await;
    assert!(client.is_ok() && side.unwrap().chain.is_empty());
}

#[tokio::test]
async fn everywhere_else_expired_is_refused() {
    let ca = Ca::new(SystemTime::now());
    for clients in [ClientAuth::Required, ClientAuth::Optional] {
        let server = server(&ca, clients);
        let reason = refused(ask(&expired(&ca, MINUTE), ca.bundle(), &server).await);
        assert!(reason.contains("expired"), "{clients:?}: {reason}");
    }
}

#[tokio::test]
async fn only_the_leafs_own_expiry_is_forgiven() {
    let now = SystemTime::now();
    let ca = Ca::new(now);
    let server = server(&ca, ClientAuth::OptionalAllowExpired);

    let stranger = Ca::new(now);
    let reason = refused(ask(&expired(&stranger, MINUTE), ca.bundle(), &server).await);
    assert!(reason.contains("BadSignature"), "{reason}");

    // The issuing certificate ended an hour ago, and its leaf with it.
    let old = ca.sibling(now - 365 * DAY - 60 * MINUTE);
    let leaf = old.authority.leaf_for(&shop("product"), DAY, old.authority.not_after() - MINUTE);
    let reason = refused(ask(&leaf.unwrap(), ca.bundle(), &server).await);
    assert!(reason.contains("Expired"), "{reason}");
}
