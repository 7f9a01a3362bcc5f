//! How long a change of the mesh takes until proxies are being told: the numbers behind
//! `weft_control_plane_publish_seconds`.
//!
//! An onlooker: it watches what goes into the publisher and what comes out, and concerns neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::model::Mesh;

/// Upper bounds of the buckets, milliseconds; one more bucket takes what is above.
pub(super) const BOUNDS_MS: [u64; 8] = [10, 25, 50, 100, 250, 500, 1_000, 2_500];
/// A change that has published nothing after so long has changed nothing that proxies see.
const GIVE_UP: Duration = Duration::from_secs(5);

/// A histogram of what was measured.
#[derive(Debug, Default)]
pub(crate) struct PublishLatency {
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_ms: AtomicU64,
}

impl PublishLatency {
    /// Measures every change of `mesh` to the next `generation` of the resources, until either ends.
    pub(crate) async fn follow(
        &self,
        mut mesh: watch::Receiver<Arc<Mesh>>,
        mut generation: watch::Receiver<u64>,
    ) {
        while mesh.changed().await.is_ok() {
            let start = Instant::now();
            match timeout(GIVE_UP, generation.changed()).await {
                Ok(Ok(())) => self.record(start.elapsed()),
                Ok(Err(_closed)) => return,
                Err(_elapsed) => {}
            }
            // What came in between was published with it.
            mesh.mark_unchanged();
        }
    }

    fn record(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < millis);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// Counts up to each bound and of all; and the sum in milliseconds.
    pub(super) fn cumulated(&self) -> ([u64; BOUNDS_MS.len() + 1], u64) {
        let mut counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        for bucket in 1..counts.len() {
            counts[bucket] += counts[bucket - 1];
        }
        (counts, self.sum_ms.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
