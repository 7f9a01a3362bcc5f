//! A TLS server in the inbound proxy's place, with a certificate of our choice. It tells whether anybody
//! connected and whether anybody trusted it with a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::version::TLS13;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use crate::pki::{self, Identity};
use crate::socket;

/// Time for the address to become free.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running impostor.
pub(super) struct Impostor {
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    request: AtomicBool,
}

impl Impostor {
    /// Listens at `address`, which a proxy that was just killed may hold a moment longer.
    pub(super) async fn start(
        address: SocketAddr,
        identity: &Identity,
        alpn: &[&[u8]],
    ) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let listener = loop {
            match socket::listen(address) {
                Ok(listener) => break listener,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(pki::chain(&identity.certificate)?, pki::key(&identity.key)?)?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, acceptor, Arc::clone(&seen)));
        Ok(Self { seen, task })
    }

    /// Connections so far.
    pub(super) fn attempts(&self) -> usize {
        self.seen.connections.load(Relaxed)
    }

    /// Did a request come?
    pub(super) fn entrusted(&self) -> bool {
        self.seen.request.load(Relaxed)
    }

    /// Ends it, and returns when its address is free.
    pub(super) async fn stop(self) {
        self.task.abort();
        // It was cancelled: there is no other result.
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, seen: Arc<Seen>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(connection(stream, acceptor.clone(), Arc::clone(&seen)));
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, seen: Arc<Seen>) {
    let handshake = acceptor.accept(stream).await;
    // Order: counted after the handshake, so that a connection which is still at it does not yet count.
    seen.connections.fetch_add(1, Relaxed);
    let Ok(mut stream) = handshake else { return };
    let mut first = [0; 4];
    if stream.read_exact(&mut first).await.is_ok() && &first == b"GET " {
        seen.request.store(true, Relaxed);
    }
}
