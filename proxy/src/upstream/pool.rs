//! Idle and shared connections of one endpoint and one worker. Nothing but the worker takes from it; the
//! sweeper of `app` removes what has been idle too long.
//!
//! Bounds: [`MAX_IDLE`] idle HTTP/1.1 connections, [`IDLE_TIMEOUT`] each; [`MAX_STREAMS`] requests side by
//! side on one HTTP/2 connection before another is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::body::Body;
use crate::cluster::Endpoint;

const MAX_IDLE: usize = 256;
const MAX_STREAMS: u32 = 100;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections of one endpoint for one worker. The locks are uncontended but for the sweeper, and are held
/// for a push or a pop.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
    /// One worker's requests that all find no connection wait here for the first one to open it.
    pub(super) opening: tokio::sync::Mutex<()>,
    freed: Arc<Freed>,
}

/// Where requests of HTTP/2 wait for the end of another one, within a limit of connections.
#[derive(Debug, Default)]
struct Freed {
    waiting: AtomicU32,
    stream: Notify,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Body>,
    since: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) sender: http2::SendRequest<Body>,
    streams: Arc<Streams>,
    since: Instant,
}

#[derive(Debug)]
struct Streams {
    open: AtomicU32,
    freed: Arc<Freed>,
}

impl Pool {
    /// The connection used last: the others may then grow old and be closed.
    pub(crate) fn take_idle(&self) -> Option<http1::SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(candidate) = idle.pop() {
            if candidate.since.elapsed() < IDLE_TIMEOUT && !candidate.sender.is_closed() {
                return Some(candidate.sender);
            }
        }
        None
    }

    fn put_idle(&self, sender: http1::SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && !sender.is_closed() {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    /// A shared connection with room, and the stream counted on it.
    pub(super) fn take_shared(&self) -> Option<(Shared, Stream)> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|connection| !connection.sender.is_closed());
        let connection = shared.iter_mut().find(|c| c.streams.open.load(Relaxed) < MAX_STREAMS)?;
        connection.since = Instant::now();
        let stream = Stream::begin(&connection.streams);
        Some((connection.clone(), stream))
    }

    pub(super) fn put_shared(&self, sender: http2::SendRequest<Body>) -> (Shared, Stream) {
        let streams = Streams { open: AtomicU32::new(0), freed: Arc::clone(&self.freed) };
        let connection = Shared { sender, streams: Arc::new(streams), since: Instant::now() };
        let stream = Stream::begin(&connection.streams);
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).push(connection.clone());
        (connection, stream)
    }

    /// Is a shared connection open?
    pub(super) fn is_connected(&self) -> bool {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.iter().any(|connection| !connection.sender.is_closed())
    }

    /// Does a request wait in [`Self::freed`]?
    pub(super) fn is_waited_for(&self) -> bool {
        self.freed.waiting.load(Relaxed) > 0
    }

    /// A stream, once one has ended. First come, first served.
    pub(super) async fn freed(&self) -> (Shared, Stream) {
        let _waiting = Waiting::begin(&self.freed.waiting);
        loop {
            let ended = self.freed.stream.notified();
            tokio::pin!(ended);
            // Race: asked for before it is looked, so that an end in between is not missed.
            ended.as_mut().enable();
            if let Some(found) = self.take_shared() {
                return found;
            }
            ended.await;
        }
    }

    /// Closes what has been idle too long.
    pub fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIMEOUT && !idle.sender.is_closed());
        idle.shrink_to(MAX_IDLE / 8);
        drop(idle);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|connection| {
            let used = connection.streams.open.load(Relaxed) > 0;
            !connection.sender.is_closed() && (used || connection.since.elapsed() < IDLE_TIMEOUT)
        });
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Counts one request on a shared connection.
#[derive(Debug)]
pub(super) struct Stream(Arc<Streams>);

impl Stream {
    fn begin(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        if self.0.freed.waiting.load(Relaxed) > 0 {
            self.0.freed.stream.notify_one();
        }
    }
}

/// A connection lent to one exchange. Dropped before [`Self::end`], an HTTP/1.1 connection closes: its
/// response was not read to the end.
#[derive(Debug)]
pub struct Lease {
    kind: Kind,
    written: Instant,
}

#[derive(Debug)]
enum Kind {
    Http1 { sender: http1::SendRequest<Body>, endpoint: Arc<Endpoint>, worker: usize },
    Http2 { _stream: Stream },
}

impl Lease {
    pub(super) fn http1(
        sender: http1::SendRequest<Body>,
        endpoint: &Arc<Endpoint>,
        worker: usize,
        written: Instant,
    ) -> Self {
        Self { kind: Kind::Http1 { sender, endpoint: Arc::clone(endpoint), worker }, written }
    }

    pub(super) fn http2(stream: Stream, written: Instant) -> Self {
        Self { kind: Kind::Http2 { _stream: stream }, written }
    }

    /// When the request began to leave: the connection was open by then.
    #[must_use]
    pub fn written(&self) -> Instant {
        self.written
    }

    /// The response has ended: the connection is free again.
    pub fn end(self) {
        match self.kind {
            Kind::Http1 { sender, endpoint, worker } => endpoint.pools[worker].put_idle(sender),
            Kind::Http2 { .. } => {}
        }
    }
}
