//! A server in the place of a sidecar: it shows whatever certificate the test gives it, and counts the requests that
//! a calling sidecar was ready to send to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::{HandshakeKind, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use weft_certs::tls::{self, ClientAuth};
use weft_certs::{Leaf, TrustBundle};
use weft_proto::alpn;

use super::Forged;

/// A running server. Ends with the value.
#[derive(Debug)]
pub(crate) struct TlsApp {
    state: Arc<State>,
    server: AbortHandle,
}

#[derive(Debug)]
struct State {
    config: Mutex<Arc<ServerConfig>>,
    requests: AtomicUsize,
    handshakes: Mutex<Vec<Option<HandshakeKind>>>,
}

impl TlsApp {
    /// Listens at `address` with `leaf`, and believes clients of `bundle`.
    pub(crate) async fn start(
        address: SocketAddr,
        leaf: &Leaf,
        bundle: &TrustBundle,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let state = Arc::new(State {
            config: Mutex::new(config(leaf, bundle)),
            requests: AtomicUsize::new(0),
            handshakes: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { state, server: server.abort_handle() })
    }

    /// Shows another certificate from now on.
    pub(crate) fn show(&self, leaf: &Leaf, bundle: &TrustBundle) {
        *self.state.config.lock().unwrap_or_else(PoisonError::into_inner) = config(leaf, bundle);
    }

    /// Shows something forged from now on, where `leaf` would be right.
    pub(crate) fn forge(&self, leaf: &Leaf, bundle: &TrustBundle, forged: &Forged) {
        let mut config = ServerConfig::clone(&config(leaf, bundle));
        config.cert_resolver = forged.shown();
        *self.state.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Requests that arrived.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Kinds of the handshakes that were done.
    pub(crate) fn handshakes(&self) -> Vec<Option<HandshakeKind>> {
        self.state.handshakes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for TlsApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn config(leaf: &Leaf, bundle: &TrustBundle) -> Arc<ServerConfig> {
    let config = tls::server_config(leaf, bundle, ClientAuth::Required, &[alpn::HTTP1]);
    Arc::new(config.expect("it is sound"))
}

/// Answers one request, then closes: the next one needs a handshake of its own.
async fn connection(stream: TcpStream, state: Arc<State>) {
    let config = Arc::clone(&state.config.lock().unwrap_or_else(PoisonError::into_inner));
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let kind = stream.get_ref().1.handshake_kind();
    state.handshakes.lock().unwrap_or_else(PoisonError::into_inner).push(kind);
    let service = service_fn(|_: http::Request<Incoming>| {
        state.requests.fetch_add(1, Ordering::Relaxed);
        let body = Full::new(Bytes::from_static(b"from the impostor"));
        let mut response = Response::new(body);
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(http::header::CONNECTION, close);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    // A caller that refuses the certificate ends the connection; that is what is tested.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
