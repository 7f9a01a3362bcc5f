//! Peak EWMA of an endpoint's latency: jumps up to a slower sample at once, comes down slowly
//! (`performance-reliability`: on sample r after Δt, if r > e then e = r, else e = e·w + r·(1−w),
//! w = exp(−Δt/τ)). Read by the balancer, written by every finished attempt.
//!
//! A failed attempt counts as at least the default latency and never lowers the average: an endpoint that
//! fails fast must not look fast.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Race: value and time are two atomics; a reader between the two stores sees an average that is off by one
/// sample's decay, which the next sample mends.
#[derive(Debug)]
pub struct Latency {
    born: Instant,
    /// Seconds, bits of an `f64`; 0 before the first sample.
    average: AtomicU64,
    /// Microseconds after `born`.
    updated: AtomicU64,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { born: Instant::now(), average: AtomicU64::new(0), updated: AtomicU64::new(0) }
    }

    /// Adds a sample.
    pub fn note(
        &self,
        sample: Duration,
        failed: bool,
        now: Instant,
        decay: Duration,
        default: Duration,
    ) {
        let old = self.read(now, decay, default);
        let sample =
            if failed { sample.max(default).as_secs_f64().max(old) } else { sample.as_secs_f64() };
        let weight = self.weight(now, decay);
        let first = self.average.load(Relaxed) == 0;
        let stored = f64::from_bits(self.average.load(Relaxed));
        let next =
            if first || sample > old { sample } else { stored * weight + sample * (1.0 - weight) };
        self.average.store(next.max(1e-9).to_bits(), Relaxed);
        self.updated.store(self.micros(now), Relaxed);
    }

    /// Has no attempt finished yet?
    pub(super) fn is_unknown(&self) -> bool {
        self.average.load(Relaxed) == 0
    }

    /// The average in seconds. It decays with time towards nothing, so that an endpoint that was slow once
    /// is tried again.
    pub(super) fn read(&self, now: Instant, decay: Duration, default: Duration) -> f64 {
        match self.average.load(Relaxed) {
            0 => default.as_secs_f64(),
            bits => f64::from_bits(bits) * self.weight(now, decay),
        }
    }

    fn weight(&self, now: Instant, decay: Duration) -> f64 {
        let idle = self.micros(now).saturating_sub(self.updated.load(Relaxed));
        let idle = Duration::from_micros(idle).as_secs_f64();
        (-idle / decay.as_secs_f64().max(1e-3)).exp()
    }

    fn micros(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.born);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
