//! Exponential back-off with jitter, for everything that talks to the control plane: a mesh of proxies that
//! lost it at the same moment must not come back at the same moment.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long to wait before the next try.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Doubles from `first` up to `cap`.
    pub(crate) fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, failures: 0 }
    }

    /// The wait after one more failure: `unit` (0 to 1) places it between half of the step and the whole.
    pub(crate) fn next(&mut self, unit: f64) -> Duration {
        let step = self.first.saturating_mul(1 << self.failures.min(20)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + unit.clamp(0.0, 1.0) / 2.0)
    }

    /// After a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Uniform in `0.0..1.0`, good enough to spread things out.
#[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
pub(crate) fn random_unit() -> f64 {
    (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
