//! How many series there may be about requests and connections, and the counters of those for which there is no room.
//! Asked when something is counted that nobody counted before, never by the requests that follow.
//!
//! The price of a thing is the most series that it can become in one scrape. What finds no room is counted under
//! [`super::OTHER`], so that sums stay right; it stays there while its edge lives.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::durations::Durations;
use super::edge::Totals;
use super::table::Direction;

/// Series about requests and connections, unless the command line says otherwise.
pub const DEFAULT_SERIES: usize = 10_000;
/// Series of a histogram: buckets, the one without a bound, sum and count.
pub const HISTOGRAM: usize = super::edge::BOUNDS.len() + 3;
/// Series of an edge's counters, as far as usual ones have them.
pub const COUNTERS: usize = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    taken: AtomicUsize,
    /// By [`Direction`].
    other: [Other; 2],
}

/// Of one direction.
#[derive(Debug, Default)]
pub(super) struct Other {
    /// Of requests of any kind; and of those that are calls of gRPC once more.
    pub(super) requests: Durations,
    pub(super) calls: Durations,
    /// Requests and connections that were counted here.
    count: AtomicU64,
    /// What edges had counted for which there was no room, and which are gone. Lock: held for an addition.
    gone: Mutex<Totals>,
}

impl Room {
    /// For so many series.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0), other: Default::default() }
    }

    /// Is there room for so many more series? Then they are taken.
    pub(super) fn take(&self, series: usize) -> bool {
        let fits = |taken: usize| Some(taken + series).filter(|taken| *taken <= self.limit);
        self.taken.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, series: usize) {
        self.taken.fetch_sub(series, Relaxed);
    }

    /// Series taken, and how many there are.
    pub(super) fn series(&self) -> (usize, usize) {
        (self.taken.load(Relaxed), self.limit)
    }

    /// The counters of what found no room.
    pub(super) fn other(&self, direction: Direction) -> &Other {
        &self.other[direction as usize]
    }
}

impl Other {
    /// A request whose shape found no room.
    pub(super) fn observe(&self, grpc: bool, micros: u64) {
        self.requests.observe(micros);
        if grpc {
            self.calls.observe(micros);
        }
        self.count.fetch_add(1, Relaxed);
    }

    /// Requests so counted.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Keeps what an edge has counted that goes.
    pub(super) fn keep(&self, totals: &Totals) {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).add(totals);
    }

    /// All that was kept.
    pub(super) fn gone(&self) -> Totals {
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_given_than_there_is() {
        let room = Room::new(20);
        assert!(room.take(HISTOGRAM));
        assert!(!room.take(COUNTERS), "17 of 20 are taken");
        assert!(room.take(3));
        room.give(HISTOGRAM);
        assert_eq!(room.series(), (3, 20));
        assert!(room.take(HISTOGRAM));
    }
}
