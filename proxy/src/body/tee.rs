//! Copies of a request body for mirrors, made as it passes, by reference. Who reads the body itself never waits for
//! them: a copy that falls behind breaks off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::BodyError;

/// Bound: bytes of one body that a copy has not taken yet.
const MAX_BEHIND: usize = 256 * 1024;

/// The copies of one body. Dropped before the end they break off.
#[derive(Debug, Default)]
pub struct Tee(Vec<Feed>);

#[derive(Debug)]
struct Feed {
    /// Bounded by what it holds, not by pieces.
    pieces: UnboundedSender<Piece>,
    behind: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Piece {
    Frame(Frame<Bytes>),
    End,
}

/// A copy.
#[derive(Debug)]
pub struct Copied {
    pieces: UnboundedReceiver<Piece>,
    behind: Arc<AtomicUsize>,
    hint: SizeHint,
    ended: bool,
}

impl Tee {
    /// One more copy, of a body of this size.
    pub fn copy(&mut self, hint: SizeHint) -> Copied {
        let (sender, pieces) = unbounded_channel();
        let behind = Arc::new(AtomicUsize::new(0));
        self.0.push(Feed { pieces: sender, behind: Arc::clone(&behind) });
        Copied { pieces, behind, hint, ended: false }
    }

    /// A piece passes.
    pub fn pass(&mut self, frame: &Frame<Bytes>) {
        let copy = || match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Some(Frame::data(data.clone())),
            (None, Some(trailers)) => Some(Frame::trailers(trailers.clone())),
            (None, None) => None,
        };
        let length = length(frame);
        self.0.retain(|feed| {
            let behind = feed.behind.fetch_add(length, Relaxed) + length;
            behind <= MAX_BEHIND
                && copy().is_some_and(|frame| feed.pieces.send(Piece::Frame(frame)).is_ok())
        });
    }

    /// The body has ended, whole.
    pub fn end(&mut self) {
        for feed in self.0.drain(..) {
            // A copy that nobody reads any more needs no end.
            let _ = feed.pieces.send(Piece::End);
        }
    }
}

impl Copied {
    /// As [`http_body::Body::poll_frame`].
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(cx));
        self.ended = !matches!(piece, Some(Piece::Frame(_)));
        Poll::Ready(match piece {
            Some(Piece::Frame(frame)) => {
                self.behind.fetch_sub(length(&frame), Relaxed);
                Some(Ok(frame))
            }
            Some(Piece::End) => None,
            None => Some(Err("the request that is mirrored broke off, or was too fast".into())),
        })
    }

    /// As [`http_body::Body::is_end_stream`].
    pub(super) fn is_end_stream(&self) -> bool {
        self.ended
    }

    /// As [`http_body::Body::size_hint`].
    pub(super) fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

fn length(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests;
