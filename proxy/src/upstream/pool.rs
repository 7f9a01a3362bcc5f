//! Idle and shared connections of one endpoint and one worker. Nothing but the worker takes from it; the
//! sweeper of `app` removes what has been idle too long.
//!
//! Bounds: [`MAX_IDLE`] idle HTTP/1.1 connections, [`IDLE_TIMEOUT`] each; [`MAX_STREAMS`] requests side by
//! side on one HTTP/2 connection before another is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::http1::Connection;
use super::keep_alive::{self, KeepAlive};
use crate::body::Body;

const MAX_IDLE: usize = 256;
const MAX_STREAMS: u32 = 100;
const IDLE_TIMEOUT: Duration = keep_alive::DEFAULT;
/// A connection that was in use so short a time ago is taken without asking the system whether it still is one.
const UNASKED: Duration = Duration::from_millis(1);

/// Connections of one endpoint for one worker. The locks are uncontended but for the sweeper, and are held
/// for a push or a pop.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
    /// One worker's requests that all find no connection wait here for the first one to open it.
    pub(super) opening: tokio::sync::Mutex<()>,
    freed: Arc<Freed>,
    pub(super) keep_alive: KeepAlive,
}

/// Where requests of HTTP/2 wait for the end of another one, within a limit of connections.
#[derive(Debug, Default)]
struct Freed {
    waiting: AtomicU32,
    stream: Notify,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
    /// How old it was when it was last seen to be open.
    seen: Duration,
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
    pub(super) fn take_idle(&self) -> Option<Box<Connection>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut candidate) = idle.pop() {
            candidate.connection.idle = candidate.since.elapsed();
            match candidate.look(&self.keep_alive) {
                Look::Good => return Some(candidate.connection),
                Look::Old => {}
                Look::Closed(seen, gone) => self.keep_alive.closed(seen, gone),
            }
            candidate.connection.retire();
        }
        None
    }

    /// Closes one idle connection. False: there is none.
    pub(crate) fn close_idle(&self) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (!idle.is_empty()).then(|| idle.remove(0));
        oldest.map(|oldest| oldest.connection.retire()).is_some()
    }

    /// A connection whose response has ended.
    pub(super) fn put_idle(&self, connection: Box<Connection>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: Instant::now(), seen: Duration::ZERO });
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
        let mut closed = None;
        let is_over = |idle: &mut Idle| match idle.look(&self.keep_alive) {
            Look::Good => false,
            Look::Old => true,
            Look::Closed(seen, gone) => {
                closed = Some((seen, gone));
                true
            }
        };
        idle.extract_if(.., is_over).for_each(|idle| idle.connection.retire());
        // Once a round, however many: a server that stops closes all of them at one time.
        if let Some((seen, gone)) = closed {
            self.keep_alive.closed(seen, gone);
        }
        idle.shrink_to(MAX_IDLE / 8);
        drop(idle);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|connection| {
            let used = connection.streams.open.load(Relaxed) > 0;
            !connection.sender.is_closed() && (used || connection.since.elapsed() < IDLE_TIMEOUT)
        });
    }
}

impl Idle {
    fn look(&mut self, keep_alive: &KeepAlive) -> Look {
        let idle = self.since.elapsed();
        if idle >= keep_alive.usable() {
            return Look::Old;
        }
        if self.connection.is_usable(idle > UNASKED) {
            self.seen = idle;
            return Look::Good;
        }
        Look::Closed(self.seen, idle)
    }
}

/// What became of an idle connection.
enum Look {
    Good,
    /// Open perhaps, but too near its end.
    Old,
    /// By the other side, between these ages.
    Closed(Duration, Duration),
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
pub struct Stream(Arc<Streams>);

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
