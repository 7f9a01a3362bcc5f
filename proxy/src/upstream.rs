//! How bytes reach an endpoint: connect, mutual TLS, connection reuse. Called by `outbound::attempt` (towards
//! the other sidecar) and by `inbound::forward` (towards the application).
//!
//! The pools are our own because two things must be known that a general client hides: whether the far side
//! can have seen the request when it failed ([`Error::unprocessed`]), and when a response has ended, so that
//! its connection is reused at once.

mod body;
mod connect;
mod http1;
mod http2;
mod keep_alive;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use weft_proto::alpn;

use crate::body::Body;
use crate::cluster::{Cluster, Endpoint};
use crate::error::{Error, Token};
use crate::inbound::Own;
use crate::io::Io;
use crate::overload::Overload;
use crate::tls::TlsStore;

pub use body::ResponseBody;
pub use connect::Protocol;
pub use http1::Receiving;
pub use http1::Switched;
pub use pool::{Pool, Stream};

/// One worker's way to every endpoint.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Index of the worker, which is the index of its pool in every endpoint.
    pub worker: usize,
    /// This workload's certificate and whom to trust.
    pub tls: Arc<TlsStore>,
    /// Where connections are intercepted, and for what the application calls: the workload itself as an endpoint.
    pub own: Option<Arc<Own>>,
    /// Is there enough left to open connections?
    pub overload: Overload,
}

/// HTTP version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1, one request at a time.
    Http1,
    /// HTTP/2, requests side by side.
    Http2,
}

/// A connection that is not pooled.
#[derive(Debug)]
pub struct Opened {
    /// The stream.
    pub io: Io,
    _open: connect::Open,
}

/// A request that got a response.
#[derive(Debug)]
pub struct Sent {
    /// The response.
    pub response: Response<ResponseBody>,
    /// When the request began to leave: the connection was open by then.
    pub written: Instant,
}

/// A request that got no response.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// The request itself, if not a byte of it has left.
    pub request: Option<Box<Request<Body>>>,
}

impl Opened {
    /// Does the far side wait to be told what travels ([`alpn::word`])?
    #[must_use]
    pub fn awaits_word(&self) -> bool {
        matches!(&self.io, Io::Client(stream) if stream.get_ref().1.alpn_protocol() == Some(alpn::OPEN))
    }

    /// The stream, and what counts the connection as open for as long as it lives.
    pub(crate) fn into_parts(self) -> (Io, impl Drop) {
        (self.io, self._open)
    }
}

impl Upstream {
    /// Sends one request on a pooled or new connection and returns the response head. The body gives the
    /// connection back once it has ended. `cluster` is whose limit of connections holds, if any does.
    ///
    /// # Errors
    /// No connection, or none that yielded a response head; the error says whether the far side can have
    /// seen the request.
    pub async fn send(
        &self,
        cluster: Option<&Cluster>,
        endpoint: &Arc<Endpoint>,
        version: Version,
        connect_timeout: Duration,
        request: Request<Body>,
    ) -> Result<Sent, Failure> {
        let limited = cluster.filter(|cluster| cluster.limits.connections().is_some());
        match version {
            Version::Http1 => http1::send(self, limited, endpoint, connect_timeout, request).await,
            Version::Http2 => http2::send(self, limited, endpoint, connect_timeout, request).await,
        }
    }

    /// A connection of its own, for opaque bytes.
    ///
    /// # Errors
    /// All of them before a byte has left.
    pub async fn open(
        &self,
        endpoint: &Arc<Endpoint>,
        protocol: Protocol,
        timeout: Duration,
    ) -> Result<Opened, Error> {
        let (io, open) = connect::connect(self, endpoint, protocol, timeout).await?;
        Ok(Opened { io, _open: open })
    }

    /// Keeps a connection for requests of HTTP/1.1 to that endpoint. Nothing may have been read from it.
    pub(crate) fn keep(&self, endpoint: &Endpoint, opened: Opened) {
        http1::keep(self.pool(endpoint), opened.io, opened._open);
    }

    fn pool<'e>(&self, endpoint: &'e Endpoint) -> &'e Pool {
        &endpoint.pools[self.worker]
    }
}

/// HTTP could not be set up on a connection that is open: no request has left.
fn unopened(error: &hyper::Error) -> Error {
    Error::unprocessed(Token::ConnectionTerminated, error.to_string())
}

/// Turns hyper's error into ours. `mesh` says that the far side is a sidecar of ours behind mutual TLS.
fn classify(error: &hyper::Error, mesh: bool) -> Error {
    use std::error::Error as _;
    if error.is_user() {
        return of_client(error.source().unwrap_or(error));
    }
    if let Some(h2) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
        return classify_h2(h2);
    }
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    if mesh && let Some(alert) = io.and_then(refused_certificate) {
        let message = format!("the other side refuses this workload's certificate: {alert:?}");
        return Error::unprocessed(Token::TlsCertificateError, message).because("own_refused");
    }
    // A sidecar ends a connection with a TLS close_notify only between requests: after a request that it has
    // begun to read it answers first, and when it dies it sends none. So an orderly end before the first byte
    // of a response means that the request was not read. rustls reports the disorderly end as an I/O error.
    if mesh && error.is_incomplete_message() {
        return Error::unprocessed(
            Token::ConnectionTerminated,
            "the connection was closed before the request was read",
        );
    }
    if error.is_parse() {
        return Error::new(Token::ResponseError, describe(error));
    }
    Error::new(Token::ConnectionTerminated, describe(error))
}

/// In TLS 1.3 a client learns only when it reads that its certificate was refused. The server sends such an alert
/// before it has delivered a byte of ours to anybody (RFC 8446 §4.4.2.4).
fn refused_certificate(error: &std::io::Error) -> Option<rustls::AlertDescription> {
    use rustls::AlertDescription as Alert;
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired),
        ) => Some(*alert),
        _ => None,
    }
}

/// The request's own body failed under way: whoever sent it broke off, or sent what is no body.
fn of_client(error: &(dyn std::error::Error + 'static)) -> Error {
    let gone = error
        .downcast_ref::<hyper::Error>()
        .is_some_and(|body| body.is_incomplete_message() || body.is_canceled() || body.is_closed());
    let token = if gone { Token::DownstreamClosed } else { Token::RequestError };
    Error::new(token, error.to_string())
}

fn classify_h2(error: &h2::Error) -> Error {
    // hyper resets a stream on this side only if the request's body fails.
    if error.is_reset() && !error.is_remote() && !error.is_library() {
        return Error::new(Token::RequestError, error.to_string());
    }
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM) && error.is_remote();
    // h2 fails only those streams with GOAWAY that lie beyond its last-stream-id (RFC 9113 §6.8).
    if refused || (error.is_go_away() && error.is_remote()) {
        return Error::unprocessed(Token::RequestRefused, error.to_string());
    }
    Error::new(Token::ConnectionTerminated, error.to_string())
}

fn describe(error: &hyper::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
