//! What a request to an endpoint is expected to cost: peak EWMA of its latency, and the share of its attempts
//! that fail. Read by the balancer, written by every attempt that ends.
//!
//! - **Latency** jumps up to a slower sample at once and comes down slowly: on sample r after Δt, if r > e then
//!   e = r, else e = e·w + r·(1−w), w = exp(−Δt/τ). A sample runs from the writing of the request to the response
//!   head: what it costs to connect says nothing about the next request.
//! - **Failures** never lower the latency, and the share of them makes an endpoint dearer: the expected time until
//!   a success grows with 1/(1−share), and its cube is what is paid here. So an endpoint that fails in a
//!   millisecond is left alone whatever the others' latency and load, one stray failure hardly matters, and when
//!   all fail alike nobody is preferred. Each attempt moves the share by a fifth.
//!   While the share is over 3/10 the endpoint is drawn only for want of others: of ten endpoints one in 45 pairs is
//!   the failing one and the slowest, and neither is a choice.
//! - **Idle** endpoints forget both with the same τ, so that whoever was slow or failed is tried again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::PeakEwma;

/// How far one attempt moves the share of failures, at least; more after a pause.
const STEP: f64 = 0.2;
/// Two failures in a row are more.
const FAILING: f64 = 0.3;
/// Bound of the share, so that the cost stays finite: a million times the latency.
const MOST_FAILING: f64 = 0.99;

/// Race: the values are atomics of their own; a reader between the stores sees a cost that is off by one
/// sample, which the next sample mends.
#[derive(Debug)]
pub struct Latency {
    born: Instant,
    /// Seconds, bits of an `f64`; 0 before the first sample.
    average: AtomicU64,
    /// Share of attempts that failed, bits of an `f64` in 0 to [`MOST_FAILING`].
    failing: AtomicU64,
    /// Microseconds after `born`.
    updated: AtomicU64,
}

/// How an attempt ended, with the time since its request was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// With an answer.
    Answered(Duration),
    /// With a failure of the endpoint; zero if the request never left.
    Failed(Duration),
    /// Without waiting for the end: the latency is at least this.
    Abandoned(Duration),
}

impl Latency {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { born: Instant::now(), average: zero(), failing: zero(), updated: zero() }
    }

    /// Adds a sample.
    pub fn note(&self, sample: Sample, ewma: PeakEwma, now: Instant) {
        let weight = self.weight(now, ewma.decay);
        let old = f64::from_bits(self.average.load(Relaxed));
        let share = f64::from_bits(self.failing.load(Relaxed)) * weight;
        let step = STEP.max(1.0 - weight);
        // Without an answer so far the default stays the least.
        let known = if old == 0.0 { ewma.default_rtt.as_secs_f64() } else { old * weight };
        let at_least = |time: Duration| time.as_secs_f64().max(known);
        let (average, share) = match sample {
            Sample::Answered(time) => {
                let time = time.as_secs_f64();
                let is_peak = old == 0.0 || time > old * weight;
                let average = if is_peak { time } else { old * weight + time * (1.0 - weight) };
                (average, share * (1.0 - step))
            }
            Sample::Failed(time) => (at_least(time), share + (1.0 - share) * step),
            // It would say nothing that is not known.
            Sample::Abandoned(time) if old != 0.0 && time.as_secs_f64() <= old * weight => return,
            Sample::Abandoned(time) => (at_least(time), share),
        };
        self.average.store(average.max(1e-9).to_bits(), Relaxed);
        self.failing.store(share.min(MOST_FAILING).to_bits(), Relaxed);
        self.updated.store(self.micros(now), Relaxed);
    }

    /// Has no attempt finished yet?
    pub(super) fn is_unknown(&self) -> bool {
        self.average.load(Relaxed) == 0
    }

    /// Seconds that a request is expected to cost, failures priced in.
    pub(super) fn cost(&self, ewma: PeakEwma, now: Instant) -> f64 {
        let bits = self.average.load(Relaxed);
        if bits == 0 {
            return ewma.default_rtt.as_secs_f64();
        }
        let weight = self.weight(now, ewma.decay);
        let succeeding = 1.0 - f64::from_bits(self.failing.load(Relaxed)) * weight;
        f64::from_bits(bits) * weight / (succeeding * succeeding * succeeding)
    }

    /// Do so many of its attempts fail that it should not even be one of the two that are compared?
    pub(super) fn is_failing(&self, ewma: PeakEwma, now: Instant) -> bool {
        let share = f64::from_bits(self.failing.load(Relaxed));
        // Order: the cheap half first; it decides for every endpoint that is well.
        share > FAILING && share * self.weight(now, ewma.decay) > FAILING
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
