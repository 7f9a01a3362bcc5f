//! One accepted connection as tonic serves it: a TLS stream that knows its peer and when it has to end.
//!
//! Made by `accept` after the handshake. It holds the permits of its bounds, so they are free again exactly
//! when the socket is.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use weft_certs::verify::{RENEWAL_GRACE, Standing};
use weft_certs::{Serial, SpiffeId};

use crate::clock;
use crate::peer::AuthenticatedPeer;
use crate::share::Share;

/// A client without a certificate is here to get its first one, which takes milliseconds.
const ANONYMOUS_LIFE: Duration = Duration::from_secs(60);

/// Whose certificate the connection was opened with; in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionPeer(Option<(SpiffeId, Serial, SystemTime)>);

impl ConnectionPeer {
    /// From the check after the handshake; `None` where no certificate was shown.
    pub(super) fn new(standing: Option<&Standing>) -> Self {
        Self(standing.map(|standing| {
            let not_after = match standing {
                Standing::Valid(peer) => peer.not_after,
                Standing::Expired(peer) => peer.not_after,
            };
            (standing.id().clone(), standing.serial().clone(), not_after)
        }))
    }

    /// Whose it is.
    pub(super) fn id(&self) -> Option<&SpiffeId> {
        self.0.as_ref().map(|(id, ..)| id)
    }

    /// Did it show no certificate?
    pub(super) fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// What the certificate is worth `now`; nothing any more when the grace for renewal is over too.
    pub(super) fn at(&self, now: SystemTime) -> Option<AuthenticatedPeer> {
        let (id, serial, not_after) = self.0.as_ref()?;
        // A certificate is good through the whole of its last second.
        let late = clock::unix(now).saturating_sub(clock::unix(*not_after));
        let known = late <= RENEWAL_GRACE.as_secs();
        let peer =
            || AuthenticatedPeer { id: id.clone(), serial: serial.clone(), expired: late > 0 };
        known.then(peer)
    }
}

/// The stream with everything that goes when it goes.
pub(super) struct Connection {
    io: TlsStream<TcpStream>,
    peer: ConnectionPeer,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    _room: Room,
}

/// What a connection has of the bounds; free again when dropped.
#[derive(Debug)]
pub(super) struct Room {
    _connection: OwnedSemaphorePermit,
    _anonymous: Option<(OwnedSemaphorePermit, Share<IpAddr>)>,
    _share: Option<Share<SpiffeId>>,
}

impl Room {
    /// Of one with a certificate.
    pub(super) fn of_peer(connection: OwnedSemaphorePermit, share: Share<SpiffeId>) -> Self {
        Self { _connection: connection, _anonymous: None, _share: Some(share) }
    }

    /// Of one without.
    pub(super) fn of_stranger(
        connection: OwnedSemaphorePermit,
        anonymous: OwnedSemaphorePermit,
        share: Share<IpAddr>,
    ) -> Self {
        Self { _connection: connection, _anonymous: Some((anonymous, share)), _share: None }
    }
}

impl Connection {
    /// Ends when `stopped` changes or closes, or, without a peer, after [`ANONYMOUS_LIFE`].
    pub(super) fn new(
        io: TlsStream<TcpStream>,
        peer: ConnectionPeer,
        stopped: watch::Receiver<()>,
        room: Room,
    ) -> Self {
        let end = Box::pin(until_end(stopped, peer.is_anonymous()));
        Self { io, peer, end, ended: false, _room: room }
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> bool {
        self.ended = self.ended || self.end.as_mut().poll(cx).is_ready();
        self.ended
    }
}

async fn until_end(mut stopped: watch::Receiver<()>, anonymous: bool) {
    let too_long = async {
        match anonymous {
            true => tokio::time::sleep(ANONYMOUS_LIFE).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = stopped.changed() => {}
        () = too_long => {}
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionPeer;

    fn connect_info(&self) -> ConnectionPeer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 reads at all times, so this is where an end is noticed.
        if self.poll_ended(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
