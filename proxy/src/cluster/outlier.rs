//! Ejection of an endpoint that failed several times in a row (Envoy: `consecutive_5xx`). Written by
//! `Cluster::note` after every attempt, read by every pick; lock-free.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::OutlierSpec;

/// Bound of the doubling.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);

/// One endpoint's record. Race: two failures that arrive together may both see the threshold; the second
/// ejection then counts twice in the doubling, which errs on the careful side.
#[derive(Debug)]
pub struct Outlier {
    born: Instant,
    failures: AtomicU32,
    /// Milliseconds after `born`; 0 if never ejected.
    ejected_until: AtomicU64,
    ejections: AtomicU32,
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// In use.
    Healthy,
    /// Left out for so long.
    Ejected(Duration),
}

impl Outlier {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            ejections: AtomicU32::new(0),
        }
    }

    /// Is it left out now?
    #[must_use]
    pub fn is_ejected(&self, now: Instant) -> bool {
        let until = self.ejected_until.load(Relaxed);
        until != 0 && self.millis(now) < until
    }

    /// How it stands, for people.
    #[must_use]
    pub fn health(&self, now: Instant) -> Health {
        let left = self.ejected_until.load(Relaxed).saturating_sub(self.millis(now));
        if left == 0 { Health::Healthy } else { Health::Ejected(Duration::from_millis(left)) }
    }

    /// `ejected` counts the endpoints of the cluster that are out; it is asked only at the threshold.
    pub(super) fn note(
        &self,
        failed: bool,
        spec: &OutlierSpec,
        endpoints: usize,
        ejected: impl Fn() -> usize,
        now: Instant,
    ) {
        if !failed {
            if self.failures.load(Relaxed) != 0 {
                self.failures.store(0, Relaxed);
            }
            return;
        }
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let over = spec.consecutive_failures != 0 && failures >= spec.consecutive_failures;
        if !over || self.is_ejected(now) || !may_eject(spec, endpoints, ejected()) {
            return;
        }
        self.failures.store(0, Relaxed);
        let doubled = self.ejections.fetch_add(1, Relaxed).min(16);
        let length = spec.base_ejection.saturating_mul(1 << doubled).min(LONGEST_EJECTION);
        let until = self.millis(now) + u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until.store(until, Relaxed);
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.born);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// One of several may always be out; more only within the share. The last one never is.
fn may_eject(spec: &OutlierSpec, endpoints: usize, ejected: usize) -> bool {
    let allowed = (endpoints * spec.max_ejected_percent.min(100) as usize / 100).max(1);
    endpoints > 1 && ejected < allowed && spec.max_ejected_percent > 0
}

#[cfg(test)]
mod tests;
