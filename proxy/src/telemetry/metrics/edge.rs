//! The counters of one edge, as atomics. Written by the request path, read by scrapes and reports.
//!
//! Nothing here may lock, allocate per request, or look anything up by name. A successful request costs four
//! relaxed additions and the comparison of one number. Readers see each counter whole but not all of one moment: sums
//! agree at rest.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Version;
use weft_proto::latency;

use super::durations::{ByShape, Read};
use super::room::{COUNTERS, DEFAULT_SERIES, Room};
use super::shape::Shape;
use super::table::Direction;
use crate::error::{Fault, Token};
use crate::telemetry::conventions::Verb;
use crate::telemetry::recent::Pace;

/// Classes of status: none, 1xx to 5xx.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Upper bounds of the Prometheus histograms, microseconds, as the conventions have them; one more bucket takes the rest.
pub(super) const BOUNDS: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
const TOKENS: usize = Token::ALL.len();

/// A finished request as the counters see it.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Method, of a bounded number.
    pub method: Verb,
    /// Version of HTTP.
    pub version: Version,
    /// Is it a call of gRPC?
    pub grpc: bool,
    /// Status of the response; 0 if there was none.
    pub status: u16,
    /// `grpc-status`, if the response had one.
    pub grpc_status: Option<u16>,
    /// From the request's head to the last byte of the response.
    pub duration: Duration,
    /// Second and later attempts.
    pub retries: u32,
    /// Did it travel over mutual TLS?
    pub mtls: bool,
    /// Why this proxy failed it, if it did.
    pub error: Option<Token>,
    /// Was it answered with a policy's fallback?
    pub fallback: bool,
}

impl Observation {
    /// Does it count against the success rate? A 5xx does, and an error of the endpoint or of this proxy (which
    /// includes a response that broke off), and those codes of gRPC that OpenTelemetry calls the server's
    /// fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. A client that is
    /// wrong (4xx) or goes away does not.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status >= 500
            || self.grpc_status.is_some_and(is_server_fault)
            || self.error.is_some_and(|token| token.fault() != Fault::Downstream)
    }
}

/// What became of a copy of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// It was answered, whatever the answer was.
    Answered,
    /// It was not answered whole, or not in time.
    Failed,
    /// It was not made: too many are under way, or the backend is not there.
    Dropped,
}

impl Mirrored {
    /// Every one, with its label.
    pub(super) const ALL: [(Self, &'static str); 3] =
        [(Self::Answered, "answered"), (Self::Failed, "failed"), (Self::Dropped, "dropped")];
}

/// Codes of gRPC for which the server is to blame.
pub(crate) fn is_server_fault(grpc_status: u16) -> bool {
    matches!(grpc_status, 2 | 4 | 12 | 13 | 14 | 15)
}

/// Counters of one edge. About 0.5 KB, and 2.1 KB more from its first request on.
#[derive(Debug)]
pub struct Edge {
    direction: Direction,
    room: Arc<Room>,
    /// Was there room for its counters? Set by the first count; without room they are shown as part of the other ones.
    placed: OnceLock<bool>,
    by_shape: ByShape,
    /// What is slow here.
    pub(crate) pace: Pace,
    /// By mutual TLS (0 no, 1 yes) and class of status.
    requests: [[AtomicU64; CLASSES.len()]; 2],
    failures: AtomicU64,
    retries: AtomicU64,
    fallbacks: AtomicU64,
    /// By [`Mirrored`].
    mirrored: [AtomicU64; Mirrored::ALL.len()],
    /// Buckets of [`latency`], emptied by each report.
    latency: OnceLock<Box<[AtomicU64; latency::BUCKETS]>>,
    /// By position in [`Token::ALL`].
    errors: [AtomicU64; TOKENS],
    tcp_opened: [AtomicU64; 2],
    tcp_closed: AtomicU64,
    tcp_sent: AtomicU64,
    tcp_received: AtomicU64,
}

/// Counters of an edge as read; all but the latency only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) requests: [[u64; CLASSES.len()]; 2],
    pub(super) failures: u64,
    pub(super) retries: u64,
    pub(super) fallbacks: u64,
    pub(super) mirrored: [u64; Mirrored::ALL.len()],
    pub(super) errors: [u64; TOKENS],
    pub(super) tcp_opened: [u64; 2],
    pub(super) tcp_closed: u64,
    pub(super) tcp_sent: u64,
    pub(super) tcp_received: u64,
}

impl Totals {
    /// Opaque connections that are open.
    pub(super) fn open(&self) -> u64 {
        self.tcp_opened.iter().sum::<u64>().saturating_sub(self.tcp_closed)
    }

    /// Grows with everything that is counted.
    pub(super) fn activity(&self) -> u64 {
        let opened: u64 = self.tcp_opened.iter().sum();
        let mirrored: u64 = self.mirrored.iter().sum();
        let bytes = self.tcp_sent.wrapping_add(self.tcp_received);
        self.requests().wrapping_add(opened + self.tcp_closed + mirrored).wrapping_add(bytes)
    }

