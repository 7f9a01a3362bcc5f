//! Retry budget (GEP-3388): over the last ten seconds, retries may be at most a share of the requests plus a
//! floor. A budget, unlike a number of attempts, keeps a failing upstream from being buried in retries.
//! One for each cluster, shared by all workers; requests pay one atomic addition.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

use crate::model::BudgetSpec;

const SECONDS: u64 = 10;

/// Race: two workers that open the same second may both clear its slot and lose the other's first counts;
/// the error is a handful of requests in ten seconds' worth.
#[derive(Debug)]
pub struct Budget {
    born: Instant,
    slots: [Slot; SECONDS as usize],
}

#[derive(Debug, Default)]
struct Slot {
    /// Which second it counts, plus one; 0 is unused.
    second: AtomicU64,
    requests: AtomicU32,
    retries: AtomicU32,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { born: Instant::now(), slots: Default::default() }
    }

    /// Counts a first attempt.
    pub fn deposit(&self, now: Instant) {
        self.slot(now).requests.fetch_add(1, Relaxed);
    }

    /// May there be one more retry? Counts it if so.
    pub fn withdraw(&self, spec: &BudgetSpec, now: Instant) -> bool {
        let second = self.second(now);
        let (mut requests, mut retries) = (0_u64, 0_u64);
        for slot in &self.slots {
            if slot.second.load(Relaxed) + SECONDS > second {
                requests += u64::from(slot.requests.load(Relaxed));
                retries += u64::from(slot.retries.load(Relaxed));
            }
        }
        let share = requests * u64::from(spec.percent) / 100;
        let allowed = share + u64::from(spec.min_per_second) * SECONDS;
        let granted = retries < allowed;
        if granted {
            self.slot(now).retries.fetch_add(1, Relaxed);
        }
        granted
    }

    fn slot(&self, now: Instant) -> &Slot {
        let second = self.second(now);
        #[allow(clippy::cast_possible_truncation, reason = "below SECONDS")]
        let slot = &self.slots[(second % SECONDS) as usize];
        if slot.second.swap(second, Relaxed) != second {
            slot.requests.store(0, Relaxed);
            slot.retries.store(0, Relaxed);
        }
        slot
    }

    /// Counted from `SECONDS` on, so that an unused slot is older than every window.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_secs() + SECONDS
    }
}

#[cfg(test)]
mod tests;
