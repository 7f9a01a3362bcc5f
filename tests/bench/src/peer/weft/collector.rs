//! A collector of spans for the pair called `traced`: takes OTLP over HTTP and throws it away. It is in this process, which
//! is not measured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A running collector. Ends with the value, and says what it got.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
    server: AbortHandle,
}

impl Collector {
    /// Listens on a free port of 127.0.0.1.
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bytes);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                let service = service_fn(move |request| take(request, Arc::clone(&count)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, bytes, server: server.abort_handle() })
    }

    /// `http://127.0.0.1:4318`.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
        eprintln!("weft-bench: traced: {} KiB of spans", self.bytes.load(Relaxed) / 1024);
    }
}

async fn take(
    request: Request<Incoming>,
    count: Arc<AtomicU64>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    count.fetch_add(body.map_or(0, |body| body.to_bytes().len() as u64), Relaxed);
    Ok(Response::new(Empty::new()))
}
