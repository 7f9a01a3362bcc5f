//! How many peers were refused for their certificates, by reason: bounded, for the reasons are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weft_certs::tls::REASONS;

use crate::telemetry::metrics::{CERTIFICATES_REFUSED, Direction, Metrics};

/// Of one proxy.
#[derive(Debug)]
pub(super) struct Refusals {
    inbound: Vec<AtomicU64>,
    outbound: Vec<AtomicU64>,
}

impl Default for Refusals {
    fn default() -> Self {
        let none = || REASONS.iter().map(|_| AtomicU64::new(0)).collect();
        Self { inbound: none(), outbound: none() }
    }
}

impl Refusals {
    pub(super) fn show(self: &Arc<Self>, metrics: &Metrics) {
        let refusals = Arc::clone(self);
        metrics.watch_series(CERTIFICATES_REFUSED, move || refusals.rows());
    }

    pub(super) fn count(&self, direction: Direction, reason: &str) {
        let counts = match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        };
        let known = REASONS.iter().zip(counts).find(|(known, _)| **known == reason);
        if let Some((_, count)) = known {
            count.fetch_add(1, Relaxed);
        }
    }

    fn rows(&self) -> Vec<(Vec<String>, u64)> {
        let both = [("inbound", &self.inbound), ("outbound", &self.outbound)];
        let mut rows = Vec::new();
        for (direction, counts) in both {
            for (reason, count) in REASONS.iter().zip(counts) {
                let count = count.load(Relaxed);
                if count > 0 {
                    rows.push((vec![direction.to_owned(), (*reason).to_owned()], count));
                }
            }
        }
        rows
    }
}
