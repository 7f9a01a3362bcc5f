//! How many of an endpoint's requests failed in the last few seconds: a ring of slots, each one atomic word, so
//! that workers count without a lock and without losing a count. Only used by [`super::Outlier`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::model::FailurePercentage;

/// The window moves in steps of one slot.
const SLOTS: u64 = 8;
/// Of a slot's word: 24 bits of time, 20 bits of requests, 20 bits of failures.
const COUNT: u64 = (1 << 20) - 1;
const TIMES: u64 = (1 << 24) - 1;

#[derive(Debug, Default)]
pub(super) struct Window([AtomicU64; SLOTS as usize]);

#[derive(Clone, Copy)]
struct Slot {
    time: u64,
    requests: u64,
    failures: u64,
}

impl Window {
    /// Counts a request; true if it failed and the share of failures is too high with it.
    pub(super) fn note(&self, failed: bool, millis: u64, spec: &FailurePercentage) -> bool {
        let length = u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX) / SLOTS;
        // Counted from one round on, so that an unused slot is older than every window.
        let time = (millis / length.max(1) + SLOTS + 1) & TIMES;
        #[allow(clippy::cast_possible_truncation, reason = "below SLOTS")]
        let place = (time % SLOTS) as usize;
        let count = |word: u64| {
            let mut slot = Slot::read(word);
            if slot.time != time {
                slot = Slot { time, requests: 0, failures: 0 };
            }
            slot.requests = (slot.requests + 1).min(COUNT);
            slot.failures = (slot.failures + u64::from(failed)).min(COUNT);
            Some(slot.word())
        };
        // It cannot fail: `count` always has a next word.
        let _ = self.0[place].fetch_update(Relaxed, Relaxed, count);
        failed && self.is_over(time, spec)
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|slot| slot.store(0, Relaxed));
    }

    fn is_over(&self, time: u64, spec: &FailurePercentage) -> bool {
        let (mut requests, mut failures) = (0, 0);
        for word in &self.0 {
            let slot = Slot::read(word.load(Relaxed));
            if (time.wrapping_sub(slot.time) & TIMES) < SLOTS {
                requests += slot.requests;
                failures += slot.failures;
            }
        }
        requests >= u64::from(spec.minimum)
            && failures * 100 >= requests * u64::from(spec.threshold)
    }
}

impl Slot {
    fn read(word: u64) -> Self {
        Self { time: word >> 40, requests: word >> 20 & COUNT, failures: word & COUNT }
    }

    fn word(self) -> u64 {
        self.time << 40 | self.requests << 20 | self.failures
    }
}
