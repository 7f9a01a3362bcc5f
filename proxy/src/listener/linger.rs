//! Closing without losing the other side's last words. A sidecar that ends a connection with unread bytes in
//! its socket makes the kernel send RST, which can overtake and destroy the TLS close_notify before it: then
//! the caller cannot know that its request was not read (`upstream::classify`). So after the orderly end
//! what still arrives is read and thrown away, for a moment.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::io::Io;

/// Bound of what is thrown away: who sends more is not saying farewell.
const FAREWELL: usize = 256 * 1024;
/// Bound of the wait for the other side's end.
const LINGER: Duration = Duration::from_secs(1);

/// A stream whose shutdown lingers.
#[derive(Debug)]
pub(super) struct Lingering {
    io: Io,
    deadline: Option<Pin<Box<Sleep>>>,
    thrown_away: usize,
}

impl Lingering {
    pub(super) fn new(io: Io) -> Self {
        Self { io, deadline: None, thrown_away: 0 }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let deadline = match &mut this.deadline {
            Some(deadline) => deadline,
            None => {
                ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                this.deadline.insert(Box::pin(tokio::time::sleep(LINGER)))
            }
        };
        let mut scratch = [0; 1024];
        while deadline.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() && this.thrown_away < FAREWELL => {
                    this.thrown_away += buf.filled().len();
                }
                // The end, or a failure: nobody speaks any more.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
