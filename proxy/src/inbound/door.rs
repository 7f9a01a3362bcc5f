//! Who may come in by which door: the mTLS mode of the port against what stands before it. Called by
//! `Inbound::handle_connection` for every connection; what it returns is authenticated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use http::header::HeaderValue;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use weft_certs::{Serial, SpiffeId};
use weft_proto::alpn::{self, word};

use super::Inbound;
use crate::access::{Concern, Notes};
use crate::error::{Error, Token};
use crate::io::{Ahead, Io};
use crate::listener::{
    Carried, First, PATIENCE, SILENCE, carried, claims_no_http, detect, is_mesh, judge,
};
use crate::model::{AppProtocol, InboundPort, MtlsMode, Probes};
use crate::telemetry::metrics::{Direction, Edge, EdgeKey};
use crate::tls::Peer;
use crate::upstream::Version;

/// How HTTP/2 begins (RFC 9113 §3.4), as far as no other method does.
const PREFACE: &[u8] = b"PRI";

/// How long an Envoy's first bytes are waited for; without them its bytes are opaque.
const LOOK: Duration = Duration::from_millis(20);

/// Bound of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection that was let in.
#[derive(Debug)]
pub struct Caller {
    /// Its bytes, decrypted.
    pub io: Io,
    /// Whose they are.
    pub who: Who,
    /// What they are.
    pub carried: Carried,
    /// When the peer's certificate expires, and the connection with it.
    pub until: Option<Instant>,
}

/// The caller, as far as it is proven.
#[derive(Debug)]
pub struct Who {
    /// SPIFFE id; `None` in plaintext.
    pub identity: Option<SpiffeId>,
    /// Serial number of the certificate that said so.
    pub serial: Option<Serial>,
    /// Where it connects from.
    pub address: SocketAddr,
    /// HTTP version of the connection.
    pub version: Version,
    /// Counters of this caller.
    pub edge: Arc<Edge>,
    /// A prober, who may ask for nothing else.
    pub probes: Option<Arc<Probes>>,
    /// `x-forwarded-client-cert` for the application.
    pub forwarded: Option<HeaderValue>,
    /// The rules that are about this caller.
    pub concern: Concern,
    /// What it asks for is noted here.
    pub notes: Arc<Notes>,
}

impl Inbound {
    pub(super) async fn admit(
        &self,
        stream: TcpStream,
        client: SocketAddr,
    ) -> Result<Caller, Error> {
        let port = self.settings()?;
        match port.mtls {
            MtlsMode::Strict => match self.probes() {
                // Whatever does not begin with a handshake fails in it.
                None => self.admit_peer(stream, client).await,
                Some(probes) => self.admit_or_probe(stream, client, probes).await,
            },
            MtlsMode::Disable if port.protocol == AppProtocol::Tcp => {
                Ok(self.plaintext(stream, client, Carried::Opaque))
            }
            MtlsMode::Disable | MtlsMode::Permissive => {
                self.admit_either(stream, client, port).await
            }
        }
    }

    async fn admit_either(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        port: InboundPort,
    ) -> Result<Caller, Error> {
        let first = detect(&stream, self.patience(port)).await.map_err(|error| gone(&error))?;
        let may_be_mesh = port.mtls == MtlsMode::Permissive && first == First::Tls;
        if may_be_mesh && is_mesh(&stream).await.map_err(|error| gone(&error))? {
            return self.admit_peer(stream, client).await;
        }
        let carried = carried_by(&stream, port.protocol, first).await;
        Ok(self.plaintext(stream, client, carried.map_err(|error| gone(&error))?))
    }

    pub(super) fn settings(&self) -> Result<InboundPort, Error> {
        let listener = self.state.inbound();
        listener.as_ref().and_then(|listener| listener.port(self.port)).ok_or_else(|| {
            let message = format!("{} has no port {}", self.workload, self.port);
            Error::new(Token::ConfigurationMissing, message)
        })
    }

    fn probes(&self) -> Option<Arc<Probes>> {
        self.state.inbound()?.probes.get(&self.port).map(Arc::clone)
    }

    /// How long the client is waited for before the application may speak.
    fn patience(&self, port: InboundPort) -> Duration {
        match port.protocol {
            AppProtocol::Http => PATIENCE,
            // Who is silent on a PERMISSIVE port may be a sidecar whose handshake is on its way.
            _ if port.mtls != MtlsMode::Permissive && self.app.server_first.load(Relaxed) => {
                Duration::ZERO
            }
            AppProtocol::Tcp | AppProtocol::Detect => SILENCE,
        }
    }

    pub(super) async fn admit_peer(
        &self,
        stream: TcpStream,
        client: SocketAddr,
    ) -> Result<Caller, Error> {
        let tls = self.upstream.tls.current()?;
        let InboundPort { mtls, protocol: declared } = self.settings()?;
        // Boxed: it is large, and over before the connection carries anything.
        let accept = Box::pin(tls.accept(stream, mtls == MtlsMode::Strict));
        let (mut stream, peer) = tokio::time::timeout(HANDSHAKE, accept)
            .await
            .map_err(|_| Error::new(Token::TlsProtocolError, "handshake not done within 10 s"))??;
        let is_open = peer.is_undecided && declared == AppProtocol::Detect;
        let carried = match stream.get_ref().1.alpn_protocol() {
            Some(alpn::HTTP1 | alpn::HTTP2 | alpn::TCP) if is_open => {
                looked_at(&mut stream).await?
            }
            Some(alpn::HTTP1 | b"http/1.1") => Carried::Http(Version::Http1),
            Some(b"h2") => Carried::Http(Version::Http2),
            Some(alpn::HTTP2) => Carried::Http(spoken(&mut stream).await?),
            Some(alpn::TCP) => Carried::Opaque,
            Some(alpn::OPEN) => told(&mut stream).await?,
            _ => return Err(Error::new(Token::TlsProtocolError, "no ALPN protocol of the mesh")),
        };
        let until = peer.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        // Opaque bytes have no headers to put it in.
        let forwarded = match carried {
            Carried::Http(_) | Carried::Nothing => forwarded_client_cert(&tls.id, &peer),
            Carried::Opaque => None,
        };
        let mut who = self.who(Some(peer.id), client, carried, forwarded);
        who.serial = Some(peer.serial);
        let io = Io::Server(Box::new(stream));
        Ok(Caller { io, who, carried, until: Some(Instant::now() + until) })
    }

