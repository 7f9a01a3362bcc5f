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
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Body>,
    since: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) sender: http2::SendRequest<Body>,
    streams: Arc<AtomicU32>,
    since: Instant,
}

impl Pool {
    /// The connection used last: the others may then grow old and be closed.
    pub(super) fn take_idle(&self) -> Option<http1::SendRequest<Body>> {
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
        let connection = shared.iter_mut().find(|c| c.streams.load(Relaxed) < MAX_STREAMS)?;
        connection.since = Instant::now();
        let stream = Stream::begin(&connection.streams);
        Some((connection.clone(), stream))
    }

    pub(super) fn put_shared(&self, sender: http2::SendRequest<Body>) -> (Shared, Stream) {
        let connection =
            Shared { sender, streams: Arc::new(AtomicU32::new(0)), since: Instant::now() };
        let stream = Stream::begin(&connection.streams);
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).push(connection.clone());
        (connection, stream)
    }

    /// Closes what has been idle too long.
    pub fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIMEOUT && !idle.sender.is_closed());
        idle.shrink_to(MAX_IDLE / 8);
        drop(idle);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|connection| {
            let used = connection.streams.load(Relaxed) > 0;
            !connection.sender.is_closed() && (used || connection.since.elapsed() < IDLE_TIMEOUT)
        });
    }
}

/// Counts one request on a shared connection.
#[derive(Debug)]
pub(super) struct Stream(Arc<AtomicU32>);

impl Stream {
    fn begin(streams: &Arc<AtomicU32>) -> Self {
        streams.fetch_add(1, Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
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
