//! Cheap randomness for balancing, splitting and jitter: one generator for each worker, seeded by whoever
//! builds it, so that a test can replay. Never used for anything that must be unguessable.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// xorshift64*. Shared references suffice; two threads that race draw the same number, which does no harm.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// Same seed, same numbers.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut x = self.0.load(Relaxed);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.store(x, Relaxed);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform in `0..bound`; 0 if `bound` is 0.
    pub fn below(&self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Uniform in `0.0..1.0`.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
