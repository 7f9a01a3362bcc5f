//! The yardstick: the least proxy that hyper and rustls allow. It routes by Host, counts once, and forwards;
//! no retries, no spans, no configuration. Two of these, joined by mTLS, are "the bare hyper pair" that every
//! other pair is divided by, so its work for a request must not change: a change moves all ratios of old runs.
//! Runs as `weft-bench floor`, one thread, the system's allocator.

mod body;
mod http1;
mod http2;
mod tls;
mod transport;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use anyhow::Result;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::forward::Forward;
use crate::{cell::Protocol, peer, socket};
use body::Body;
use transport::Transport;

/// `weft-bench floor`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// LISTEN=UPSTREAM for HTTP/1.1
    #[arg(long)]
    http1: Forward,
    /// LISTEN=UPSTREAM for HTTP/2 with prior knowledge
    #[arg(long)]
    http2: Forward,
    /// Which side of the mTLS connection this proxy is
    #[arg(long)]
    side: Side,
    /// CA certificate, PEM
    #[arg(long)]
    ca: PathBuf,
    /// Own certificate, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// Own key, PEM
    #[arg(long)]
    key: PathBuf,
}

/// Which neighbour speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Side {
    /// Plaintext from the client, mTLS to the inbound proxy.
    Outbound,
    /// mTLS from the outbound proxy, plaintext to the application.
    Inbound,
}

/// One listener's proxy.
struct Floor {
    protocol: Protocol,
    upstream: SocketAddr,
    side: Side,
    tls: tls::Configs,
    /// Hosts that are served: 100 that nobody asks for, and the one that everybody does.
    routes: HashMap<String, usize>,
    http1: http1::Pool,
    http2: http2::Shared,
    /// Responses by status class.
    responses: [AtomicU64; 6],
    /// Responses by binary order of magnitude of their microseconds.
    latency: [AtomicU64; 64],
}

/// Serves both protocols until the process is killed.
pub(crate) async fn serve(options: &Options) -> Result<()> {
    let tls = tls::configs(&options.ca, &options.certificate, &options.key)?;
    let http1 = Floor::new(Protocol::Http1, options.http1.to, options.side, tls.clone());
    let http2 = Floor::new(Protocol::Http2, options.http2.to, options.side, tls);
    let first = accept(http1, socket::listen(options.http1.from)?);
    let second = accept(http2, socket::listen(options.http2.from)?);
    tokio::join!(first, second);
    Ok(())
}

async fn accept(floor: Arc<Floor>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(Arc::clone(&floor).connection(stream));
    }
}

impl Floor {
    fn new(protocol: Protocol, upstream: SocketAddr, side: Side, tls: tls::Configs) -> Arc<Self> {
        let routes = peer::decoy_hosts()
            .chain([peer::HOST.to_owned()])
            .enumerate()
            .map(|(n, host)| (host, n));
        Arc::new(Self {
            protocol,
            upstream,
            side,
            tls,
            routes: routes.collect(),
            http1: http1::Pool::default(),
            http2: http2::Shared::default(),
            responses: Default::default(),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }

    /// Serves one connection; its errors are seen and counted by the load generator.
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let transport = match self.side {
            Side::Outbound => Transport::Plain(stream),
            Side::Inbound => match self.tls.acceptor.accept(stream).await {
                Ok(stream) => Transport::Tls(Box::new(stream.into())),
                Err(_) => return,
            },
        };
        let io = TokioIo::new(transport);
        let protocol = self.protocol;
        let service = service_fn(move |request| Arc::clone(&self).forward(request));
        if protocol == Protocol::Http2 {
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_concurrent_streams(2000);
            server.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 24);
            let _ = server.serve_connection(io, service).await;
        } else {
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(io, service).await;
        }
    }

    /// One request: route, forward, count.
    async fn forward(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, hyper::Error> {
        let started = Instant::now();
        let response = if !self.routes.contains_key(host_of(&request)) {
            empty(StatusCode::NOT_FOUND)
        } else if self.protocol == Protocol::Http2 {
            self.send_http2(request).await?
        } else {
            self.send_http1(request).await?
        };
        self.count(response.status(), started);
        Ok(response)
    }

    fn count(&self, status: StatusCode, started: Instant) {
        let class = usize::from(status.as_u16() / 100).min(self.responses.len() - 1);
        self.responses[class].fetch_add(1, Relaxed);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let magnitude = (u64::BITS - micros.leading_zeros()) as usize;
        self.latency[magnitude.min(self.latency.len() - 1)].fetch_add(1, Relaxed);
    }

    /// A new connection to the upstream, over mTLS on the outbound side.
    async fn connect(&self) -> std::io::Result<Transport> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        match self.side {
            Side::Inbound => Ok(Transport::Plain(stream)),
            Side::Outbound => {
                let name = self.tls.server_name.clone();
                let stream = self.tls.connector.connect(name, stream).await?;
                Ok(Transport::Tls(Box::new(stream.into())))
            }
        }
    }
}

/// The host asked for, without its port.
fn host_of<B>(request: &Request<B>) -> &str {
    let header = || request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let host = request.uri().host().or_else(header).unwrap_or_default();
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}
