//! A token bucket in one number: the time at which it will be full again (generic cell rate algorithm). Filled
//! evenly, not by the period; pure but for the one atomic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How fast a bucket is filled and how much it holds, in nanoseconds of filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// One token.
    token: u64,
    /// All that it holds.
    full: u64,
}

impl Rate {
    /// `requests` each `per`; holds `capacity`.
    pub(super) fn new(requests: u32, per: Duration, capacity: u32) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let token = (per / u64::from(requests.max(1))).max(1);
        Self { token, full: token.saturating_mul(u64::from(capacity.max(1))) }
    }

    /// When the bucket will be full after one more token is taken, or how long until there is one.
    pub(super) fn take(self, full_at: u64, now: u64) -> Result<u64, u64> {
        let next = full_at.max(now).saturating_add(self.token);
        match (next - now).checked_sub(self.full) {
            None | Some(0) => Ok(next),
            Some(wait) => Err(wait),
        }
    }
}

/// One bucket; full at first.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Nanoseconds since its limits were made.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token; `Err` with the nanoseconds until there is one.
    pub(super) fn take(&self, rate: &Rate, now: u64) -> Result<(), u64> {
        let mut known = self.full_at.load(Relaxed);
        loop {
            let next = rate.take(known, now)?;
            // Race: another worker may have taken one meanwhile; then it is judged anew.
            match self.full_at.compare_exchange_weak(known, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => known = other,
            }
        }
    }

    /// When it will be full.
    pub(super) fn full_at(&self) -> u64 {
        self.full_at.load(Relaxed)
    }

    /// Full again, for another key.
    pub(super) fn refill(&self) {
        self.full_at.store(0, Relaxed);
    }
}
