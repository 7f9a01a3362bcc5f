//! What the webhook counts. Written by its parts, read by whoever renders `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names, meanings and order of the counters stand in [`Numbers`].
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) injected: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) denied: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) warnings: AtomicU64,
    pub(super) events_dropped: AtomicU64,
    pub(super) bundles_written: AtomicU64,
    pub(super) bundles_failed: AtomicU64,
    pub(super) not_after: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Pods that got a sidecar. `weft_injection_total{outcome="injected"}`.
    pub injected: u64,
    /// Pods that stay without. `weft_injection_total{outcome="skipped"}`.
    pub skipped: u64,
    /// Pods refused for what they say. `weft_injection_total{outcome="denied"}`.
    pub denied: u64,
    /// Questions that could not be answered: malformed, or the API server would not have the trust bundle.
    /// `weft_injection_total{outcome="failed"}`.
    pub failed: u64,
    /// Warnings in answers. `weft_injection_warnings_total`.
    pub warnings: u64,
    /// Events that were not written: too many, or refused. `weft_injection_events_dropped_total`.
    pub events_dropped: u64,
    /// ConfigMaps written. `weft_trust_bundle_writes_total{result="written"}`.
    pub bundles_written: u64,
    /// ConfigMaps that the API server would not have. `weft_trust_bundle_writes_total{result="failed"}`.
    pub bundles_failed: u64,
    /// End of the port's certificate, seconds since the epoch; 0 while there is none.
    /// `weft_webhook_certificate_not_after_seconds`.
    pub not_after: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Numbers {
            injected: read(&self.injected),
            skipped: read(&self.skipped),
            denied: read(&self.denied),
            failed: read(&self.failed),
            warnings: read(&self.warnings),
            events_dropped: read(&self.events_dropped),
            bundles_written: read(&self.bundles_written),
            bundles_failed: read(&self.bundles_failed),
            not_after: read(&self.not_after),
        }
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
