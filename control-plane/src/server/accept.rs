//! The accept loop: bounds, TLS handshakes in tasks of their own, and the look at the peer after each.
//!
//! Spawned by [`super::Server::run`]; ends when tonic takes no more connections. One slow or hostile client
//! must never keep another from being accepted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use weft_certs::{SpiffeId, verify};

use super::Tls;
use super::connection::{Connection, ConnectionPeer, Room};
use crate::share::Shares;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// While most places for handshakes are taken: whoever takes them and goes no further must not keep the others waiting.
const CROWDED_TIMEOUT: Duration = Duration::from_secs(1);
/// After an error of the system's, such as no free file descriptor: time for others to close theirs.
const BACK_OFF: Duration = Duration::from_millis(100);

// Bound: all connections; each costs about 50 KiB with its TLS and HTTP/2 buffers.
const MAX_CONNECTIONS: usize = 10_000;
// Bound: of them, in their handshake. Whoever floods the port delays others by HANDSHAKE_TIMEOUT, and then by
// CROWDED_TIMEOUT for each so many.
const MAX_HANDSHAKES: usize = 1_024;
// Bound: of them, without a certificate. Strangers cannot take the room of those who have one.
const MAX_ANONYMOUS: usize = 1_024;

/// Accepts, shakes hands, hands over.
pub(super) struct Acceptor {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// What each handshake needs.
struct Shared {
    tls: Tls,
    anonymous: Arc<Semaphore>,
    shares: Shares<SpiffeId>,
    addresses: Shares<IpAddr>,
    ready: mpsc::Sender<Connection>,
    stopped: watch::Receiver<()>,
}

/// Why a connection was not served.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the TLS handshake took longer than {0} s")]
    Slow(u64),
    #[error("TLS: {0}")]
    Handshake(#[from] io::Error),
    #[error(transparent)]
    Peer(#[from] verify::PeerError),
    #[error("{0} has as many connections as one may have")]
    TooMany(SpiffeId),
    #[error("too many clients without a certificate are connected from {0}")]
    TooManyOf(IpAddr),
    #[error("{MAX_ANONYMOUS} clients without a certificate are connected already")]
    TooManyAnonymous,
}

impl Acceptor {
    pub(super) fn new(
        listener: TcpListener,
        tls: Tls,
        ready: mpsc::Sender<Connection>,
        stopped: watch::Receiver<()>,
    ) -> Self {
        let anonymous = Arc::new(Semaphore::new(MAX_ANONYMOUS));
        Self {
            listener,
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            shared: Arc::new(Shared {
                tls,
                anonymous,
                shares: Shares::of(MAX_CONNECTIONS),
                addresses: Shares::of(MAX_ANONYMOUS),
                ready,
                stopped,
            }),
        }
    }

    /// Cancel: dropping the future closes the port and ends the handshakes under way.
    pub(super) async fn run(self) {
        let mut handshakes = JoinSet::new();
        let closed = self.shared.ready.clone();
        tokio::select! {
            () = closed.closed() => {}
            () = self.accept_all(&mut handshakes) => {}
        }
    }

    async fn accept_all(&self, handshakes: &mut JoinSet<()>) {
        loop {
            // Order: room first, then accept; what waits for room waits in the kernel's backlog.
            let Ok(connection) = self.connections.clone().acquire_owned().await else { return };
            let Ok(handshake) = self.handshakes.clone().acquire_owned().await else { return };
            let (tcp, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    back_off(&error).await;
                    continue;
                }
            };
            let shared = self.shared.clone();
            let crowded = self.handshakes.available_permits() < MAX_HANDSHAKES / 4;
            let time = if crowded { CROWDED_TIMEOUT } else { HANDSHAKE_TIMEOUT };
            handshakes.spawn(async move {
                if let Err(refused) = shared.admit(tcp, from, time, connection).await {
                    tracing::debug!(%from, %refused, "connection refused");
                }
                drop(handshake);
            });
            // Bound: finished tasks leave no trace in the set.
            while handshakes.try_join_next().is_some() {}
        }
    }
}

/// A connection that was gone before it was taken concerns nobody; anything else needs a pause, as the loop
/// would spin on it.
async fn back_off(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "cannot accept connections for now");
        tokio::time::sleep(BACK_OFF).await;
    }
}

impl Shared {
    async fn admit(
        &self,
        tcp: TcpStream,
        from: SocketAddr,
        time: Duration,
        connection: OwnedSemaphorePermit,
    ) -> Result<(), Refused> {
        tcp.set_nodelay(true)?;
        let config = self.tls.config.borrow().clone();
        let handshake = TlsAcceptor::from(config).accept(tcp);
        let io = tokio::time::timeout(time, handshake)
            .await
            .map_err(|_elapsed| Refused::Slow(time.as_secs()))??;

        // Looked at after every handshake: a resumed one has called no verifier.
        let standing = match io.get_ref().1.peer_certificates() {
            None | Some([]) => None,
            Some(chain) => {
                let now = self.tls.clock.now();
                Some(verify::peer_allow_expired(chain, &self.tls.trust_domain, now)?)
            }
        };
        let peer = ConnectionPeer::new(standing.as_ref());
        let room = match peer.id() {
            Some(id) => {
                let share = self.shares.take(id).ok_or_else(|| Refused::TooMany(id.clone()))?;
                Room::of_peer(connection, share)
            }
            None => {
                let ip = from.ip();
                let share = self.addresses.take(&ip).ok_or(Refused::TooManyOf(ip))?;
                let anonymous = self.anonymous.clone().try_acquire_owned();
                let anonymous = anonymous.map_err(|_full| Refused::TooManyAnonymous)?;
                Room::of_stranger(connection, anonymous, share)
            }
        };
        let connection = Connection::new(io, peer, self.stopped.clone(), room);
        // Fails only when the server is stopping: then the connection is dropped with it.
        let _ = self.ready.send(connection).await;
        Ok(())
    }
}
