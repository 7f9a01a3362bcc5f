//! This workload's TLS: what it shows, whom it believes, and the check of the peer after every handshake.
//!
//! `identity` publishes credentials, `app` puts them here, connections read them. Without valid credentials
//! nothing is sent and nothing accepted: there is no fallback to plaintext.

mod refusals;

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client, server};
use weft_certs::tls::{KeyExchange, TlsError};
use weft_certs::{Denies, Leaf, Serial, SpiffeId, TrustBundle, life, verify};
use weft_proto::alpn;

use crate::denied::Denials;
use crate::error::{Error, Token};
use crate::io::{Ahead, Sever};
use crate::telemetry::metrics::{Direction, Metrics};
use crate::upstream::Protocol;
use refusals::Refusals;

/// Protocols that are accepted, in order of preference. A caller that offers [`alpn::OPEN`] wants it.
const ACCEPTED: [&[u8]; 4] = [alpn::OPEN, alpn::HTTP2, alpn::HTTP1, alpn::TCP];

/// Word for a peer that answers a handshake in plaintext.
pub const PLAINTEXT: &str = "plaintext";

/// What every connection reads. One writer (`app`), replaced as a whole.
#[derive(Debug, Default)]
pub struct TlsStore {
    key_exchange: KeyExchange,
    configs: ArcSwapOption<TlsConfigs>,
    denials: Arc<Denials>,
    refusals: Arc<Refusals>,
}

/// TLS of one leaf and one trust bundle. Sessions are resumed only within it.
pub struct TlsConfigs {
    /// Our identity.
    pub id: SpiffeId,
    /// When our leaf expires.
    pub not_after: SystemTime,
    /// When it ought to have been replaced.
    pub overdue_at: SystemTime,
    /// Its serial number.
    pub serial: Serial,
    denials: Arc<Denials>,
    refusals: Arc<Refusals>,
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
    /// Its leaf's serial number.
    pub serial: Serial,
    /// Its leaf, for `x-forwarded-client-cert`.
    pub leaf: CertificateDer<'static>,
    /// It has offered more than one protocol, as Envoys do and sidecars of ours never do: what was agreed on says
    /// nothing of what it will speak.
    pub is_undecided: bool,
}

impl TlsStore {
    /// No credentials yet; nobody on `denials` will be served or called.
    #[must_use]
    pub fn new(key_exchange: KeyExchange, denials: Arc<Denials>) -> Self {
        Self { key_exchange, denials, ..Self::default() }
    }

    /// Shows in these metrics why peers were refused. Call it once, at start.
    pub fn show(&self, metrics: &Metrics) {
        self.refusals.show(metrics);
    }

    /// Puts new credentials in force, or none. Connections that are open live on. The same ones again: nobody resumes
    /// a session of before.
    ///
    /// # Errors
    /// If rustls refuses them; the old ones stay in force.
    pub fn set(&self, credentials: Option<(&Leaf, &TrustBundle)>) -> Result<(), TlsError> {
        let configs = match credentials {
            Some((leaf, bundle)) => {
                let judges = (Arc::clone(&self.denials), Arc::clone(&self.refusals));
                Some(Arc::new(TlsConfigs::new(self.key_exchange, leaf, bundle, judges)?))
            }
            None => None,
        };
        self.denials.set_own(configs.as_ref().map(|own| (own.id.clone(), own.serial.clone())));
        self.configs.store(configs);
        Ok(())
    }

    /// May this workload be called at all?
    ///
    /// # Errors
    /// [`Token::PeerDenied`] if it is denied.
    pub fn check_callee(&self, id: &SpiffeId) -> Result<(), Error> {
        self.denials.check_callee(id)
    }

    /// What is in force now.
    ///
    /// # Errors
    /// If there is no leaf, it has expired, or this workload is denied.
    pub fn current(&self) -> Result<Arc<TlsConfigs>, Error> {
        let configs = self.configs.load_full().ok_or_else(|| {
            Error::new(Token::IdentityUnavailable, "this workload has no certificate yet")
        })?;
        if configs.not_after <= SystemTime::now() {
            let message = "this workload's certificate has expired and could not be renewed";
            return Err(Error::new(Token::IdentityUnavailable, message).because("expired"));
        }
        match self.denials.own() {
            None => Ok(configs),
            Some(denial) => Err(Error::new(Token::IdentityDenied, denial.to_string())),
        }
    }
}

