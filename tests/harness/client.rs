//! Plain clients, as an application is one: a request on a connection of its own, over HTTP/1.1 or h2c.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

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
pub(crate) async fn http1(to: SocketAddr, mut request: Outgoing) -> Result<Answer> {
    let io = TokioIo::new(TcpStream::connect(to).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    // Its error reaches the request on it.
    let connection = tokio::spawn(connection);
    if !request.headers().contains_key(http::header::HOST) {
        let host = http::HeaderValue::try_from(to.to_string())?;
        request.headers_mut().insert(http::header::HOST, host);
    }
    let answer = Answer::read(sender.send_request(request).await?).await;
    connection.abort();
    answer
}

/// One request over HTTP/2 with prior knowledge.
pub(crate) async fn http2(to: SocketAddr, mut request: Outgoing) -> Result<Answer> {
    let io = TokioIo::new(TcpStream::connect(to).await?);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    let connection = tokio::spawn(connection);
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    *request.uri_mut() = format!("http://{to}{target}").parse()?;
    let answer = Answer::read(sender.send_request(request).await?).await;
    connection.abort();
    answer
}
