//! The task of each HTTP/2 stream, with an eye on its client: a response whose data waits longer than the limit for
//! a window is reset (S4, S6: a client that asks and never takes). A stream whose response has nothing to say, such
//! as a gRPC watch, waits for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::paced::Windows;
use crate::body::progress::{self, Last};

/// Spawns the streams of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) windows: Arc<Windows>,
    pub(super) stall: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let streams = self.clone();
        tokio::spawn(Stream { future: Some(stream), streams, waiting: None });
    }
}

pin_project! {
    struct Stream<F> {
        #[pin]
        future: Option<F>,
        streams: Streams,
        // Since the body gave something that has found no room.
        waiting: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let window = this.streams.windows.initial();
        let (polled, last) = progress::turn(window, || future.poll(cx));
        if polled.is_ready() {
            return polled;
        }
        match last {
            Last::Gave => *this.waiting = Some(Box::pin(tokio::time::sleep(this.streams.stall))),
            Last::Empty => *this.waiting = None,
            Last::Unasked => {}
        }
        let Some(waiting) = this.waiting else { return Poll::Pending };
        if waiting.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!("a client has taken nothing of a response for too long: stream reset");
        // h2 resets a stream that nobody holds any more, and lets its data go.
        this.future.set(None);
        Poll::Ready(())
    }
}
