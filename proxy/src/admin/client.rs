//! The asking side of `weft-proxy drain`: one POST to a running proxy's socket.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Bound on the answer.
const MAX_ANSWER: usize = 64 << 10;

/// Has the proxy behind the socket drain its inbound side. Returns its answer when the drain is over or its
/// grace is.
///
/// # Errors
/// Nobody answers there, or not with success.
pub async fn drain(socket: &Path) -> io::Result<serde_json::Value> {
    let explain = |error: &dyn std::fmt::Display| {
        io::Error::other(format!("admin socket {}: {error}", socket.display()))
    };
    let stream = UnixStream::connect(socket).await.map_err(|error| explain(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| explain(&error))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/drain")
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| explain(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| explain(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let body = body.collect().await.map_err(|error| explain(&error))?.to_bytes();
        if status != StatusCode::OK {
            return Err(explain(&format!("{status}: {}", String::from_utf8_lossy(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| explain(&error))
    };
    // The connection is driven here and ends with the exchange.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<std::convert::Infallible>().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = driven => match never {},
    }
}
