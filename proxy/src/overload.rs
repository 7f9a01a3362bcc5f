//! Too little left: memory of this sidecar's cgroup, or file descriptors. `app` has the first watched by the control
//! thread; `listener`, `inbound` and `outbound` ask before they take on anything new. Reads one word on the path of a
//! request, never a file.
//!
//! At 75 % of the memory those are let go who do not come to the point: handshakes, heads and bodies that do not come. At
//! 85 % idle connections go too, new connections are reset, and new requests are answered 503 with
//! `memory_limit_reached`. That ends below 80 %. When descriptors run short the same connections are let go, and new ones
//! reset; requests go on. The health port, the
//! admin socket and the control plane are none of its affair: the last descriptors are theirs.

mod cgroup;
mod heap;
mod level;
mod watch;

use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER};
use tokio::sync::watch as channel;
use tokio::time::Instant;

use crate::error::{Error, Token};
use crate::io::set_reset_on_close;
use crate::telemetry::metrics::{
    MEMORY_LIMIT, MEMORY_SHED, MEMORY_SHEDDING, MEMORY_WORKING_SET, Metrics,
};

use watch::Gauge;
pub use watch::{Limit, watch};

/// How long nothing may move on a connection before it counts as waiting, while too little is left; and where its client
/// owes something, while there still is enough.
const QUIET: Duration = Duration::from_millis(500);
const STALLED: Duration = Duration::from_secs(2);
/// How long a connection may take to say what it is, while too little is left.
const HASTE: Duration = Duration::from_secs(1);
/// Descriptors that no connection of a client gets, and those of them that no endpoint's gets either.
const SPARE_FILES: u64 = 96;
const LAST_FILES: u64 = 32;

/// What of it was let go or turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// A connection, as it came.
    Connection,
    /// A request.
    Request,
    /// A connection on which nothing was under way.
    Idle,
    /// A connection whose handshake, head or body did not come.
    Stalled,
}

impl Shed {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Connection, "connection"),
        (Self::Request, "request"),
        (Self::Idle, "idle"),
        (Self::Stalled, "stalled"),
    ];
}

/// How much must be let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pressure {
    /// Nothing.
    None,
    /// Who does not come to the point.
    Tight,
    /// Who only waits, too.
    Short,
}

/// The one state of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Overload(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Memory is short.
    shedding: AtomicBool,
    /// Descriptors were short since the watcher last looked.
    files: AtomicBool,
    /// Of both.
    pressure: channel::Sender<Pressure>,
    /// By [`Shed`].
    shed: [AtomicU64; 4],
    /// Bytes, as last read; the limit is 0 where there is none.
    used: AtomicU64,
    limit: AtomicU64,
    /// Set by [`watch()`].
    gauge: OnceLock<Gauge>,
    /// The process may have so many descriptors.
    most_files: u64,
}

impl Default for Overload {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl Overload {
    /// Of a process that may open so many files. Nothing is short until [`watch()`] says so.
    #[must_use]
    pub fn new(most_files: u64) -> Self {
        Self(Arc::new(Shared {
            shedding: AtomicBool::new(false),
            files: AtomicBool::new(false),
            pressure: channel::channel(Pressure::None).0,
            shed: Default::default(),
            used: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            gauge: OnceLock::new(),
            most_files,
        }))
    }

    /// Is memory short?
    #[must_use]
    pub fn is_shedding(&self) -> bool {
        self.0.shedding.load(Relaxed)
    }

    /// The same, by what is used at this very moment where it is tight: for who is about to take much. The watcher may
    /// have to wait for a processor.
    #[must_use]
    pub fn is_short_now(&self) -> bool {
        if self.is_shedding() || *self.0.pressure.borrow() == Pressure::None {
            return self.is_shedding();
        }
        let Some(gauge) = self.0.gauge.get() else { return false };
        let limit = self.0.limit.load(Relaxed);
        let short = level::is_short(false, gauge.used(limit), limit);
        if short {
            self.0.shedding.store(true, Relaxed);
        }
        short
    }

    /// May this connection, which has just been accepted, be served? It is closed so that its client sees at once that
    /// it was not.
    pub fn takes(&self, connection: &(impl AsFd + AsRawFd)) -> bool {
        // The system gives the lowest number that is free.
        let is_last = self.is_beyond(connection, SPARE_FILES);
        if is_last {
            self.0.files.store(true, Relaxed);
        }
        if is_last || self.is_short_now() {
            self.count(Shed::Connection);
            set_reset_on_close(connection, true);
            return false;
        }
        true
    }

