//! What is slow on one edge: whose response's head took [`FLOOR`] or longer, and longer than its edge's threshold. The threshold
//! begins at the floor. It doubles when [`MANY`] requests of one minute were over it, so that an edge that is slow by nature does not
//! fill the memory; and halves with every minute in which fewer than [`FEW`] were. So of each edge about the slowest [`MANY`] requests
//! of a minute are remembered, whatever its speed, and its first slow one always.
//!
//! One word, written only by requests over the floor. Race: two of them at once may be counted as one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Nothing faster is slow, unless somebody says otherwise.
pub const FLOOR: Duration = Duration::from_millis(100);
/// So many over the threshold in one minute, and it doubles.
const MANY: u64 = 16;
/// Fewer, and it halves.
const FEW: u64 = 4;
/// Bound: the threshold is at most the floor · 2^12, of 100 ms seven minutes.
const MAX_DOUBLINGS: u64 = 12;

/// One edge's threshold: doublings (8 bits), requests over it in this minute (16 bits), the minute (40 bits).
#[derive(Debug, Default)]
pub struct Pace(AtomicU64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    doublings: u64,
    over: u64,
    minute: u64,
}

impl Pace {
    /// Is a request slow that took so long? `second`: what the clock says, asked only where it matters.
    #[must_use]
    pub fn is_slow(&self, took: Duration, floor: Duration, second: impl FnOnce() -> u64) -> bool {
        took >= floor && self.judge(took, floor, second() / 60)
    }

    #[cold]
    fn judge(&self, took: Duration, floor: Duration, minute: u64) -> bool {
        let before = State::unpack(self.0.load(Relaxed));
        let (after, slow) = before.next(took, floor, minute);
        if after != before {
            self.0.store(after.pack(), Relaxed);
        }
        slow
    }
}

impl State {
    fn next(self, took: Duration, floor: Duration, minute: u64) -> (Self, bool) {
        let mut state = self;
        let passed = minute.saturating_sub(state.minute);
        if passed > 0 {
            let quiet = passed - u64::from(state.over >= FEW);
            let doublings = state.doublings.saturating_sub(quiet);
            state = Self { doublings, over: 0, minute };
        }
        if took < floor.saturating_mul(1 << state.doublings) {
            return (state, false);
        }
        state.over += 1;
        if state.over.is_multiple_of(MANY) && state.doublings < MAX_DOUBLINGS {
            state.doublings += 1;
        }
        (state, true)
    }

    fn unpack(word: u64) -> Self {
        Self { doublings: word >> 56, over: word >> 40 & 0xffff, minute: word & 0xff_ffff_ffff }
    }

    fn pack(self) -> u64 {
        self.doublings << 56 | self.over.min(0xffff) << 40 | self.minute & 0xff_ffff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each hundred requests that take so long, how many are slow, minute by minute.
    fn slow(pace: &Pace, took: u64, minutes: std::ops::Range<u64>) -> Vec<usize> {
        let one = |minute: u64| {
            let took = Duration::from_millis(took);
            (0..100).filter(|_| pace.is_slow(took, FLOOR, || minute * 60)).count()
        };
        minutes.map(one).collect()
    }

    #[test]
    fn what_is_fast_asks_no_clock() {
        assert!(!Pace::default().is_slow(Duration::from_millis(99), FLOOR, || unreachable!()));
        assert!(Pace::default().is_slow(FLOOR, FLOOR, || 0));
        // Whoever has another idea of slow says so.
        let floor = Duration::from_secs(2);
        assert!(!Pace::default().is_slow(Duration::from_millis(1999), floor, || unreachable!()));
        assert!(Pace::default().is_slow(floor, floor, || 0));
        assert!(Pace::default().is_slow(
            Duration::from_millis(10),
            Duration::from_millis(10),
            || 0
        ));
    }

    #[test]
    fn an_edge_that_is_slow_by_nature_is_remembered_by_samples() {
        let pace = Pace::default();
        // Over 100, 200 and 400 ms in the first minute, then at 800; what follows is one halving and its sixteen again.
        assert_eq!(slow(&pace, 500, 0..4), [48, 0, 16, 0]);
        // One that is slower than the rest is seen at once.
        assert!(pace.is_slow(Duration::from_secs(5), FLOOR, || 4 * 60));
        // After quiet minutes the floor counts again.
        assert!(pace.is_slow(FLOOR, FLOOR, || 60 * 60));
    }
}
