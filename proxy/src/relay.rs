//! Both directions of one opaque connection. Used by `outbound` and `inbound`. Half-close is kept: each side may
//! stop speaking while the other goes on, for as long as that one likes.
//!
//! How a connection ends is part of what it says: a protocol without lengths takes the end for the whole. So an end
//! in order goes on as one (FIN, between sidecars close_notify and FIN), and whatever breaks off (RST, an end of TLS
//! without close_notify, a drain that waits no longer) goes on as RST. It must never become an end in order; even if
//! this process is killed the system resets both sides.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::drain;
use crate::error::Token;
use crate::io::{Io, set_reset_on_close};
use crate::telemetry::metrics::Edge;

/// Bytes that are read at once. One buffer serves all relays of a thread; what finds no room on the other side is
/// kept in a copy, which bounds what a relay holds in each direction.
const BUFFER: usize = 64 * 1024;
/// How often a side that has ended is looked at: it is read no more, and so would not be heard to break.
const LOOK: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// What has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from downstream to upstream.
    pub sent: u64,
    /// Bytes from upstream to downstream.
    pub received: u64,
    /// Why it was broken off.
    pub error: Option<Token>,
}

/// Carries bytes both ways until both sides have ended, one of them breaks, or the drain aborts. Unless both have
/// ended in order, dropping the streams resets both. `edge` counts the bytes as they pass.
pub async fn relay(
    downstream: &mut Io,
    upstream: &mut Io,
    watch: &drain::Watch,
    edge: &Edge,
) -> Relayed {
    refuse(downstream);
    refuse(upstream);
    let (mut sent, mut received) = (Half::default(), Half::default());
    let copied = tokio::select! {
        copied = copy((&mut *downstream, &mut *upstream), (&mut sent, &mut received), edge) => copied,
        () = watch.aborted() => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let error = match copied {
        Ok(()) => {
            set_reset_on_close(downstream.socket(), false);
            set_reset_on_close(upstream.socket(), false);
            None
        }
        Err(_) => Some(Token::ConnectionTerminated),
    };
    Relayed { sent: sent.carried, received: received.carried, error }
}

/// From now on the end of this stream is a reset: the client of a server that cannot be reached must not take
/// silence for an answer.
pub fn refuse(stream: &Io) {
    set_reset_on_close(stream.socket(), true);
}

async fn copy(
    (downstream, upstream): (&mut Io, &mut Io),
    (sent, received): (&mut Half, &mut Half),
    edge: &Edge,
) -> io::Result<()> {
    let mut look: Option<Pin<Box<tokio::time::Sleep>>> = None;
    poll_fn(|context| {
        let before = (sent.carried, received.carried);
        let forth = sent.poll(downstream, upstream, context);
        let back = received.poll(upstream, downstream, context);
        // Once for all that found its way at this wake, however many pieces it was.
        edge.carried(sent.carried - before.0, received.carried - before.1);
        let (forth, back) = (forth?, back?);
        if forth.is_ready() && back.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let ended = match (sent.is_read(), received.is_read()) {
            (true, false) => &*downstream,
            (false, true) => &*upstream,
            _ => return Poll::Pending,
        };
        loop {
            let timer = look.get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK)));
            ready!(timer.as_mut().poll(context));
            look = None;
            if let Some(error) = ended.socket().take_error()? {
                return Poll::Ready(Err(error));
            }
        }
    })
    .await
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// Read, and not yet written.
    rest: Vec<u8>,
    written: usize,
    /// Bytes written and not flushed.
    is_unflushed: bool,
    state: HalfState,
    /// Bytes taken by the other side.
    carried: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HalfState {
    #[default]
    Open,
    /// Everything was read; the end itself has to be passed on.
    Read,
    Over,
}

impl Half {
    /// The sender has ended in order.
    fn is_read(&self) -> bool {
        self.state != HalfState::Open
    }

    /// Ready once the sender has ended, and the receiver has been told so.
    fn poll(
        &mut self,
        from: &mut Io,
        to: &mut Io,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.state == HalfState::Open {
            ready!(self.poll_rest(to, context))?;
            let read =
                SCRATCH.with_borrow_mut(|scratch| self.poll_piece(scratch, from, to, context));
            match read {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    self.poll_flush(to, context)?;
                    return Poll::Pending;
                }
            }
        }
        if self.state == HalfState::Read {
            ready!(self.poll_rest(to, context))?;
            ready!(Pin::new(to).poll_shutdown(context))?;
            self.state = HalfState::Over;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes what finds room at once.
    fn poll_piece(
        &mut self,
        scratch: &mut [u8],
        from: &mut Io,
        to: &mut Io,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(from).poll_read(context, &mut buffer))?;
        let piece = buffer.filled();
        if piece.is_empty() {
            self.state = HalfState::Read;
            return Poll::Ready(Ok(()));
        }
        let written = match Pin::new(to).poll_write(context, piece)? {
            Poll::Ready(count) => count,
            Poll::Pending => 0,
        };
        self.note(written);
        if written < piece.len() {
            (self.rest, self.written) = (piece[written..].to_vec(), 0);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_rest(&mut self, to: &mut Io, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.rest.len() {
            let left = &self.rest[self.written..];
            let count = ready!(Pin::new(&mut *to).poll_write(context, left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.note(count);
        }
        (self.rest, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, to: &mut Io, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_unflushed && Pin::new(to).poll_flush(context)?.is_ready() {
            self.is_unflushed = false;
        }
        Ok(())
    }

    fn note(&mut self, count: usize) {
        self.carried += count as u64;
        self.is_unflushed |= count > 0;
    }
}

#[cfg(test)]
mod tests;
