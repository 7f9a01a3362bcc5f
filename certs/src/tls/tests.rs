//! Real handshakes over an in-memory stream: who is let in, who is not, and what resumption keeps.

mod expired;
mod openssl;
mod refused;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::SupportedKxGroup;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, CommonState, HandshakeKind, NamedGroup, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, TlsConnector};

use super::{ClientAuth, KeyExchange, client_config, server_config, server_name};
use crate::testing::{Ca, DAY, MINUTE, domain, shop};
use crate::verify::{self, PeerError};
use crate::{SpiffeId, TrustBundle};

const H1: &[u8] = b"weft-http/1.1";
const H2: &[u8] = b"weft-h2";

/// What one side knew when the handshake and one exchange of bytes were over.
#[derive(Debug)]
struct Side {
    chain: Vec<CertificateDer<'static>>,
    alpn: Option<Vec<u8>>,
    kind: HandshakeKind,
    group: Option<NamedGroup>,
}

impl Side {
    fn of(session: &CommonState) -> Self {
        Self {
            chain: session.peer_certificates().unwrap_or_default().to_vec(),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            kind: session.handshake_kind().unwrap(),
            group: session.negotiated_key_exchange_group().map(SupportedKxGroup::name),
        }
    }
}

/// How it went for the client and for the server.
type Meeting = (io::Result<Side>, io::Result<Side>);

/// Connects and sends a byte each way. The client judges after it has read: in TLS 1.3 it learns
/// only then that its certificate was refused.
async fn meet(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: ServerName<'static>,
) -> Meeting {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connect = async {
        let mut stream = TlsConnector::from(client.clone()).connect(name, near).await?;
        stream.write_all(b"?").await?;
        stream.read_exact(&mut [0]).await?;
        Ok(Side::of(stream.get_ref().1))
    };
    let accept = async {
        let mut stream = TlsAcceptor::from(server.clone()).accept(far).await?;
        stream.read_exact(&mut [0]).await?;
        stream.write_all(b"!").await?;
        stream.flush().await?;
        Ok(Side::of(stream.get_ref().1))
    };
    tokio::join!(connect, accept)
}

