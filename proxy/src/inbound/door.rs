//! Who may come in by which door: the mTLS mode of the port against what stands before it. Called by
//! `Inbound::handle_connection` for every connection; what it returns is authenticated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use http::header::HeaderValue;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use weft_certs::SpiffeId;
use weft_proto::alpn;

use super::Inbound;
use crate::error::{Error, Token};
use crate::io::Io;
use crate::listener::{Carried, First, carried, claims_no_http, detect, patience};
use crate::model::{InboundPort, MtlsMode};
use crate::telemetry::metrics::{Direction, Edge, EdgeKey};
use crate::tls::Peer;
use crate::upstream::Version;

/// How HTTP/2 begins (RFC 9113 §3.4), as far as no other method does.
const PREFACE: &[u8] = b"PRI";

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
    /// Where it connects from.
    pub address: SocketAddr,
    /// HTTP version of the connection.
    pub version: Version,
    /// Counters of this caller.
    pub edge: Arc<Edge>,
    /// `x-forwarded-client-cert` for the application.
    pub forwarded: Option<HeaderValue>,
}

impl Inbound {
    pub(super) async fn admit(
        &self,
        stream: TcpStream,
        client: SocketAddr,
    ) -> Result<Caller, Error> {
        let listener = self.state.inbound();
        let port = listener
            .as_ref()
            .and_then(|listener| listener.ports.get(&self.port))
            .ok_or_else(|| {
                let message = format!("{} has no port {}", self.workload, self.port);
                Error::new(Token::ConfigurationMissing, message)
            })?;
        if self.is_mesh(&stream, *port).await? {
            self.admit_peer(stream, client).await
        } else {
            self.admit_plaintext(stream, client, *port).await
        }
    }

    /// On a STRICT port whatever does not begin with a handshake fails in it.
    async fn is_mesh(&self, stream: &TcpStream, port: InboundPort) -> Result<bool, Error> {
        match port.mtls {
            MtlsMode::Strict => Ok(true),
            MtlsMode::Disable => Ok(false),
            MtlsMode::Permissive => {
                let first = detect(stream, patience(Some(port.protocol))).await;
                Ok(first.map_err(|error| gone(&error))? == First::Tls)
            }
        }
    }

    async fn admit_peer(&self, stream: TcpStream, client: SocketAddr) -> Result<Caller, Error> {
        let tls = self.upstream.tls.current()?;
        let (mut stream, peer) = tokio::time::timeout(HANDSHAKE, tls.accept(stream))
            .await
            .map_err(|_| Error::new(Token::TlsProtocolError, "handshake not done within 10 s"))??;
        let carried = match stream.get_ref().1.alpn_protocol() {
            Some(alpn::HTTP1) => Carried::Http(Version::Http1),
            Some(alpn::HTTP2) => Carried::Http(spoken(&mut stream).await?),
            Some(alpn::TCP) => Carried::Opaque,
            _ => return Err(Error::new(Token::TlsProtocolError, "no ALPN protocol of the mesh")),
        };
        let until = peer.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        let forwarded = forwarded_client_cert(&tls.id, &peer);
        let who = self.who(Some(peer.id), client, carried, forwarded);
        let io = Io::Server(Box::new(stream));
        Ok(Caller { io, who, carried, until: Some(Instant::now() + until) })
    }

    async fn admit_plaintext(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        port: InboundPort,
    ) -> Result<Caller, Error> {
        let carried = carried(&stream, Some(port.protocol)).await.map_err(|error| gone(&error))?;
        let who = self.who(None, client, carried, None);
        Ok(Caller { io: Io::Plain(stream), who, carried, until: None })
    }

    fn who(
        &self,
        identity: Option<SpiffeId>,
        address: SocketAddr,
        carried: Carried,
        forwarded: Option<HeaderValue>,
    ) -> Who {
        let edge = self.telemetry.metrics.edge(EdgeKey {
            direction: Direction::Inbound,
            peer: identity.as_ref().map_or_else(String::new, ToString::to_string),
            route: String::new(),
            backend: String::new(),
        });
        let version = match carried {
            Carried::Http(version) => version,
            Carried::Opaque => Version::Http1,
        };
        Who { identity, address, version, edge, forwarded }
    }
}

/// An Envoy offers every protocol of its cluster, keeps its client's version, and so may speak HTTP/1.1 where HTTP/2
/// was agreed on. Its first bytes say it, and they come at once: nobody opens such a connection without a request.
async fn spoken(stream: &mut TlsStream<TcpStream>) -> Result<Version, Error> {
    let first = tokio::time::timeout(HANDSHAKE, stream.fill_buf())
        .await
        .map_err(|_| Error::new(Token::DownstreamClosed, "nothing came within 10 s"))?
        .map_err(|error| gone(&error))?;
    let known = first.len().min(PREFACE.len());
    let agreed = first[..known] == PREFACE[..known] || claims_no_http(first);
    Ok(if agreed { Version::Http2 } else { Version::Http1 })
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

fn gone(error: &std::io::Error) -> Error {
    Error::new(Token::DownstreamClosed, error.to_string())
}
