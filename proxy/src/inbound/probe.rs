//! Probes of a port that takes mutual TLS only: somebody outside the mesh, the kubelet for one, asks whether the
//! application is well. What may be asked is a list; nothing else of the port opens.
//!
//! A probe without a path opens more: whoever connects learns that the application listens, and a handshake that is not
//! the mesh's reaches the application's own TLS. That it listens at all the kernel sees to: a connection to a port where
//! nobody does is not redirected here (`interception`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Inbound;
use super::door::{Caller, Who, gone};
use crate::error::{Error, Token};
use crate::io::Io;
use crate::listener::{Carried, First, detect, is_mesh};
use crate::model::Probes;
use crate::response::is_grpc;

/// How long one who is silent may stay, whatever he is.
const SILENT: Duration = Duration::from_secs(10);

impl Inbound {
    /// Lets in a peer of the mesh, or a prober.
    pub(super) async fn admit_or_probe(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        probes: Arc<Probes>,
    ) -> Result<Caller, Error> {
        let first = detect(&stream, SILENT).await.map_err(|error| gone(&error))?;
        let carried = match first {
            First::Tls if probes.port => match is_mesh(&stream).await {
                Ok(false) => Carried::Opaque,
                Ok(true) | Err(_) => return self.admit_peer(stream, client).await,
            },
            First::Tls => return self.admit_peer(stream, client).await,
            First::Http1 | First::Http2 if !probes.paths.is_empty() => {
                first.carried().unwrap_or(Carried::Opaque)
            }
            First::Http1 | First::Http2 | First::Other | First::Silent => {
                return Err(self.no_probe(&stream, first, &probes).await);
            }
        };
        let who = Who { probes: Some(probes), ..self.who(None, client, carried, None) };
        Ok(Caller { io: Io::Plain(stream), who, carried, until: None })
    }

    /// One who connects and leaves has learnt what he wanted: that is no error of his.
    async fn no_probe(&self, stream: &TcpStream, first: First, probes: &Probes) -> Error {
        let left =
            matches!(timeout(Duration::ZERO, stream.peek(&mut [0])).await, Ok(Ok(0)) | Ok(Err(_)));
        if probes.port && (left || first == First::Silent) {
            return Error::new(Token::DownstreamClosed, "a probe of the port");
        }
        Error::new(Token::TlsProtocolError, "neither mutual TLS nor a probe")
    }
}

/// Is this a probe of the list?
pub(super) fn is_listed<B>(probes: &Probes, request: &Request<B>) -> bool {
    let asked = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let is_call = *request.method() == Method::POST && is_grpc(request.headers());
    let listed = probes.paths.iter().any(|path| path == asked);
    listed && (*request.method() == Method::GET || is_call)
}

/// Is this what the prober may ask for?
pub(super) fn check<B>(probes: &Probes, request: &Request<B>) -> Result<(), Error> {
    if is_listed(probes, request) {
        return Ok(());
    }
    let message = "this port takes mutual TLS only, and this is none of its probes";
    Err(Error::new(Token::RequestDenied, message))
}

#[cfg(test)]
mod tests;