/// A client and a server of one CA, both with honest leaves.
struct Pair {
    ca: Ca,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Pair {
    fn new() -> Self {
        let now = SystemTime::now();
        let ca = Ca::new(now);
        let (gateway, product) = (ca.leaf("gateway", now), ca.leaf("product", now));
        let client = client_config(Some(&gateway), ca.bundle(), &[H1, H2]).unwrap();
        let server = server_config(&product, ca.bundle(), ClientAuth::Required, &[H2, H1]).unwrap();
        Self { ca, client: client.into(), server: server.into() }
    }

    async fn meet(&self) -> (Side, Side) {
        let (c, s) = meet(&self.client, &self.server, server_name(&shop("product"))).await;
        (c.unwrap(), s.unwrap())
    }
}

fn id_of(side: &Side) -> SpiffeId {
    verify::peer(&side.chain, &domain(), SystemTime::now()).unwrap().id
}

#[tokio::test]
async fn two_workloads_meet_and_know_each_other() {
    let (client, server) = Pair::new().meet().await;
    assert_eq!(id_of(&client), shop("product"));
    assert_eq!(id_of(&server), shop("gateway"));
    assert_eq!(client.chain.len(), 2, "the issuing certificate came along");
    assert_eq!((client.kind, server.kind), (HandshakeKind::Full, HandshakeKind::Full));
    assert_eq!(client.alpn.as_deref(), Some(H2), "the server's preference");
    assert_eq!(server.alpn, client.alpn);
}

#[tokio::test]
async fn protocols_without_overlap_are_refused() {
    let pair = Pair::new();
    let now = SystemTime::now();
    let tcp = client_config(Some(&pair.ca.leaf("a", now)), pair.ca.bundle(), &[b"weft-tcp"]);
    let (client, server) =
        meet(&tcp.unwrap().into(), &pair.server, server_name(&shop("product"))).await;
    assert!(client.is_err() && server.is_err());
}

#[tokio::test]
async fn a_resumed_session_still_shows_the_peer_and_its_expiry() {
    let pair = Pair::new();
    assert!(pair.server.ticketer.enabled(), "the server keeps no sessions");
    pair.meet().await;
    let (client, server) = pair.meet().await;
    assert_eq!((client.kind, server.kind), (HandshakeKind::Resumed, HandshakeKind::Resumed));
    assert_eq!((id_of(&client), id_of(&server)), (shop("product"), shop("gateway")));

    let later = SystemTime::now() + DAY + MINUTE;
    for side in [client, server] {
        let late = verify::peer(&side.chain, &domain(), later);
        assert!(matches!(late, Err(PeerError::Expired { .. })), "{late:?}");
    }
}

#[tokio::test]
async fn new_configurations_resume_nothing_old() {
    let mut pair = Pair::new();
    pair.meet().await;
    let now = SystemTime::now();
    let product = pair.ca.leaf("product", now);
    let server = server_config(&product, pair.ca.bundle(), ClientAuth::Required, &[H1]);
    pair.server = server.unwrap().into();
    assert_eq!(pair.meet().await.0.kind, HandshakeKind::Full, "the old server's tickets");
    assert_eq!(pair.meet().await.0.kind, HandshakeKind::Resumed);
    let gateway = pair.ca.leaf("gateway", now);
    pair.client = client_config(Some(&gateway), pair.ca.bundle(), &[H1]).unwrap().into();
    assert_eq!(pair.meet().await.0.kind, HandshakeKind::Full, "the old client's sessions");
}

#[tokio::test]
async fn sessions_of_different_identities_do_not_mix() {
    let pair = Pair::new();
    pair.meet().await;
    // The same address may turn into another workload; its name is another one, so nothing is
    // resumed, and the handshake sees that the server is not the one that was called.
    let (client, server) = meet(&pair.client, &pair.server, server_name(&shop("payment"))).await;
    let reason = client.unwrap_err().to_string();
    assert!(reason.contains("the server is spiffe://demo.local/ns/shop/sa/product"), "{reason}");
    assert!(server.unwrap_err().to_string().contains("CertificateUnknown"));
}

#[tokio::test]
async fn the_session_store_is_bounded() {
    let pair = Pair::new();
    // 32 identities are kept, and the oldest is forgotten: after 40 others, ours is gone.
    pair.meet().await;
    let now = SystemTime::now();
    for number in 0..40 {
        let account = format!("other-{number}");
        let leaf = pair.ca.leaf(&account, now);
        let server = server_config(&leaf, pair.ca.bundle(), ClientAuth::Required, &[H1]).unwrap();
        let (client, _) = meet(&pair.client, &server.into(), server_name(&shop(&account))).await;
        assert_eq!(client.unwrap().kind, HandshakeKind::Full);
    }
    assert_eq!(pair.meet().await.0.kind, HandshakeKind::Full);
}

#[tokio::test]
async fn connections_that_are_opened_at_once_are_all_resumed() {
    let pair = Pair::new();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let (client, server) = (Arc::clone(&pair.client), Arc::clone(&pair.server));
            opening.spawn(async move {
                meet(&client, &server, server_name(&shop("product"))).await.0.unwrap().kind
            });
        }
        while let Some(kind) = opening.join_next().await {
            assert_eq!(kind.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn no_name_is_sent_in_the_clear() {
    let pair = Pair::new();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connect = TlsConnector::from(pair.client.clone());
    let connect = connect.connect(server_name(&shop("product")), near);
    let accept = async {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), far).await?;
        assert_eq!(start.client_hello().server_name(), None);
        start.into_stream(pair.server.clone()).await
    };
    let (client, server) = tokio::join!(connect, accept);
    assert!(client.is_ok() && server.is_ok());
}

#[tokio::test]
async fn either_root_of_a_bundle_is_believed_while_roots_change() {
    let now = SystemTime::now();
    let (old, new) = (Ca::new(now), Ca::new(now));
    let roots = [&old, &new].map(|ca| ca.bundle().ders()[0].clone());
    let both = TrustBundle::from_der(roots).unwrap();
    for (a, b) in [(&old, &new), (&new, &old)] {
        let client = client_config(Some(&a.leaf("gateway", now)), &both, &[H1]).unwrap();
        let leaf = b.leaf("product", now);
        let server = server_config(&leaf, &both, ClientAuth::Required, &[H1]).unwrap();
        let (client, server) =
            meet(&client.into(), &server.into(), server_name(&shop("product"))).await;
        assert!(client.is_ok() && server.is_ok());
    }
}

#[test]
fn server_names_are_stable_and_apart() {
    let name = server_name(&shop("product"));
    assert_eq!(name, server_name(&shop("product")));
    assert_ne!(name, server_name(&shop("payment")));
    assert!(name.to_str().ends_with(".weft"), "{name:?}");
}

#[tokio::test]
async fn the_secret_is_post_quantum_where_both_sides_can() {
    let now = SystemTime::now();
    let ca = Ca::new(now);
    let leaves = (ca.leaf("gateway", now), ca.leaf("product", now));
    let hybrid = NamedGroup::X25519MLKEM768;
    use KeyExchange::{Classic, PreferPostQuantum};
    for (one, other, expected) in [
        (PreferPostQuantum, PreferPostQuantum, hybrid),
        (PreferPostQuantum, Classic, NamedGroup::X25519),
        (Classic, PreferPostQuantum, NamedGroup::X25519),
        (Classic, Classic, NamedGroup::X25519),
    ] {
        let client = one.client_config(Some(&leaves.0), ca.bundle(), &[H1]).unwrap();
        let server = other.server_config(&leaves.1, ca.bundle(), ClientAuth::Required, &[H1]);
        let name = server_name(&shop("product"));
        let (client, server) = meet(&client.into(), &server.unwrap().into(), name).await;
        let (client, server) = (client.unwrap(), server.unwrap());
        assert_eq!(
            (client.group, server.group),
            (Some(expected), Some(expected)),
            "{one:?} {other:?}"
        );
        // No second hello: the client offers X25519 beside the hybrid.
        assert_eq!(client.kind, HandshakeKind::Full, "{one:?} {other:?}");
    }
}