    /// Adds another edge's.
    pub(super) fn add(&mut self, other: &Self) {
        let pairs = self.requests.iter_mut().flatten().zip(other.requests.iter().flatten());
        let pairs = pairs.chain(self.mirrored.iter_mut().zip(&other.mirrored));
        let pairs = pairs.chain(self.errors.iter_mut().zip(&other.errors));
        let pairs = pairs.chain(self.tcp_opened.iter_mut().zip(&other.tcp_opened));
        pairs.for_each(|(sum, count)| *sum += count);
        self.failures += other.failures;
        self.retries += other.retries;
        self.fallbacks += other.fallbacks;
        self.tcp_closed += other.tcp_closed;
        self.tcp_sent += other.tcp_sent;
        self.tcp_received += other.tcp_received;
    }
}

impl Edge {
    /// Nothing counted yet.
    pub(super) fn new(direction: Direction, room: Arc<Room>) -> Self {
        Self {
            direction,
            room,
            placed: OnceLock::new(),
            by_shape: ByShape::default(),
            pace: Pace::default(),
            requests: Default::default(),
            failures: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            mirrored: Default::default(),
            latency: OnceLock::new(),
            errors: Default::default(),
            tcp_opened: Default::default(),
            tcp_closed: AtomicU64::new(0),
            tcp_sent: AtomicU64::new(0),
            tcp_received: AtomicU64::new(0),
        }
    }

    /// One by itself, for benchmarks: with all the room that there is by default.
    #[must_use]
    pub fn alone(direction: Direction) -> Self {
        Self::new(direction, Arc::new(Room::new(DEFAULT_SERIES)))
    }

    /// Counts a finished request.
    pub fn observe(&self, observation: &Observation) {
        let micros = u64::try_from(observation.duration.as_micros()).unwrap_or(u64::MAX);
        let shape = Shape::of(observation);
        let durations = self.is_placed().then(|| self.by_shape.find(shape, &self.room)).flatten();
        match durations {
            Some(durations) => durations.observe(micros),
            None => self.room.other(self.direction).observe(observation.grpc, micros),
        }
        let buckets = self.latency.get_or_init(|| Box::new([const { AtomicU64::new(0) }; _]));
        buckets[latency::index(micros)].fetch_add(1, Relaxed);
        if observation.retries > 0 {
            self.retries.fetch_add(observation.retries.into(), Relaxed);
        }
        if let Some(token) = observation.error {
            self.errors[token as usize].fetch_add(1, Relaxed);
        }
        if observation.fallback {
            self.fallbacks.fetch_add(1, Relaxed);
        }
        if observation.is_failure() {
            self.failures.fetch_add(1, Relaxed);
        }
        let class = usize::from(observation.status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        // Order: last, and read first: a reader that sees the request sees what belongs to it.
        self.requests[usize::from(observation.mtls)][class].fetch_add(1, Release);
    }

    /// Is there room for its counters? Asks for it at the first count.
    pub(super) fn is_placed(&self) -> bool {
        *self.placed.get_or_init(|| self.room.take(COUNTERS))
    }

    /// The same of one that has counted; `None` of one that has not.
    pub(super) fn placed(&self) -> Option<bool> {
        self.placed.get().copied()
    }

    /// Counts a copy of a request.
    pub fn mirrored(&self, end: Mirrored) {
        self.is_placed();
        self.mirrored[end as usize].fetch_add(1, Relaxed);
    }

    /// Counts an opaque connection when it opens.
    pub fn connection_opened(&self, mtls: bool) {
        self.is_placed();
        self.tcp_opened[usize::from(mtls)].fetch_add(1, Relaxed);
    }

    /// Counts bytes of an opaque connection that is open: to the accepting side, and from it.
    pub fn carried(&self, sent: u64, received: u64) {
        if sent > 0 {
            self.tcp_sent.fetch_add(sent, Relaxed);
        }
        if received > 0 {
            self.tcp_received.fetch_add(received, Relaxed);
        }
    }

    /// Counts an opaque connection when it has closed.
    pub fn connection_closed(&self, error: Option<Token>) {
        if let Some(token) = error {
            self.errors[token as usize].fetch_add(1, Relaxed);
        }
        // Order: last, and read first.
        self.tcp_closed.fetch_add(1, Release);
    }

    pub(super) fn totals(&self) -> Totals {
        let read = |cell: &AtomicU64| cell.load(Acquire);
        // Order: what is written last is read first.
        Totals {
            requests: self.requests.each_ref().map(|classes| classes.each_ref().map(read)),
            tcp_closed: read(&self.tcp_closed),
            failures: read(&self.failures),
            retries: read(&self.retries),
            fallbacks: read(&self.fallbacks),
            mirrored: self.mirrored.each_ref().map(read),
            errors: self.errors.each_ref().map(read),
            tcp_opened: self.tcp_opened.each_ref().map(read),
            tcp_sent: read(&self.tcp_sent),
            tcp_received: read(&self.tcp_received),
        }
    }

    /// How long the requests of each shape took.
    pub(super) fn durations(&self) -> impl Iterator<Item = (Shape, Read)> {
        self.by_shape.read()
    }

    /// Takes the latencies out: index and count of every bucket that has any.
    pub(super) fn take_latency(&self) -> Vec<(u32, u64)> {
        let Some(buckets) = self.latency.get() else { return Vec::new() };
        (0..)
            .zip(buckets.iter())
            // A load first: it keeps the line shared with the workers where nothing changed.
            .filter(|(_, cell)| cell.load(Relaxed) > 0)
            .map(|(index, cell)| (index, cell.swap(0, Relaxed)))
            .collect()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let counters = if self.placed() == Some(true) { COUNTERS } else { 0 };
        self.room.give(counters + self.by_shape.price());
    }
}