    fn plaintext(&self, stream: TcpStream, client: SocketAddr, carried: Carried) -> Caller {
        let who = self.who(None, client, carried, None);
        Caller { io: Io::Plain(stream), who, carried, until: None }
    }

    pub(super) fn who(
        &self,
        identity: Option<SpiffeId>,
        address: SocketAddr,
        carried: Carried,
        forwarded: Option<HeaderValue>,
    ) -> Who {
        let peer = identity.as_ref().map_or("", SpiffeId::as_str);
        let edge = self.telemetry.metrics.edge(EdgeKey::unrouted(Direction::Inbound, peer));
        let version = match carried {
            Carried::Http(version) => version,
            Carried::Opaque | Carried::Nothing => Version::Http1,
        };
        let (traffic, worker) = (self.state.traffic(), self.upstream.worker);
        let notes = traffic.page(worker, identity.as_ref(), address.ip().to_canonical(), self.port);
        let concern = Concern::default();
        let (serial, probes) = (None, None);
        Who { identity, serial, address, version, edge, probes, forwarded, concern, notes }
    }
}

/// What plaintext carries that begins so.
async fn carried_by(
    stream: &TcpStream,
    protocol: AppProtocol,
    first: First,
) -> std::io::Result<Carried> {
    match (protocol, first) {
        // The application's own.
        (AppProtocol::Http, First::Tls) => Ok(Carried::Opaque),
        (AppProtocol::Http, _) => carried(stream).await,
        (AppProtocol::Detect, first) => Ok(first.carried().unwrap_or(Carried::Nothing)),
        // Perhaps it is a handshake that comes late.
        (AppProtocol::Tcp, First::Silent) => Ok(Carried::Nothing),
        (AppProtocol::Tcp, _) => Ok(Carried::Opaque),
    }
}

/// What the caller says of a connection that it opened early.
async fn told(stream: &mut TlsStream<Ahead>) -> Result<Carried, Error> {
    let word = tokio::time::timeout(HANDSHAKE, stream.read_u8())
        .await
        .map_err(|_| Error::new(Token::DownstreamClosed, "nothing came within 10 s"))?
        .map_err(|error| gone(&error))?;
    match word {
        word::SILENT => Ok(Carried::Nothing),
        word => meaning(word),
    }
}

/// What the caller knows in the end.
pub(super) fn meaning(word: u8) -> Result<Carried, Error> {
    match word {
        word::TCP => Ok(Carried::Opaque),
        word::HTTP1 => Ok(Carried::Http(Version::Http1)),
        _ => Err(Error::new(Token::TlsProtocolError, format!("{word} says nothing of a protocol"))),
    }
}

/// An Envoy offers every protocol of its cluster, keeps its client's version, and so may speak HTTP/1.1 where HTTP/2
/// was agreed on. Its first bytes say it, and they come at once: nobody opens such a connection without a request.
async fn spoken(stream: &mut TlsStream<Ahead>) -> Result<Version, Error> {
    let first = tokio::time::timeout(HANDSHAKE, stream.fill_buf())
        .await
        .map_err(|_| Error::new(Token::DownstreamClosed, "nothing came within 10 s"))?
        .map_err(|error| gone(&error))?;
    let known = first.len().min(PREFACE.len());
    let agreed = first[..known] == PREFACE[..known] || claims_no_http(first);
    Ok(if agreed { Version::Http2 } else { Version::Http1 })
}

/// What an Envoy carries on a port whose protocol nobody has declared: it cannot say it by ALPN, so its first bytes do,
/// as on a connection in plaintext. A request's head comes in one piece, because Envoy has read it before; whoever
/// stays silent waits for the server.
async fn looked_at(stream: &mut TlsStream<Ahead>) -> Result<Carried, Error> {
    let Ok(first) = tokio::time::timeout(LOOK, stream.fill_buf()).await else {
        return Ok(Carried::Opaque);
    };
    Ok(match judge(first.map_err(|error| gone(&error))?) {
        Some(First::Http1) => Carried::Http(Version::Http1),
        Some(First::Http2) => Carried::Http(Version::Http2),
        Some(First::Tls | First::Other | First::Silent) | None => Carried::Opaque,
    })
}

/// Envoy's format: `By=<our id>;Hash=<SHA-256 of the peer's leaf>;URI=<its id>`.
fn forwarded_client_cert(own: &SpiffeId, peer: &Peer) -> Option<HeaderValue> {
    use std::fmt::Write as _;
    let mut value = format!("By={own};Hash=");
    for byte in digest::digest(&digest::SHA256, &peer.leaf).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(value, "{byte:02x}");
    }
    let _ = write!(value, ";URI={}", peer.id);
    HeaderValue::try_from(value).ok()
}

pub(super) fn gone(error: &std::io::Error) -> Error {
    Error::new(Token::DownstreamClosed, error.to_string())
}
