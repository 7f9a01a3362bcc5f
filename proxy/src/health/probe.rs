//! One health check of one endpoint, on a connection of its own. Called by `health`, which limits its time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::io::AsyncReadExt as _;

use crate::cluster::Endpoint;
use crate::model::{HealthCheck, Probe};
use crate::upstream::{Opened, Protocol, Upstream};

const AGENT: &str = concat!("weft-proxy/", env!("CARGO_PKG_VERSION"), " health-check");
/// Bound of what is read of an answer.
const MOST: usize = 64 * 1024;
/// A sidecar takes a connection before it has one to the application; if that fails it ends it. So a connection that
/// ends within this time is none.
const SETTLED: Duration = Duration::from_millis(250);

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SERVING`.
const SERVING: i32 = 1;

/// Is it well? An error says why not.
pub(super) async fn ask(
    upstream: &Upstream,
    endpoint: &Arc<Endpoint>,
    cluster: &str,
    settings: &HealthCheck,
) -> Result<(), String> {
    let open = async |protocol| {
        let opened = upstream.open(endpoint, protocol, settings.timeout).await;
        opened.map_err(|error| error.to_string())
    };
    match &settings.probe {
        Probe::Http { path, host, expected } => {
            let opened = open(Protocol::Http1).await?;
            let request = Request::get(path.clone())
                .header(HOST, if host.is_empty() { cluster } else { host })
                .header(USER_AGENT, AGENT)
                .body(Empty::<Bytes>::new());
            let status = http(opened, request.map_err(|error| error.to_string())?).await?;
            let is_expected = expected.iter().any(|range| range.contains(&status));
            if is_expected { Ok(()) } else { Err(format!("status {status}")) }
        }
        Probe::Grpc { service } => grpc(open(Protocol::Http2).await?, cluster, service).await,
        Probe::Tcp => settled(open(Protocol::Tcp).await?).await,
    }
}

async fn http(opened: Opened, request: Request<Empty<Bytes>>) -> Result<u16, String> {
    let (io, open) = opened.into_parts();
    let said = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(said)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(said)?;
        let status = response.status().as_u16();
        // Read to its end, so that the application is not cut off.
        let _ = Limited::new(response.into_body(), MOST).collect().await;
        Ok(status)
    };
    let status = tokio::select! {
        status = exchange => status,
        ended = connection => Err(ended.err().map_or("closed".to_owned(), said)),
    };
    drop(open);
    status
}

async fn grpc(opened: Opened, cluster: &str, service: &str) -> Result<(), String> {
    let (io, open) = opened.into_parts();
    let said = |error: hyper::Error| error.to_string();
    let message = HealthRequest { service: service.to_owned() };
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.encoded_len()).unwrap_or(0));
    body.put_slice(&message.encode_to_vec());
    let request = Request::post(format!("http://{cluster}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::new(body.freeze()))
        .map_err(|error| error.to_string())?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.map_err(said)?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await.map_err(said)?.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|error| error.to_string())?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let code = |map: &HeaderMap| map.get("grpc-status").map(|code| code.as_bytes().to_vec());
        match code(&trailers).or_else(|| code(&head.headers)).as_deref() {
            Some(b"0") => serving(&body.to_bytes()),
            Some(code) => Err(format!("grpc-status {}", String::from_utf8_lossy(code))),
            None => Err(format!("status {} and no grpc-status", head.status)),
        }
    };
    let verdict = tokio::select! {
        verdict = exchange => verdict,
        ended = connection => Err(ended.err().map_or("closed".to_owned(), said)),
    };
    drop(open);
    verdict
}

pub(super) fn serving(body: &[u8]) -> Result<(), String> {
    let message = body.get(5..).ok_or("no message")?;
    let response = HealthResponse::decode(message).map_err(|error| error.to_string())?;
    match response.status {
        SERVING => Ok(()),
        other => Err(format!("serving status {other}")),
    }
}

async fn settled(mut opened: Opened) -> Result<(), String> {
    let mut first = [0; 1];
    match tokio::time::timeout(SETTLED, opened.io.read(&mut first)).await {
        // It says nothing, which is as good, or it speaks first.
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err("closed".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
    }
}
