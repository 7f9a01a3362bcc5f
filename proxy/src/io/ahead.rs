//! The socket below TLS. rustls reads 4 KiB at a time, so a record takes it five calls of the system; here what is
//! surely more is read in one, ahead of it. Used by `tls`, for both sides. Must never hold back a byte: it reads ahead
//! only when asked to read, and hands out what it has before it asks the system again.
//!
//! Only opaque bulk pays for it: once [`Ahead::allow`] was called a connection has a buffer from the second read in a
//! row that came back full until all that was read ahead is handed out and the system has no more. Small messages
//! never get so far; HTTP/2 would, with each burst of them, so HTTP does not ask for it.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Sever;

/// Bound of what is read ahead on one connection.
const BUFFER: usize = 64 * 1024;
/// So many full reads in a row are bulk.
const BULK: u8 = 2;

/// A stream that may have been read further than it was asked for.
#[derive(Debug)]
pub struct Ahead<S = TcpStream> {
    stream: S,
    allowed: bool,
    /// Allocated while bulk comes in.
    buffer: Option<Box<Buffer>>,
    /// Reads in a row that came back full, as far as that matters.
    full: u8,
    /// Ends it from elsewhere.
    sever: Option<Arc<Sever>>,
}

/// Bytes read and not yet handed out: `bytes[start..end]`.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S> Ahead<S> {
    /// Reads what it is asked for, until more is allowed.
    pub fn new(stream: S) -> Self {
        Self { stream, allowed: false, buffer: None, full: 0, sever: None }
    }

    /// The same, which ends when it is told so.
    pub fn until(stream: S, sever: Arc<Sever>) -> Self {
        Self { sever: Some(sever), ..Self::new(stream) }
    }

    /// From now on bulk is read ahead.
    pub fn allow(&mut self) {
        self.allowed = true;
    }

    fn check(&self) -> Result<()> {
        self.sever.as_ref().map_or(Ok(()), |sever| sever.check())
    }

    /// The stream below. It must not be read: bytes may have been taken from it already.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl Buffer {
    fn new() -> Box<Self> {
        Box::new(Self { bytes: vec![0; BUFFER], start: 0, end: 0 })
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn hand_out(&mut self, to: &mut ReadBuf<'_>) {
        let count = to.remaining().min(self.end - self.start);
        to.put_slice(&self.bytes[self.start..self.start + count]);
        self.start += count;
    }

    /// Only when it is empty.
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let mut free = ReadBuf::new(&mut self.bytes);
        ready!(Pin::new(stream).poll_read(cx, &mut free))?;
        (self.start, self.end) = (0, free.filled().len());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let read = this.poll_read_ahead(cx, buf);
        match &this.sever {
            Some(sever) if read.is_pending() => match sever.wait(cx.waker()) {
                Ok(()) => Poll::Pending,
                Err(severed) => Poll::Ready(Err(severed)),
            },
            _ => read,
        }
    }
}

impl<S: AsyncRead + Unpin> Ahead<S> {
    fn poll_read_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        self.check()?;
        let this = self;
        let Some(buffer) = &mut this.buffer else {
            let (before, offered) = (buf.filled().len(), buf.remaining());
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let full = buf.filled().len() - before == offered;
            this.full = if full && this.allowed { this.full + 1 } else { 0 };
            if this.full >= BULK {
                this.buffer = Some(Buffer::new());
            }
            return Poll::Ready(Ok(()));
        };
        if buffer.is_empty() {
            let filled = buffer.poll_fill(&mut this.stream, cx);
            // An end, a failure, or nothing more for now: whoever comes next shows again that it is bulk.
            if !matches!(filled, Poll::Ready(Ok(()))) || buffer.is_empty() {
                (this.buffer, this.full) = (None, 0);
                return filled;
            }
        }
        buffer.hand_out(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
