//! The judgement of [`super`], slot by slot. Pure: times are arguments.
//!
//! *The null hypothesis*: calls without context are independent of requests. Let a slot have the mean number of requests
//! under way `m`, and let the calls in it have met `s` on average. Given how requests came and went in the slot, a call at
//! a moment that has nothing to do with them meets `m` in expectation, so `s / m` has the expectation 1. Then
//! `f = (1 - B) + B · min(s / m, CAP)` is never negative and has an expectation of at most 1: it is what a gambler has
//! left who stakes the share `B` on calls coming from requests, in a game that is fair, or worse for him, if they do not.
//! The product over slots is his fortune, a supermartingale, whatever the load and however it changes; no shape of any
//! distribution is assumed, and looking after every slot costs nothing (Ville's inequality).
//!
//! He starts anew whenever he has lost (`W = max(W, 1) · f`, a CUSUM), because an application may be deployed anew behind
//! a sidecar that stays. The mean number of slots to a false alarm is then at least the threshold: 10^10 slots, each of
//! them with both calls and requests, are more than thirty years without a pause.
//!
//! *Power*. A call that comes from a request meets it, and the others besides: `s` is up to `m + 1`, and less where requests
//! last longer than slots, for then the mean of the slot knows of them too. To win `ln 10^10 = 23` takes 12 slots with calls
//! where requests are rare (the cap: 12 coincidences at the least), 25 where half a request is under way on average, 260 at
//! five and 570 at ten (simulated in the tests, with calls in the middle of exponential requests of 100 ms): within a minute
//! up to ten requests under way on average, if calls come in every slot; and with one call every five seconds where
//! requests are rare. Beyond that it takes longer, and where the number under way never changes (a load test of a fixed
//! number of connections that never pause) it may take for ever.
//!
//! *Assumed*: calls of the application's own are not in step with requests. A timer of exactly the period of a prober's
//! requests, which happens to fire while they are under way and never drifts, is taken for their consequence: a
//! coincidence of the probability of the share of time in which requests are under way.

use std::time::{Duration, Instant, SystemTime};

/// A workload that has handed context on is trusted for so long.
pub(super) const TRUST: Duration = Duration::from_secs(600);
/// Share that is staked.
const STAKE: f64 = 0.9;
/// Most that a slot counts for.
const CAP: f64 = 8.0;
/// Fortune that leaves no doubt.
const BEYOND_DOUBT: f64 = 1e10;
/// Below so many requests under way on average nothing is compared: a call that meets one in such a slot has met its
/// edge.
const LEAST: f64 = 1e-5;

/// What was seen in one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slot {
    /// Calls without context.
    pub(super) calls: u64,
    /// Requests under way that they met, summed up.
    pub(super) met: u64,
    /// Requests under way, mean over time.
    pub(super) requests: f64,
    /// Was there a call with context?
    pub(super) handed_on: bool,
}

/// All that was seen so far.
#[derive(Debug)]
pub(super) struct Evidence {
    fortune: f64,
    trusted_until: Option<Instant>,
    broken_since: Option<SystemTime>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { fortune: 1.0, trusted_until: None, broken_since: None }
    }
}

impl Evidence {
    /// Takes a slot into account.
    pub(super) fn add(&mut self, slot: &Slot, now: Instant, wall: SystemTime) {
        if slot.handed_on {
            *self = Self { trusted_until: Some(now + TRUST), ..Self::default() };
        }
        // A slot without requests says nothing: calls of the application's own are its own business.
        let trusted = self.trusted_until.is_some_and(|until| now < until);
        if trusted || slot.calls == 0 || slot.requests < LEAST {
            return;
        }
        self.fortune = self.fortune.max(1.0) * won(slot);
        if self.fortune >= BEYOND_DOUBT {
            // Bound: kept from growing without end.
            self.fortune = BEYOND_DOUBT;
            self.broken_since.get_or_insert(wall);
        }
    }

    /// When there was no doubt any more; until context is handed on.
    pub(super) fn broken_since(&self) -> Option<SystemTime> {
        self.broken_since
    }
}

/// What a slot makes of a fortune of 1.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn won(slot: &Slot) -> f64 {
    let met = slot.met as f64 / slot.calls as f64;
    1.0 - STAKE + STAKE * (met / slot.requests).min(CAP)
}

#[cfg(test)]
mod tests;
