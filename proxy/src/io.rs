//! One type for a byte stream of either side, plain or TLS, so that nothing above it is generic over the
//! transport. Vectored writes pass through: hyper joins head and body in one call. How sockets are set up stands in
//! [`options`].

mod ahead;
mod options;
mod sever;

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

pub use ahead::Ahead;
pub(crate) use options::{prepare, set_reset_on_close};
pub use sever::Sever;

/// A connected stream. TLS states are boxed: they are large, and plain streams are many.
#[derive(Debug)]
pub enum Io {
    /// Plaintext.
    Plain(TcpStream),
    /// TLS that we opened.
    Client(Box<client::TlsStream<Ahead>>),
    /// TLS that we accepted.
    Server(Box<server::TlsStream<Ahead>>),
}

macro_rules! each {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io {
            Io::Plain($stream) => $call,
            Io::Client($stream) => $call,
            Io::Server($stream) => $call,
        }
    };
}

impl Io {
    /// Bulk is read in large pieces from now on: for opaque bytes.
    pub fn read_ahead(&mut self) {
        match self {
            // Its reader chooses the size.
            Self::Plain(_) => {}
            Self::Client(stream) => stream.get_mut().0.allow(),
            Self::Server(stream) => stream.get_mut().0.allow(),
        }
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Client(stream) => stream.get_ref().0.get_ref(),
            Self::Server(stream) => stream.get_ref().0.get_ref(),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