    /// Descriptors are out: accepting has failed.
    pub fn no_files(&self) {
        self.0.files.store(true, Relaxed);
    }

    /// May a connection to an endpoint have this descriptor?
    ///
    /// # Errors
    /// [`Token::ConnectionLimitReached`].
    pub fn lends(&self, connection: &impl AsRawFd) -> Result<(), Error> {
        if !self.is_beyond(connection, LAST_FILES) {
            return Ok(());
        }
        self.0.files.store(true, Relaxed);
        let message = format!("this sidecar may open {} files", self.0.most_files);
        Err(Error::unprocessed(Token::ConnectionLimitReached, message))
    }

    fn is_beyond(&self, connection: &impl AsRawFd, kept: u64) -> bool {
        let number = u64::try_from(connection.as_raw_fd()).unwrap_or_default();
        // Where there are hardly any, they are for whoever is first.
        number >= self.0.most_files.saturating_sub(kept).max(self.0.most_files / 2)
    }

    /// May a request begin?
    ///
    /// # Errors
    /// [`Token::MemoryLimitReached`]: surely nobody has seen it.
    pub fn admit(&self) -> Result<(), Error> {
        if !self.is_shedding() {
            return Ok(());
        }
        self.count(Shed::Request);
        let message = "this sidecar has too little memory left";
        let error = Error::unprocessed(Token::MemoryLimitReached, message);
        Err(error.with_header(RETRY_AFTER, HeaderValue::from_static("1")))
    }

    /// Returns when a connection that has not said yet what it is, or who, has had its time because too little is left.
    pub async fn hurried(&self) {
        let started = Instant::now();
        loop {
            self.pressed().await;
            let short = *self.0.pressure.borrow() == Pressure::Short;
            let haste = if short { HASTE / 5 } else { HASTE };
            tokio::time::sleep_until(started + haste).await;
            if *self.0.pressure.borrow() > Pressure::None {
                return self.count(Shed::Stalled);
            }
        }
    }

    /// Returns when a connection must go because too little is left and nothing has moved on it for a while: as a stalled
    /// one, if its client owes something, else as an idle one. `moved` changes with whatever does.
    pub async fn quiet(&self, mut moved: impl FnMut() -> u64, owes: impl Fn() -> bool) -> Shed {
        let mut last = None;
        loop {
            if *self.0.pressure.borrow() == Pressure::None {
                last = None;
                self.pressed().await;
            }
            let (before, since) = *last.get_or_insert_with(|| (moved(), Instant::now()));
            tokio::time::sleep(QUIET).await;
            if moved() != before {
                last = None;
                continue;
            }
            match *self.0.pressure.borrow() {
                Pressure::Short if owes() => return Shed::Stalled,
                Pressure::Short => return Shed::Idle,
                Pressure::Tight if owes() && since.elapsed() >= STALLED => return Shed::Stalled,
                Pressure::Tight | Pressure::None => {}
            }
        }
    }

    async fn pressed(&self) {
        // The sender lives as long as we do.
        let _ = self.0.pressure.subscribe().wait_for(|pressure| *pressure > Pressure::None).await;
    }

    /// Counts what was let go.
    pub fn count(&self, what: Shed) {
        self.0.shed[what as usize].fetch_add(1, Relaxed);
    }

    /// Has what is known read at each scrape. Once, at start.
    pub fn tell(&self, metrics: &Metrics) {
        let shared = Arc::clone(&self.0);
        metrics.watch_series(MEMORY_SHED, move || {
            let counted = Shed::ALL.into_iter().zip(&shared.shed);
            counted.map(|((_, name), count)| (vec![name.to_owned()], count.load(Relaxed))).collect()
        });
        let reading = |read: fn(&Shared) -> u64| {
            let shared = Arc::clone(&self.0);
            move || read(&shared)
        };
        metrics.watch(MEMORY_LIMIT, reading(|shared| shared.limit.load(Relaxed)));
        metrics.watch(MEMORY_WORKING_SET, reading(|shared| shared.used.load(Relaxed)));
        metrics.watch(MEMORY_SHEDDING, reading(|shared| shared.shedding.load(Relaxed).into()));
    }
}

#[cfg(test)]
mod tests;
