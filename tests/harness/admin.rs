//! Admin sockets: one HTTP/1.1 exchange over a Unix socket, as `weft` does it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::{Answer, request};

/// The admin socket of a control plane or sidecar.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    /// The one in this state directory.
    pub(crate) fn of(state_dir: &Path) -> Self {
        Self { socket: state_dir.join("admin.sock") }
    }

    /// Its path.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// JSON of a GET that succeeds.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.succeed(Method::GET, path, "").await
    }

    /// JSON of a POST that succeeds.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.succeed(Method::POST, path, &body.to_string()).await
    }

    /// Any exchange.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Answer> {
        let headers = [("host", "localhost"), ("content-type", "application/json")];
        self.send(request(method, path, &headers, body)).await
    }

    /// Any request.
    pub(crate) async fn send(&self, request: http::Request<Full<Bytes>>) -> Result<Answer> {
        let stream = UnixStream::connect(&self.socket).await;
        let io = TokioIo::new(stream.with_context(|| format!("{}", self.socket.display()))?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let answer = Answer::read(response).await;
        connection.abort();
        answer
    }

    async fn succeed(&self, method: Method, path: &str, body: &str) -> Result<Value> {
        let answer = self.ask(method, path, body).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status.is_success(), "{path}: {}: {text}", answer.status);
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }
}
