//! How long something took, counted by atomics: written by whoever does it, read by the admin's page of metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, milliseconds; one more bucket takes what is above.
pub(crate) const BOUNDS_MS: [u64; 8] = [10, 25, 50, 100, 250, 500, 1_000, 2_500];

/// A histogram.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_ms: AtomicU64,
}

impl Histogram {
    /// It took so long.
    pub(crate) fn record(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < millis);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// Counts up to each bound and of all; and the sum in milliseconds.
    pub(crate) fn cumulated(&self) -> ([u64; BOUNDS_MS.len() + 1], u64) {
        let mut counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        for bucket in 1..counts.len() {
            counts[bucket] += counts[bucket - 1];
        }
        (counts, self.sum_ms.load(Ordering::Relaxed))
    }
}