impl TlsConfigs {
    fn new(
        key_exchange: KeyExchange,
        leaf: &Leaf,
        bundle: &TrustBundle,
        (denials, refusals): (Arc<Denials>, Arc<Refusals>),
    ) -> Result<Self, TlsError> {
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
            let denies = Arc::clone(&denials) as Arc<dyn Denies>;
            key_exchange.denying_server_config(leaf, bundle, denies, protocols).map(Arc::new)
        };
        let foreign_too = [&ACCEPTED[..], &alpn::FOREIGN[..]].concat();
        Ok(Self {
            id: leaf.id().clone(),
            not_after: leaf.not_after(),
            overdue_at: life::overdue_at(leaf.not_before(), leaf.not_after()),
            serial: leaf.serial().clone(),
            connectors,
            servers: [server(&ACCEPTED)?, server(&foreign_too)?],
            denials,
            refusals,
        })
    }

    /// Handshake as the caller.
    ///
    /// # Errors
    /// If it fails, or the peer is not `expected` or is denied. Nothing of a request has left.
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
        let sever = Arc::<Sever>::default();
        let stream = Ahead::until(stream, Arc::clone(&sever));
        let stream = connector.connect(name, stream).await.map_err(|error| {
            let token = match self.refused(Direction::Outbound, &error) {
                true => Token::TlsCertificateError,
                false => Token::TlsProtocolError,
            };
            let message = format!("handshake with {expected}: {error}");
            let reason = if is_plaintext(&error) { Some(PLAINTEXT) } else { reason_of(&error) };
            Error::unprocessed(token, message).because(reason)
        })?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = verify::expected_peer(chain, expected, SystemTime::now());
        let peer = peer.map_err(|error| {
            self.refusals.count(Direction::Outbound, error.word());
            Error::unprocessed(Token::TlsCertificateError, error.to_string()).because(error.word())
        })?;
        self.denials.opened(&peer.id, &peer.serial, &sever)?;
        Ok(stream)
    }

    /// Handshake as the one who is called. `strict`: nothing but mutual TLS is taken here, so that clients are too which
    /// do not name a protocol of the mesh.
    ///
    /// # Errors
    /// If it fails, or the peer has no valid identity in our trust domain, or is denied.
    pub async fn accept(
        &self,
        stream: TcpStream,
        strict: bool,
    ) -> Result<(server::TlsStream<Ahead>, Peer), Error> {
        let failed = |error: std::io::Error| {
            let message = format!("handshake with a caller: {error}");
            Error::new(Token::TlsProtocolError, message).because("no_handshake")
        };
        let hello =
            LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Ahead::new(stream));
        let start = hello.await.map_err(failed)?;
        let offered = start.client_hello().alpn();
        let is_undecided = offered.is_some_and(|mut offered| offered.nth(1).is_some());
        let stream = start
            .into_stream(Arc::clone(&self.servers[usize::from(strict)]))
            .await
            .map_err(|error| self.no_caller(&error))?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = verify::peer(chain, self.id.trust_domain(), SystemTime::now());
        let peer = peer.map_err(|error| {
            self.refusals.count(Direction::Inbound, error.word());
            Error::new(Token::TlsCertificateError, error.to_string()).because(error.word())
        })?;
        // Asked again: a resumed handshake has asked nobody.
        self.denials.check_caller(&peer.id, &peer.serial)?;
        let leaf = chain.first().cloned().map(CertificateDer::into_owned);
        let leaf = leaf.unwrap_or_else(|| CertificateDer::from(Vec::new()));
        let verify::Peer { id, not_after, serial } = peer;
        Ok((stream, Peer { id, not_after, serial, leaf, is_undecided }))
    }
}

impl TlsConfigs {
    fn no_caller(&self, error: &std::io::Error) -> Error {
        let refused = self.refused(Direction::Inbound, error);
        if refused && reason_of(error) == Some("denied") {
            return Error::new(Token::PeerDenied, "a caller who is denied");
        }
        let token = if refused { Token::TlsCertificateError } else { Token::TlsProtocolError };
        Error::new(token, format!("handshake with a caller: {error}")).because(reason_of(error))
    }

    /// Was it for the other side's certificate? Counted.
    fn refused(&self, direction: Direction, error: &std::io::Error) -> bool {
        let reason = reason_of(error);
        reason.inspect(|reason| self.refusals.count(direction, reason)).is_some()
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

/// What came in answer to the first words of a handshake are no words of one.
fn is_plaintext(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidMessage(_)))
}

fn reason_of(error: &std::io::Error) -> Option<&'static str> {
    weft_certs::tls::reason(error.get_ref()?.downcast_ref::<rustls::Error>()?)
}
