//! The bytes of an HTTP/2 connection on their way to hyper: so many at a turn, and with an eye on what the client
//! says of its windows. Nothing is changed.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::linger::Lingering;

/// Bound of what is read before streams that are new are looked at, and refused if they must be: h2 decodes all
/// that is there first. A header may cost one byte here and a hundred when decoded.
const TURN: usize = 16 * 1024;
/// RFC 9113 §6.9.2.
const DEFAULT_WINDOW: u32 = 65_535;
const PREFACE: usize = 24;
const SETTINGS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a client said of its windows.
#[derive(Debug)]
pub(super) struct Windows(AtomicU32);

impl Windows {
    /// Bytes that a new stream may send at once.
    pub(super) fn initial(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// The stream as hyper gets it.
#[derive(Debug)]
pub(super) struct Paced {
    io: Lingering,
    read: usize,
    frames: Frames,
}

impl Paced {
    pub(super) fn new(io: Lingering) -> (Self, Arc<Windows>) {
        let windows = Arc::new(Windows(AtomicU32::new(DEFAULT_WINDOW)));
        let frames = Frames {
            windows: Arc::clone(&windows),
            skip: PREFACE,
            settings: false,
            kept: Vec::new(),
        };
        (Self { io, read: 0, frames }, windows)
    }
}

/// Where frames begin; looks into SETTINGS only. Bound: 9 bytes are kept.
#[derive(Debug)]
struct Frames {
    windows: Arc<Windows>,
    /// Bytes until something is of interest again.
    skip: usize,
    /// Of the next bytes, this many are settings.
    settings: bool,
    kept: Vec<u8>,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) {
        loop {
            if !self.settings {
                let here = self.skip.min(bytes.len());
                self.skip -= here;
                bytes = &bytes[here..];
            }
            if bytes.is_empty() {
                return;
            }
            let wanted = if self.settings { 6 } else { 9 };
            let here = (wanted - self.kept.len()).min(bytes.len());
            self.kept.extend_from_slice(&bytes[..here]);
            bytes = &bytes[here..];
            if self.kept.len() < wanted {
                return;
            }
            if self.settings {
                self.setting()
            } else {
                self.head()
            }
            self.kept.clear();
        }
    }

    fn head(&mut self) {
        let [a, b, c, kind, ..] = self.kept[..] else { return };
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // What is no multiple of six is refused by h2.
        self.settings = kind == SETTINGS && self.skip >= 6 && self.skip.is_multiple_of(6);
    }

    fn setting(&mut self) {
        let [a, b, rest @ ..] = &self.kept[..] else { return };
        if u16::from_be_bytes([*a, *b]) == INITIAL_WINDOW_SIZE
            && let Ok(value) = rest.try_into()
        {
            self.windows.0.store(u32::from_be_bytes(value), Relaxed);
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
        if this.read >= TURN {
            this.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        match read {
            Poll::Ready(_) => {
                let fresh = &buf.filled()[before..];
                this.read += fresh.len();
                this.frames.read(fresh);
            }
            Poll::Pending => this.read = 0,
        }
        read
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
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_windows_counts_in_pieces_of_any_size() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let frame = |kind: u8, payload: &[u8]| {
            let length = u8::try_from(payload.len()).unwrap();
            [&[0, 0, length, kind, 0, 0, 0, 0, 0], payload].concat()
        };
        bytes.extend(frame(SETTINGS, &[0, 3, 0, 0, 0, 9, 0, 4, 0, 0, 0, 7]));
        bytes.extend(frame(0, &[0, 4, 0, 0, 0, 1]));
        bytes.extend(frame(SETTINGS, &[]));
        let all = [bytes.clone(), frame(SETTINGS, &[0, 4, 0, 0, 1, 0])].concat();
        for (bytes, expected) in [(&bytes[..33], DEFAULT_WINDOW), (&bytes, 7), (&all, 256)] {
            for size in 1..40 {
                let windows = Arc::new(Windows(AtomicU32::new(DEFAULT_WINDOW)));
                let mut frames = Frames {
                    windows: Arc::clone(&windows),
                    skip: PREFACE,
                    settings: false,
                    kept: Vec::new(),
                };
                bytes.chunks(size).for_each(|piece| frames.read(piece));
                assert_eq!(windows.initial(), expected, "in pieces of {size}");
            }
        }
    }
}
