//! When to renew, how long to wait after failures, when a leaf is over: arithmetic on times that are given.

use std::time::{Duration, SystemTime};

use weft_certs::{Leaf, TrustBundle, life, verify};

/// Longest wait of a proxy that never had a certificate; it cannot do anything else meanwhile.
pub(super) const LONGEST_UNENROLLED: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
const SHORTEST_LONGEST_RETRY: Duration = Duration::from_millis(200);

/// When to renew: from the moment that the control plane names, held within 50 to 70 % of the life, to 70 %,
/// evenly spread by `unit` (0 to 1). The life is what is left when it was received: certificates begin earlier,
/// for the sake of slow clocks.
pub(super) fn renewal(
    received: SystemTime,
    not_after: SystemTime,
    suggested: Option<SystemTime>,
    unit: f64,
) -> SystemTime {
    let life = until(not_after, received);
    let (first, last) = (life.mul_f64(0.5), life.mul_f64(0.7));
    let first = suggested.map_or(first, |at| until(at, received).clamp(first, last));
    received + first + (last - first).mul_f64(unit.clamp(0.0, 1.0))
}

/// The longest wait between attempts, so that even a short life has many.
pub(super) fn longest_retry(received: SystemTime, not_after: SystemTime) -> Duration {
    (until(not_after, received) / 20).clamp(SHORTEST_LONGEST_RETRY, LONGEST_RETRY)
}

/// From `now` until `at`; zero if that is past.
pub(super) fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default()
}

/// Until the first moment at which the leaf is no longer valid: its last second counts as a whole.
pub(super) fn until_expiry(leaf: &Leaf, now: SystemTime) -> Duration {
    until(leaf.not_after() + Duration::from_secs(1), now)
}

/// A leaf that is still in use then ought to have been renewed long before.
pub(super) fn overdue_at(leaf: &Leaf) -> SystemTime {
    life::overdue_at(leaf.not_before(), leaf.not_after())
}

/// The control plane renews over this leaf: it is valid, or has not been over for too long.
pub(super) fn is_renewable(leaf: &Leaf, now: SystemTime) -> bool {
    now <= leaf.not_after() + verify::RENEWAL_GRACE
}

/// By which one enrolment is told from the one before: a digest of the roots that the proxy started with.
pub(super) fn enrolment(roots: &TrustBundle) -> String {
    roots.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
