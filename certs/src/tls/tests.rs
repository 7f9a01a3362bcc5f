//! Real handshakes over an in-memory stream: who is let in, who is not, and what resumption keeps.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::{Authority, Lifetimes, TrustDomain};

const DAY: Duration = Duration::from_secs(24 * 3600);
const H1: &[u8] = b"weft-http/1.1";
const H2: &[u8] = b"weft-h2";

/// What one side knew when the handshake and one exchange of bytes were over.
struct Side {
    chain: Vec<CertificateDer<'static>>,
    alpn: Option<Vec<u8>>,
    kind: Option<HandshakeKind>,
}

/// Connects, sends a byte each way, and says how it went for the client and for the server. The
/// client reads before it judges: in TLS 1.3 it learns only then that its certificate was refused.
async fn meet(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: ServerName<'static>,
) -> (std::io::Result<Side>, std::io::Result<Side>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connect = async {
        let mut stream = TlsConnector::from(client.clone()).connect(name, near).await?;
        stream.write_all(b"?").await?;
        stream.read_exact(&mut [0]).await?;
        let session = stream.get_ref().1;
        Ok(Side {
            chain: session.peer_certificates().unwrap_or_default().to_vec(),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            kind: session.handshake_kind(),
        })
    };
    let accept = async {
        let mut stream = TlsAcceptor::from(server.clone()).accept(far).await?;
        stream.read_exact(&mut [0]).await?;
        stream.write_all(b"!").await?;
        stream.flush().await?;
        let session = stream.get_ref().1;
        Ok(Side {
            chain: session.peer_certificates().unwrap_or_default().to_vec(),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            kind: session.handshake_kind(),
        })
    };
    tokio::join!(connect, accept)
}

#[tokio::test]
async fn two_workloads_meet() {
    let now = SystemTime::now();
    let td: TrustDomain = "demo.local".parse().unwrap();
    let ca = Authority::create(&td, now, Lifetimes::default()).unwrap();
    let a = ca.leaf_for(&SpiffeId::workload(&td, "shop", "gateway").unwrap(), DAY, now).unwrap();
    let b = ca.leaf_for(&SpiffeId::workload(&td, "shop", "product").unwrap(), DAY, now).unwrap();
    let client = Arc::new(client_config(Some(&a), ca.bundle(), &[H1, H2]).unwrap());
    let server =
        Arc::new(server_config(&b, ca.bundle(), ClientAuth::Required, &[H2, H1]).unwrap());
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (c, s) = meet(&client, &server, server_name(b.id())).await;
        let (c, s) = (c.unwrap(), s.unwrap());
        assert_eq!((c.kind, s.kind), (Some(kind), Some(kind)));
        assert_eq!(c.alpn.as_deref(), Some(H2));
        assert_eq!(s.alpn.as_deref(), Some(H2));
        assert_eq!(crate::verify::peer(&c.chain, &td, now).unwrap().id, *b.id());
        assert_eq!(crate::verify::peer(&s.chain, &td, now).unwrap().id, *a.id());
    }
}
