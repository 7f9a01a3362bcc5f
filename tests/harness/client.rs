//! Plain clients, as an application is one: a request on a connection of its own, or several on a [`Kept`] one, over
//! HTTP/1.1 or h2c.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::Answer;

/// What all clients here send.
pub(crate) type Outgoing = Request<Full<Bytes>>;

/// A request for `target` (path and query) with these headers.
pub(crate) fn request(
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Outgoing {
    let mut builder = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("it is well formed")
}

/// GET over HTTP/1.1.
pub(crate) async fn get(to: SocketAddr, target: &str) -> Result<Answer> {
    http1(to, request(Method::GET, target, &[], "")).await
}

/// One request over HTTP/1.1; `Host` is the address unless the request has one.
pub(crate) async fn http1(to: SocketAddr, request: Outgoing) -> Result<Answer> {
    Kept::http1(to).await?.send(request).await
}

/// One request over HTTP/2 with prior knowledge.
pub(crate) async fn http2(to: SocketAddr, request: Outgoing) -> Result<Answer> {
    Kept::http2(to).await?.send(request).await
}

/// A connection that is kept between requests. Ends with the value.
pub(crate) struct Kept {
    to: SocketAddr,
    sender: Sender,
    connection: AbortHandle,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Kept {
    /// One for HTTP/1.1.
    pub(crate) async fn http1(to: SocketAddr) -> Result<Self> {
        let io = TokioIo::new(TcpStream::connect(to).await?);
        let (sender, connection) = http1::handshake(io).await?;
        // Its error reaches the request on it.
        let connection = tokio::spawn(connection).abort_handle();
        Ok(Self { to, sender: Sender::Http1(sender), connection })
    }

    /// One for HTTP/2 with prior knowledge.
    pub(crate) async fn http2(to: SocketAddr) -> Result<Self> {
        let io = TokioIo::new(TcpStream::connect(to).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        let connection = tokio::spawn(connection).abort_handle();
        Ok(Self { to, sender: Sender::Http2(sender), connection })
    }

    /// Has the other side ended it, or asked for its end?
    pub(crate) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// GET.
    pub(crate) async fn get(&mut self, target: &str) -> Result<Answer> {
        self.send(request(Method::GET, target, &[], "")).await
    }

    /// One more request; its host is the address unless it has a `Host`.
    pub(crate) async fn send(&mut self, mut request: Outgoing) -> Result<Answer> {
        let host = match request.headers_mut().remove(HOST) {
            Some(host) => host,
            None => HeaderValue::try_from(self.to.to_string())?,
        };
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                request.headers_mut().insert(HOST, host);
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                *request.uri_mut() =
                    format!("http://{}{}", host.to_str()?, request.uri()).parse()?;
                sender.send_request(request).await?
            }
        };
        Answer::read(response).await
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
