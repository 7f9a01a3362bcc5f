//! What the sidecar tells about itself and lets itself be told: wires the handlers to what is in force.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use super::{App, view};
use crate::drain;
use crate::readiness::Readiness;
use crate::workers::Shared;

struct Source {
    shared: Shared,
    readiness: Readiness,
    inbound: Arc<drain::Trigger>,
    grace: Duration,
}

pub(super) fn start(app: &mut App, inbound: &Arc<drain::Trigger>) -> anyhow::Result<()> {
    let source = Arc::new(Source {
        shared: app.shared.clone(),
        readiness: app.readiness.clone(),
        inbound: Arc::clone(inbound),
        grace: app.config.drain_grace,
    });
    if let Some(socket) = app.health.take() {
        let (listener, source) = (TcpListener::from_std(socket)?, Arc::clone(&source));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, Arc::clone(&source), false);
            }
        });
    }
    let path = app.store.directory().join("admin.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, Arc::clone(&source), true);
        }
    });
    Ok(())
}

fn serve<S>(stream: S, source: Arc<Source>, private: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let source = Arc::clone(&source);
        async move { Ok::<_, Infallible>(source.answer(&request, private).await) }
    });
    let http = hyper::server::conn::http1::Builder::new();
    tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
}

impl Source {
    async fn answer(&self, request: &Request<Incoming>, private: bool) -> Response<Full<Bytes>> {
        let state = &self.shared.state;
        match (request.method(), request.uri().path(), private) {
            (&Method::GET, "/ready", _) => self.ready(),
            (&Method::GET, "/live", _) => text(StatusCode::OK, "live\n".to_owned()),
            (&Method::GET, "/metrics", _) => {
                text(StatusCode::OK, self.shared.telemetry.metrics.encode())
            }
            (&Method::GET, "/v1/version", true) => {
                json_answer(&json!({ "version": env!("CARGO_PKG_VERSION") }))
            }
            (&Method::GET, "/v1/config/routes", true) => json_answer(&view::routes(state)),
            (&Method::GET, "/v1/config/clusters", true) => json_answer(&view::clusters(state)),
            (&Method::GET, "/v1/config/endpoints", true) => json_answer(&view::endpoints(state)),
            (&Method::GET, "/v1/config/listeners", true) => json_answer(&view::listeners(state)),
            (&Method::GET, "/v1/config/certificate", true) => {
                json_answer(&view::certificate(&self.shared.tls))
            }
            (&Method::POST, "/v1/drain", true) => self.drain().await,
            _ => text(StatusCode::NOT_FOUND, "no such path\n".to_owned()),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let mut missing = self.readiness.missing();
        if self.inbound.is_draining() {
            missing.push("draining".to_owned());
        }
        if missing.is_empty() {
            text(StatusCode::OK, "ready\n".to_owned())
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; ")))
        }
    }

    async fn drain(&self) -> Response<Full<Bytes>> {
        self.inbound.start();
        self.shared.telemetry.metrics.draining(true);
        let finished = tokio::time::timeout(self.grace, self.inbound.finished()).await.is_ok();
        json_answer(&json!({ "drained": finished, "open": self.inbound.open() }))
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

fn json_answer(value: &Value) -> Response<Full<Bytes>> {
    text(StatusCode::OK, format!("{value}\n"))
}
