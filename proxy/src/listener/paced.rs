//! The bytes of an HTTP/2 connection on their way to hyper: so many at a turn, and with an eye on what the client
//! says of its windows. Nothing is changed.
//!
//! h2 decodes all that it can read before streams that are new are looked at, and refused if they must be: what
//! comes in one turn bounds what a flood of them costs. A header may cost one byte here and a hundred when decoded.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::linger::Lingering;
use super::wire::Wire;

/// Bound of what is read in a turn.
const TURN: usize = 16 * 1024;
/// A turn ends with the frame that brings its header blocks to this.
const BLOCKS: usize = 2 * 1024;
const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The stream as hyper gets it.
#[derive(Debug)]
pub(super) struct Paced {
    io: Lingering,
    /// In this turn.
    read: usize,
    frames: Frames,
    /// Read, and left for the next turn. Bound: one read.
    held: Vec<u8>,
}

impl Paced {
    pub(super) fn new(io: Lingering) -> (Self, Arc<Wire>) {
        let wire = Wire::new();
        let frames = Frames::new(Arc::clone(&wire));
        (Self { io, read: 0, frames, held: Vec::new() }, wire)
    }

    fn begin_turn(&mut self) {
        self.read = 0;
        self.frames.blocks = 0;
    }
}

/// Where frames begin; looks into SETTINGS only. Bound: 9 bytes are kept.
#[derive(Debug)]
struct Frames {
    wire: Arc<Wire>,
    /// Bytes until something is of interest again.
    skip: usize,
    /// Of the next bytes, this many are settings.
    settings: bool,
    kept: Vec<u8>,
    /// Bytes of header blocks in this turn.
    blocks: usize,
}

impl Frames {
    fn new(wire: Arc<Wire>) -> Self {
        Self { wire, skip: PREFACE, settings: false, kept: Vec::new(), blocks: 0 }
    }

    /// Goes on over these bytes; returns how many of them this turn may have.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        loop {
            if !self.settings {
                let here = self.skip.min(rest.len());
                self.skip -= here;
                rest = &rest[here..];
            }
            if rest.is_empty() || self.is_full() {
                return bytes.len() - rest.len();
            }
            let wanted = if self.settings { 6 } else { 9 };
            let here = (wanted - self.kept.len()).min(rest.len());
            self.kept.extend_from_slice(&rest[..here]);
            rest = &rest[here..];
            if self.kept.len() < wanted {
                return bytes.len();
            }
            if self.settings {
                self.setting()
            } else {
                self.head()
            }
            self.kept.clear();
        }
    }

    /// Is a frame at its end, and the turn with it?
    fn is_full(&self) -> bool {
        self.blocks >= BLOCKS && self.skip == 0 && self.kept.is_empty()
    }

    fn head(&mut self) {
        let [a, b, c, kind, ..] = self.kept[..] else { return };
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.blocks += self.skip;
        }
        // What is no multiple of six is refused by h2.
        self.settings = kind == SETTINGS && self.skip >= 6 && self.skip.is_multiple_of(6);
    }

    fn setting(&mut self) {
        let [a, b, rest @ ..] = &self.kept[..] else { return };
        if u16::from_be_bytes([*a, *b]) == INITIAL_WINDOW_SIZE
            && let Ok(value) = rest.try_into()
        {
            self.wire.set_initial_window(u32::from_be_bytes(value));
        }
        self.skip -= 6;
        self.settings = self.skip > 0;
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.read >= TURN || this.frames.is_full() {
            this.begin_turn();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if this.held.is_empty() {
            let read = Pin::new(&mut this.io).poll_read(cx, buf);
            if !matches!(read, Poll::Ready(Ok(()))) {
                this.begin_turn();
                return read;
            }
            let fresh = &buf.filled()[before..];
            let now = this.frames.read(fresh);
            this.held.extend_from_slice(&fresh[now..]);
            buf.set_filled(before + now);
        } else {
            let here = this.held.len().min(buf.remaining());
            let now = this.frames.read(&this.held[..here]);
            buf.put_slice(&this.held[..now]);
            this.held.drain(..now);
            if this.held.is_empty() {
                this.held = Vec::new();
            }
        }
        let now = buf.filled().len() - before;
        this.read += now;
        this.frames.wire.add_read(now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
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
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
