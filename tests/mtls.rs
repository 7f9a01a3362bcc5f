//! Who may talk to whom: identities arrive, and nobody gets in with another one, neither by a handshake nor by
//! resuming an old session.

use std::time::{Duration, SystemTime};

use anyhow::ensure;
use http::Method;
use rustls::HandshakeKind;
use weft_certs::{Authority, Leaf, SpiffeId, TrustBundle};

use crate::harness::{Builder, Mesh, TlsApp, TlsClient, eventually, get, http1, request};

const HOUR: Duration = Duration::from_secs(3600);

fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway")
}

/// A CA that has nothing to do with the mesh's, and a leaf of it for the gateway of `domain`.
fn stranger(domain: &str) -> (Authority, Leaf) {
    let domain = domain.parse().unwrap();
    let authority = Authority::create(&domain, SystemTime::now(), Default::default()).unwrap();
    let id = SpiffeId::workload(&domain, "shop", "gateway").unwrap();
    let leaf = authority.leaf_for(&id, HOUR, SystemTime::now()).unwrap();
    (authority, leaf)
}

/// A leaf of the mesh's own CA that ended a minute ago.
fn expired(mesh: &Mesh, account: &str) -> Leaf {
    let minute = Duration::from_secs(60);
    let then = SystemTime::now() - 2 * minute;
    mesh.control_plane().authority().leaf_for(&mesh.id(account), minute, then).unwrap()
}

#[tokio::test]
async fn a_request_through_both_sidecars_arrives_with_the_callers_identity() {
    let mesh = shop().mtls("STRICT").start().await;
    let forged = "By=spiffe://mesh.test/x;URI=spiffe://mesh.test/ns/shop/sa/root";
    let headers = [
        ("x-forwarded-client-cert", forged),
        ("weft-failure", "unprocessed"),
        ("weft-route", "HTTPRoute/shop/forged#0 /forged"),
    ];
    let sent = request(Method::POST, "/buy?what=shoes", &headers, "size 9");
    let answer = http1(mesh.entry("gateway", "product"), sent).await.unwrap();
    assert_eq!(answer.status, 200);
    let echo = answer.json();
    assert_eq!(echo["path"], "/buy?what=shoes");
    assert_eq!(echo["body"], "size 9");
    let certificate = answer.received("x-forwarded-client-cert");
    assert!(certificate.starts_with(&format!("By={}", mesh.id("product"))), "{certificate}");
    assert!(certificate.ends_with(&format!("URI={}", mesh.id("gateway"))), "{certificate}");
    assert!(!certificate.contains("root"), "what a client claims is not passed on: {certificate}");
    assert_eq!(answer.received("weft-failure"), "");
    assert_eq!(answer.received("weft-route"), "");
}

#[tokio::test]
async fn plaintext_to_a_strict_port_is_refused() {
    let mesh = shop().mtls("STRICT").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let answer = get(inbound, "/").await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(mesh.app("product-v1").count(), 0);
    // The port is open all the same, for those who can prove who they are.
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn plaintext_to_a_permissive_port_is_nobody() {
    let mesh = shop().mtls("PERMISSIVE").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let forged = [("x-forwarded-client-cert", "URI=spiffe://mesh.test/ns/shop/sa/gateway")];
    let answer = http1(inbound, request(Method::GET, "/", &forged, "")).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.received("x-forwarded-client-cert"), "");
    // A caller with a sidecar goes over mutual TLS here too.
    let meshed = get(mesh.entry("gateway", "product"), "/").await.unwrap();
    assert!(meshed.received("x-forwarded-client-cert").contains("sa/gateway"));
}

