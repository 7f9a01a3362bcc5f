//! Which requests were lately tried often enough, so that nobody before us tries them again: without this, three
//! tiers that each try three times send 27 requests to one that is down.
//!
//! An outbound request whose retries are spent, refused by the budget or forbidden by the other side leaves its trail
//! here: trace id and request id, as the application handed them on. When the application then fails a request of the
//! same trail, `inbound` marks the answer ([`crate::headers::Mark::Exhausted`]) and the caller's sidecar lets it be.
//! An application that hands on neither header is retried as before, within the budgets.
//!
//! Bound: [`PLACES`] trails, the newer in the place of the older; 16 KiB, and nothing before the first.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::header::HeaderValue;
use opentelemetry::trace::TraceId;
use tokio::time::Instant;

const PLACES: usize = 2048;
/// How long a trail is believed. Later failures of a long trace are failures of their own.
const SECONDS: u64 = 10;

/// By what a request is known again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trail<'a> {
    /// Its trace.
    pub trace_id: Option<TraceId>,
    /// `x-request-id`.
    pub request_id: Option<&'a HeaderValue>,
}

/// The trails of one sidecar. Written and read by requests that failed, by no others; no locks.
#[derive(Debug)]
pub struct Exhausted {
    born: Instant,
    /// 40 bits of fingerprint, 24 of the second: each is read and written whole.
    places: OnceLock<Box<[AtomicU64]>>,
}

impl Default for Exhausted {
    fn default() -> Self {
        Self { born: Instant::now(), places: OnceLock::new() }
    }
}

impl Exhausted {
    /// A request of this trail was tried often enough.
    pub fn note(&self, trail: &Trail<'_>, now: Instant) {
        let places = self
            .places
            .get_or_init(|| std::iter::repeat_with(AtomicU64::default).take(PLACES).collect());
        let second = self.second(now);
        for hash in hashes(trail) {
            let (place, print) = split(hash);
            places[place].store(print << 24 | second, Relaxed);
        }
    }

    /// Was one lately?
    #[must_use]
    pub fn knows(&self, trail: &Trail<'_>, now: Instant) -> bool {
        let Some(places) = self.places.get() else { return false };
        let second = self.second(now);
        hashes(trail).any(|hash| {
            let (place, print) = split(hash);
            let kept = places[place].load(Relaxed);
            kept >> 24 == print && second.saturating_sub(kept & 0xff_ffff) < SECONDS
        })
    }

    /// From 1 on: 0 is an empty place. 24 bits are half a year; after that nothing is known again, which costs
    /// retries.
    fn second(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.born).as_secs() + 1).min(0xff_ffff)
    }
}

fn hashes(trail: &Trail<'_>) -> impl Iterator<Item = u64> {
    let trace_id = trail.trace_id.map(|id| hash(&id.to_bytes()));
    let request_id = trail.request_id.map(|id| hash(id.as_bytes()));
    trace_id.into_iter().chain(request_id)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn split(hash: u64) -> (usize, u64) {
    #[allow(clippy::cast_possible_truncation, reason = "below PLACES")]
    let place = (hash % PLACES as u64) as usize;
    (place, hash >> 24)
}

#[cfg(test)]
mod tests;
