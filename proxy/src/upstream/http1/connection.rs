//! One HTTP/1.1 connection that we opened. It has no task of its own: whoever waits for the response, or for its
//! body, drives it. Idle, it is a stream and nothing else: no buffer, no channel.

use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::io::Io;
use crate::upstream::connect::Open;

/// First read of a message; doubles while reads come back full.
const MIN_READ: usize = 4 * 1024;
const MAX_READ: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(in crate::upstream) struct Connection {
    pub(super) io: Io,
    /// Read and not yet understood.
    pub(super) buffer: BytesMut,
    read_size: usize,
    /// How long it had been idle when it was last taken.
    pub(in crate::upstream) idle: Duration,
    _open: Open,
}

/// A connection that goes on with another protocol; what was read ahead comes first.
#[derive(Debug)]
pub struct Switched(pub(super) Box<Connection>);

impl AsyncRead for Switched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &mut self.get_mut().0;
        if connection.buffer.is_empty() {
            return Pin::new(&mut connection.io).poll_read(context, buffer);
        }
        let count = connection.buffer.len().min(buffer.remaining());
        buffer.put_slice(&connection.buffer.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0.io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0.io).poll_shutdown(context)
    }
}

impl Connection {
    pub(super) fn new(io: Io, open: Open) -> Self {
        let buffer = BytesMut::new();
        Self { io, buffer, read_size: MIN_READ, idle: Duration::ZERO, _open: open }
    }

    /// Can it carry a request? An idle peer has nothing to say: an end or a byte makes the connection useless.
    /// `ask`: look at the socket itself too; the runtime hears of an end only when it next asks the system.
    ///
    /// Race: the peer may close it right after; see `exchange`.
    pub(in crate::upstream) fn is_usable(&mut self, ask: bool) -> bool {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.io).poll_read(&mut context, &mut byte);
        self.buffer.is_empty() && read.is_pending() && (!ask || self.is_silent())
    }

    fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(self.io.socket()).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads once, behind what is there. Zero: the peer has ended the stream in order.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < self.read_size {
            self.buffer.reserve(self.read_size);
        }
        let offered = self.read_size;
        let count = ready!(pin!(self.io.read_buf(&mut self.buffer)).poll(context))?;
        self.read_size = match count {
            full if full >= offered => (offered * 2).min(MAX_READ),
            little if little < offered / 4 => (offered / 2).max(MIN_READ),
            _ => offered,
        };
        Poll::Ready(Ok(count))
    }

    /// Between two requests: gives back what only a message needs.
    pub(super) fn rest(&mut self) {
        self.buffer = BytesMut::new();
        self.read_size = MIN_READ;
    }

    /// Says goodbye if that can be done without waiting: a peer that reads an orderly end has nothing to report.
    pub(in crate::upstream) fn retire(mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.io).poll_shutdown(&mut context);
    }
}