#[tokio::test]
async fn the_mode_of_a_port_changes_while_it_runs() {
    let mesh = shop().mtls("PERMISSIVE").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    assert_eq!(get(inbound, "/").await.unwrap().status, 200);
    mesh.write(
        "strict.yaml",
        "apiVersion: weft.dev/v1alpha1\nkind: InboundPolicy\n\
         metadata: {name: strict, namespace: shop}\n\
         spec: {selector: {matchLabels: {app: product}}, mtls: STRICT}\n",
    );
    eventually("plaintext is refused", Duration::from_secs(1), async || {
        ensure!(get(inbound, "/").await.is_err(), "it is still let in");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn clients_with_certificates_of_no_worth_are_refused() {
    let mesh = shop().mtls("STRICT").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let authority = mesh.control_plane().authority();
    let (server, bundle) = (mesh.id("product"), authority.bundle());
    let (_, impostor) = stranger("mesh.test");
    let (_, foreigner) = stranger("elsewhere.test");
    let expired = expired(&mesh, "gateway");
    let worthless = [
        ("no certificate", None),
        ("one of another CA for the same id", Some(&impostor)),
        ("one of another trust domain", Some(&foreigner)),
        ("an expired one", Some(&expired)),
    ];
    for (what, leaf) in worthless {
        let knock = TlsClient::new(leaf, bundle, &server).knock(inbound).await;
        assert!(!knock.is_let_in(), "{what}: {knock:?}");
        assert_eq!(mesh.app("product-v1").count(), 0, "{what}");
    }
    // The same client with a good certificate is let in, so it is the certificate that was refused.
    let good = mesh.leaf("gateway", HOUR);
    let knock = TlsClient::new(Some(&good), bundle, &server).knock(inbound).await;
    assert!(knock.is_let_in(), "{knock:?}");
}

/// In opaque bytes a caller could tell the application what only its sidecar may, who calls above all.
#[tokio::test]
async fn a_port_that_is_declared_as_http_takes_no_opaque_bytes_of_the_mesh() {
    let mesh = shop().start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let authority = mesh.control_plane().authority();
    let good = mesh.leaf("gateway", HOUR);
    let client = TlsClient::new(Some(&good), authority.bundle(), &mesh.id("product"));
    assert!(client.knock(inbound).await.is_let_in());
    let before = mesh.app("product-v1").count();
    for protocols in [&[&b"weft-tcp"[..]][..], &[b"weft-open", b"weft-tcp"]] {
        let knock = client.speaking(protocols).knock(inbound).await;
        assert!(!knock.is_let_in(), "{protocols:?}: {knock:?}");
    }
    assert_eq!(mesh.app("product-v1").count(), before);
}

#[tokio::test]
async fn clients_that_name_no_protocol_of_the_mesh_are_taken_on_strict_ports_only() {
    for (mode, taken) in [("STRICT", true), ("PERMISSIVE", false)] {
        let mesh = shop().mtls(mode).start().await;
        let inbound = mesh.proxy("product-v1").inbound();
        let authority = mesh.control_plane().authority();
        let good = mesh.leaf("gateway", HOUR);
        let client = TlsClient::new(Some(&good), authority.bundle(), &mesh.id("product"));
        let foreign = client.speaking(&[b"http/1.1"]);
        assert_eq!(foreign.knock(inbound).await.is_let_in(), taken, "{mode}");
        let nobody = TlsClient::new(None, authority.bundle(), &mesh.id("product"));
        assert!(!nobody.speaking(&[b"http/1.1"]).knock(inbound).await.is_let_in(), "{mode}");
        assert!(client.knock(inbound).await.is_let_in(), "{mode}");
    }
}

#[tokio::test]
async fn a_resumed_session_does_not_outlive_its_certificate() {
    let mesh = shop().mtls("STRICT").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let authority = mesh.control_plane().authority();
    // The longer ones are for a machine that stands still meanwhile.
    for seconds in [3, 9, 27] {
        let leaf = mesh.leaf("gateway", Duration::from_secs(seconds));
        let client = TlsClient::new(Some(&leaf), authority.bundle(), &mesh.id("product"));
        let (first, second) = (client.knock(inbound).await, client.knock(inbound).await);
        if !leaf.is_valid_at(SystemTime::now()) {
            continue;
        }
        assert!(first.is_let_in() && first.handshake == Some(HandshakeKind::Full), "{first:?}");
        let is_resumed = second.handshake == Some(HandshakeKind::Resumed);
        assert!(second.is_let_in() && is_resumed, "{second:?}");
        until_expired(&leaf).await;
        is_not_let_in(&mesh, &client).await;
        return;
    }
    panic!("none of them lived long enough");
}

async fn is_not_let_in(mesh: &Mesh, client: &TlsClient) {
    let before = mesh.app("product-v1").count();
    let third = client.knock(mesh.proxy("product-v1").inbound()).await;
    assert_eq!(
        third.handshake,
        Some(HandshakeKind::Resumed),
        "rustls itself lets it in: {third:?}"
    );
    assert!(!third.is_let_in(), "{third:?}");
    assert_eq!(mesh.app("product-v1").count(), before);
}

async fn until_expired(leaf: &Leaf) {
    eventually("the certificate expires", Duration::from_secs(10), async || {
        ensure!(!leaf.is_valid_at(SystemTime::now()), "still valid");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn servers_with_certificates_of_no_worth_get_no_request() {
    let mesh = Mesh::builder().without_sidecar("bank", "http").caller("gateway").start().await;
    let authority = mesh.control_plane().authority();
    let bundle = authority.bundle();
    let good = mesh.leaf("bank", HOUR);
    let (foreign, foreigner) = stranger("elsewhere.test");
    let (_, impostor) = stranger("mesh.test");
    let server = TlsApp::start(mesh.workload_address("bank-v1"), &good, bundle).await.unwrap();
    let entry = mesh.entry("gateway", "bank");
    let another = mesh.leaf("product", HOUR);
    let expired = expired(&mesh, "bank");
    let worthless: [(&str, &Leaf, &TrustBundle); 4] = [
        ("another id of the same CA", &another, bundle),
        ("another trust domain", &foreigner, foreign.bundle()),
        ("another CA", &impostor, bundle),
        ("expired", &expired, bundle),
    ];
    for (what, leaf, bundle) in worthless {
        server.show(leaf, bundle);
        let answer = get(entry, "/").await.unwrap();
        assert_eq!(answer.status, 503, "{what}");
        let status = answer.header("proxy-status");
        assert!(status.contains("tls_"), "{what}: {status}");
        assert_eq!(server.requests(), 0, "{what}");
    }
    server.show(&good, bundle);
    eventually("the right one gets requests", Duration::from_secs(5), async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_session_with_a_server_is_not_resumed_beyond_its_certificate() {
    let mesh = Mesh::builder().without_sidecar("bank", "http").caller("gateway").start().await;
    let authority = mesh.control_plane().authority();
    let address = mesh.workload_address("bank-v1");
    let first = mesh.leaf("bank", HOUR);
    let server = TlsApp::start(address, &first, authority.bundle()).await.unwrap();
    let entry = mesh.entry("gateway", "bank");
    // The longer ones are for a machine that stands still meanwhile.
    for seconds in [4, 12, 36] {
        let leaf = mesh.leaf("bank", Duration::from_secs(seconds));
        server.show(&leaf, authority.bundle());
        let begun = server.handshakes().len();
        let answers = [get(entry, "/").await.unwrap(), get(entry, "/").await.unwrap()];
        if !leaf.is_valid_at(SystemTime::now()) {
            continue;
        }
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let handshakes = &server.handshakes()[begun..];
        assert!(handshakes.contains(&Some(HandshakeKind::Resumed)), "{handshakes:?}");
        until_expired(&leaf).await;
        let (before, resumed) = (server.requests(), server.handshakes().len());
        let answer = get(entry, "/").await.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(server.requests(), before);
        let later = &server.handshakes()[resumed..];
        assert!(later.contains(&Some(HandshakeKind::Resumed)), "it was tried: {later:?}");
        return;
    }
    panic!("none of them lived long enough");
}
