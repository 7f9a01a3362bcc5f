//! Buckets of the latency histograms that proxies report: log-linear, 8 steps to every doubling, so a
//! quantile read from them is off by at most 6.25 %. Proxy and control plane must agree on them.

/// Steps to a doubling.
const STEPS: u64 = 8;
/// Microseconds are counted singly below this.
const LINEAR: u64 = STEPS;
/// Number of buckets; the last one takes everything above about 134 s.
pub const BUCKETS: usize = 200;

/// Bucket of a latency in microseconds.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "clamped to BUCKETS")]
pub fn index(micros: u64) -> usize {
    if micros < LINEAR {
        return micros as usize;
    }
    let exponent = u64::from(63 - micros.leading_zeros()); // 2^exponent <= micros, exponent >= 3
    let step = (micros >> (exponent - 3)) - STEPS;
    ((LINEAR + (exponent - 3) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// Middle of a bucket, microseconds.
#[must_use]
pub fn midpoint(index: usize) -> u64 {
    let index = index as u64;
    if index < LINEAR {
        return index;
    }
    let (octave, step) = ((index - LINEAR) / STEPS, (index - LINEAR) % STEPS);
    ((STEPS + step) << octave) + ((1 << octave) >> 1)
}

/// The `q`-quantile (0 to 1) of bucket counts, microseconds; `None` of nothing.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rank of a count"
)]
pub fn quantile(counts: &[u64], q: f64) -> Option<u64> {
    let total: u64 = counts.iter().sum();
    let rank = ((total as f64 * q).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if total > 0 && seen >= rank {
            return Some(midpoint(bucket));
        }
    }
    None
}

#[cfg(test)]
mod tests;
