//! The one TCP port of the control plane: gRPC over TLS that we terminate ourselves.
//!
//! `accept` lets connections in, `connection` is what tonic gets of each, `leaf` keeps the port's own
//! certificate fresh. A client certificate is optional in the handshake, and one that expired lately gets
//! through it, because a proxy must be able to renew over the leaf that it has. Who may do what is therefore
//! decided per request: [`name_peer`] looks at the time again and puts an
//! [`AuthenticatedPeer`](crate::peer::AuthenticatedPeer) into the request's extensions, or nothing. No service
//! may read identity elsewhere.

mod accept;
mod connection;
mod leaf;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::rustls::ServerConfig;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::service::{InterceptorLayer, Routes};
use weft_certs::TrustDomain;

use self::accept::Acceptor;
use self::connection::ConnectionPeer;
pub(crate) use self::leaf::ServerLeaf;
use crate::clock::Clock;

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// From GOAWAY to closing what is still open: ADS streams never end by themselves.
const STOP_GRACE: Duration = Duration::from_millis(500);

// Bounds: of one connection. A proxy has two long streams and now and then one call.
const MAX_STREAMS: u32 = 64;
const MAX_REQUESTS: usize = 32;
const MAX_HEADER_LIST: u32 = 16 * 1024;
// Bound: connections handed over and not yet taken by tonic.
const HANDED_OVER: usize = 16;
// Bound: `listen` backlog; many proxies reconnect at once when the control plane comes back.
const BACKLOG: i32 = 1024;

/// What the port needs besides the services on it.
#[derive(Debug)]
pub(crate) struct Tls {
    /// The configuration in force, renewed with the port's own leaf.
    pub(crate) config: watch::Receiver<Arc<ServerConfig>>,
    /// Where peers must be from.
    pub(crate) trust_domain: TrustDomain,
    /// For expiry.
    pub(crate) clock: Clock,
}

/// A bound port, not serving yet.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds `address`; port 0 takes any. An address in `TIME_WAIT` from a predecessor is taken over.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then says GOAWAY, waits [`STOP_GRACE`] and closes what is left.
    pub(crate) async fn run(
        self,
        tls: Tls,
        routes: Routes,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        // Every connection ends with it: by its value, or when this future is dropped.
        let (stop, stopped) = watch::channel(());
        let (connections, incoming) = mpsc::channel(HANDED_OVER);
        let clock = tls.clock.clone();
        // Order: tonic drops `incoming` at the signal, which ends the acceptor and closes the port.
        tokio::spawn(Acceptor::new(self.listener, tls, connections, stopped).run());

        let (goaway, on_goaway) = oneshot::channel::<()>();
        let serving = builder()
            .layer(InterceptorLayer::new(move |request| Ok(name_peer(request, &clock))))
            .add_routes(routes)
            .serve_with_incoming_shutdown(
                ReceiverStream::new(incoming).map(Ok::<_, Infallible>),
                async move { on_goaway.await.unwrap_or(()) },
            );
        let stopping = async move {
            shutdown.await;
            // Nobody receives it if serving has ended already.
            let _ = goaway.send(());
            tokio::time::sleep(STOP_GRACE).await;
            drop(stop);
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            result = serving => result,
            () = stopping => Ok(()),
        }
    }
}

fn builder() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .concurrency_limit_per_connection(MAX_REQUESTS)
        .load_shed(true)
}

/// Says in the request's extensions who sent it, as of now: a connection may outlive its peer's leaf.
fn name_peer(mut request: Request<()>, clock: &Clock) -> Request<()> {
    let peer = request.extensions().get::<ConnectionPeer>().and_then(|peer| peer.at(clock.now()));
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    request
}

#[cfg(test)]
mod tests;
