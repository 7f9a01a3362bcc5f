//! The control plane's admin socket: one HTTP/1.1 exchange over a Unix socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longest answer that is read.
const LIMIT: usize = 1 << 20;

/// Longest exchange.
const PATIENCE: Duration = Duration::from_secs(5);

/// The body of a GET that succeeds.
pub(super) async fn get(socket: &Path, path: &str) -> Result<Bytes> {
    exchange(socket, Method::GET, path, Bytes::new()).await
}

/// The body of a POST that succeeds.
pub(super) async fn post(socket: &Path, path: &str, body: &Value) -> Result<Bytes> {
    exchange(socket, Method::POST, path, serde_json::to_vec(body)?.into()).await
}

async fn exchange(socket: &Path, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let exchange = async {
        let stream = UnixStream::connect(socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Its error reaches the request on it.
        tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIMIT).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    };
    let answer = timeout(PATIENCE, exchange).await.context("no answer in time")?;
    answer.with_context(|| format!("{path} on {}", socket.display()))
}
