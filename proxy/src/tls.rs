//! This workload's TLS: what it shows, whom it believes, and the check of the peer after every handshake.
//!
//! `identity` publishes credentials, `app` puts them here, connections read them. Without valid credentials
//! nothing is sent and nothing accepted: there is no fallback to plaintext.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client, server};
use weft_certs::tls::{ClientAuth, KeyExchange, TlsError};
use weft_certs::{Leaf, SpiffeId, TrustBundle, verify};
use weft_proto::alpn;

use crate::error::{Error, Token};
use crate::io::Ahead;
use crate::upstream::Protocol;

/// Protocols that are accepted, in order of preference. A caller that offers [`alpn::OPEN`] wants it.
const ACCEPTED: [&[u8]; 4] = [alpn::OPEN, alpn::HTTP2, alpn::HTTP1, alpn::TCP];

/// What every connection reads. One writer (`app`), replaced as a whole.
#[derive(Debug, Default)]
pub struct TlsStore {
    key_exchange: KeyExchange,
    configs: ArcSwapOption<TlsConfigs>,
}

/// TLS of one leaf and one trust bundle. Sessions are resumed only within it.
pub struct TlsConfigs {
    /// Our identity.
    pub id: SpiffeId,
    /// When our leaf expires.
    pub not_after: SystemTime,
    connectors: [TlsConnector; 4],
    /// For sidecars, and for other clients of the mesh too.
    servers: [Arc<rustls::ServerConfig>; 2],
}

/// An authenticated peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who it is.
    pub id: SpiffeId,
    /// When its leaf expires.
    pub not_after: SystemTime,
    /// Its leaf, for `x-forwarded-client-cert`.
    pub leaf: CertificateDer<'static>,
    /// It has offered more than one protocol, as Envoys do and sidecars of ours never do: what was agreed on says
    /// nothing of what it will speak.
    pub is_undecided: bool,
}

impl TlsStore {
    /// One without credentials yet.
    #[must_use]
    pub fn new(key_exchange: KeyExchange) -> Self {
        Self { key_exchange, configs: ArcSwapOption::empty() }
    }

    /// Puts new credentials in force, or none. Connections that are open live on.
    ///
    /// # Errors
    /// If rustls refuses them; the old ones stay in force.
    pub fn set(&self, credentials: Option<(&Leaf, &TrustBundle)>) -> Result<(), TlsError> {
        let configs = match credentials {
            Some((leaf, bundle)) => {
                Some(Arc::new(TlsConfigs::new(self.key_exchange, leaf, bundle)?))
            }
            None => None,
        };
        self.configs.store(configs);
        Ok(())
    }

    /// What is in force now.
    ///
    /// # Errors
    /// If there is no leaf, or it has expired.
    pub fn current(&self) -> Result<Arc<TlsConfigs>, Error> {
        let configs = self.configs.load_full().ok_or_else(|| {
            Error::new(Token::IdentityUnavailable, "this workload has no certificate yet")
        })?;
        if configs.not_after <= SystemTime::now() {
            let message = "this workload's certificate has expired and could not be renewed";
            return Err(Error::new(Token::IdentityUnavailable, message));
        }
        Ok(configs)
    }
}

impl TlsConfigs {
    fn new(key_exchange: KeyExchange, leaf: &Leaf, bundle: &TrustBundle) -> Result<Self, TlsError> {
        let mut template = key_exchange.client_config(Some(leaf), bundle, &[])?;
        let mut connector = |protocols: &[&[u8]]| {
            // The clones share one session store, apart by expected identity (the server name).
            template.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            TlsConnector::from(Arc::new(template.clone()))
        };
        let connectors = [
            connector(&[alpn::HTTP1]),
            connector(&[alpn::HTTP2]),
            connector(&[alpn::TCP]),
            // An acceptor that is not weft-proxy knows only the second.
            connector(&[alpn::OPEN, alpn::TCP]),
        ];
        let server = |protocols: &[&[u8]]| {
            let clients = ClientAuth::Required;
            key_exchange.server_config(leaf, bundle, clients, protocols).map(Arc::new)
        };
        let foreign_too = [&ACCEPTED[..], &alpn::FOREIGN[..]].concat();
        Ok(Self {
            id: leaf.id().clone(),
            not_after: leaf.not_after(),
            connectors,
            servers: [server(&ACCEPTED)?, server(&foreign_too)?],
        })
    }

    /// Handshake as the caller.
    ///
    /// # Errors
    /// If it fails, or the peer is not `expected`. Nothing of a request has left.
    pub async fn connect(
        &self,
        protocol: Protocol,
        name: ServerName<'static>,
        expected: &SpiffeId,
        stream: TcpStream,
    ) -> Result<client::TlsStream<Ahead>, Error> {
        let connector = match protocol {
            Protocol::Http1 => &self.connectors[0],
            Protocol::Http2 => &self.connectors[1],
            Protocol::Tcp => &self.connectors[2],
            Protocol::Open => &self.connectors[3],
        };
        let stream = connector.connect(name, Ahead::new(stream)).await.map_err(|error| {
            let token = if is_certificate_error(&error) {
                Token::TlsCertificateError
            } else {
                Token::TlsProtocolError
            };
            Error::unprocessed(token, format!("handshake with {expected}: {error}"))
        })?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        verify::expected_peer(chain, expected, SystemTime::now())
            .map_err(|error| Error::unprocessed(Token::TlsCertificateError, error.to_string()))?;
        Ok(stream)
    }

    /// Handshake as the one who is called. `strict`: nothing but mutual TLS is taken here, so that clients are too which
    /// do not name a protocol of the mesh.
    ///
    /// # Errors
    /// If it fails, or the peer has no valid identity in our trust domain.
    pub async fn accept(
        &self,
        stream: TcpStream,
        strict: bool,
    ) -> Result<(server::TlsStream<Ahead>, Peer), Error> {
        let failed = |error: std::io::Error| {
            Error::new(Token::TlsProtocolError, format!("handshake with a caller: {error}"))
        };
        let hello =
            LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Ahead::new(stream));
        let start = hello.await.map_err(failed)?;
        let offered = start.client_hello().alpn();
        let is_undecided = offered.is_some_and(|mut offered| offered.nth(1).is_some());
        let stream = start
            .into_stream(Arc::clone(&self.servers[usize::from(strict)]))
            .await
            .map_err(failed)?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = verify::peer(chain, self.id.trust_domain(), SystemTime::now())
            .map_err(|error| Error::new(Token::TlsCertificateError, error.to_string()))?;
        let leaf = chain.first().cloned().map(CertificateDer::into_owned);
        let leaf = leaf.unwrap_or_else(|| CertificateDer::from(Vec::new()));
        Ok((stream, Peer { id: peer.id, not_after: peer.not_after, leaf, is_undecided }))
    }
}

impl std::fmt::Debug for TlsConfigs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConfigs")
            .field("id", &self.id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn is_certificate_error(error: &std::io::Error) -> bool {
    let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        rustls,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}
