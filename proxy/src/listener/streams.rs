//! The task of each HTTP/2 stream, with an eye on its client: a response whose data waits longer than the limit for
//! a window is reset (S4, S6: a client that asks and never takes, or takes a byte now and then). A stream whose
//! response has nothing to say, such as a gRPC watch, waits for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::budget::{Account, Held};
use super::wire::Wire;
use crate::body::progress::{self, Last, Turn};

/// So much must go in each such time while more waits: one byte now and then is no progress.
const PROGRESS: usize = 1024;

/// Spawns the streams of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    wire: Arc<Wire>,
    account: Arc<Account>,
    stall: Duration,
}

impl Streams {
    pub(super) fn new(wire: &Arc<Wire>, account: &Arc<Account>, stall: Duration) -> Self {
        Self { wire: Arc::clone(wire), account: Arc::clone(account), stall }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (wire, stall) = (Arc::clone(&self.wire), self.stall);
        let held = Held::stream(&self.account);
        tokio::spawn(Stream { future: Some(stream), wire, stall, waiting: None, held });
    }
}

pin_project! {
    struct Stream<F> {
        #[pin]
        future: Option<F>,
        wire: Arc<Wire>,
        stall: Duration,
        // Since the body gave something that has found no room.
        waiting: Option<Waiting>,
        held: Held,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let (polled, turn) = progress::turn(this.wire.initial_window(), || future.poll(cx));
        if polled.is_ready() {
            return polled;
        }
        Waiting::note(this.waiting, turn, *this.stall, this.held);
        let Some(waiting) = this.waiting else { return Poll::Pending };
        if waiting.poll_over(cx, *this.stall).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!("a client has taken nothing of a response for too long: stream reset");
        // h2 resets a stream that nobody holds any more, and lets its data go.
        this.future.set(None);
        Poll::Ready(())
    }
}

/// Data that waits for its client.
#[derive(Debug)]
struct Waiting {
    /// When the client last had taken [`PROGRESS`] bytes.
    since: Instant,
    taken: usize,
    /// Not before `since` and the limit; it is set anew only when it goes off.
    timer: Pin<Box<Sleep>>,
    /// Held for the client like the stream itself.
    piece: Held,
}

impl Waiting {
    /// A body that gives again has seen its last chunk go; one that has nothing is not waited for.
    fn note(waiting: &mut Option<Self>, turn: Turn, stall: Duration, stream: &Held) {
        match (turn.last, waiting.as_mut()) {
            (Last::Unasked, _) => {}
            (Last::Empty, _) => *waiting = None,
            (Last::Gave, Some(waiting)) => {
                waiting.taken += turn.given;
                waiting.piece.next_piece(turn.piece);
                if waiting.taken >= PROGRESS {
                    (waiting.since, waiting.taken) = (Instant::now(), 0);
                }
            }
            (Last::Gave, None) => {
                let timer = Box::pin(tokio::time::sleep(stall));
                let piece = stream.piece(turn.piece);
                *waiting = Some(Self { since: Instant::now(), taken: 0, timer, piece });
            }
        }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>, stall: Duration) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let end = self.since + stall;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
