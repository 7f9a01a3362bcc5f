//! Does the application hand trace context on? Its sidecar gives it one with each request; whatever it then calls
//! without any breaks the trace. [`super::Tracing`] tells of requests as they begin and end and of calls as they come;
//! [`evidence`] judges; `report` tells the control plane, and `weft check` a person.
//!
//! What can be seen, and what cannot. A call without context is no proof by itself: applications call on their own, on
//! timers, for health, to refill caches, and may do so while a request happens to be under way. Nothing on the wire says
//! why a call is made. So two questions are asked.
//!
//! 1. *Does it hand on at all?* One call with a trace header, of whatever trace, in any format that is read, clears the
//!    workload for [`evidence::TRUST`]: a library that hands on does so for everything that goes through it. So a workload
//!    that hands context on is never named, however many calls of its own it makes besides. (One that hands on for some
//!    calls only is not named either. That is the price.)
//! 2. *Do its calls come from requests?* If they do not, a call falls on any moment alike, so that it meets as many
//!    requests under way as there are on average. If they do, each meets at least the one that it comes from, and the
//!    others besides. In slots of [`SLOT`] the mean number under way that calls met is compared with the mean over
//!    time; [`evidence`] has the statistics. Calls that meet nobody count against it.
//!
//! Means over time have to be exact, for slots are short and requests shorter. One atomic word holds both the number
//! under way and, above it, the sum of the moments at which requests ended less those at which they began; at any
//! moment `now` the time that requests have been under way altogether is that sum and `now` for each that still is.
//! Every request adds to it once at its start and once at its end; no lock, no allocation, no map.

mod evidence;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use self::evidence::{Evidence, Slot};

/// Time over which means are compared.
const SLOT: Duration = Duration::from_millis(100);
/// After so many slots without a call the watch sleeps until the next one. That one is lost to it, so the time is longer
/// than the pauses of whatever is to be judged within a minute.
const QUIET_SLOTS: u32 = 600;
/// Requests under way, in the low bits of [`Watch::under_way`]. Bound: more would spoil the sum, and the statistics with
/// it, until they are fewer; a sidecar has fewer connections.
const COUNT_BITS: u32 = 16;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// A workload that takes context and calls on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// When that was beyond doubt.
    pub since: SystemTime,
    /// Calls without context that met a request under way, since the sidecar's start.
    pub calls: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    start: Instant,
    /// Number under way, and above it in microseconds ends less beginnings, modulo 2^48.
    under_way: AtomicU64,
    /// Of the slot under way: calls without context (high half), and the sum of what they met (low half).
    met: AtomicU64,
    /// Of the slot under way: was there a call with context?
    handed_on: AtomicBool,
    /// Somebody has to close slots.
    awake: AtomicBool,
    wake: Notify,
    calls: AtomicU64,
    /// Lock: taken once a slot, and by whoever reads the verdict.
    evidence: Mutex<Evidence>,
}

/// A request with context that the application has been given, until its response has ended.
#[derive(Debug)]
pub(super) struct UnderWay {
    watch: Arc<Watch>,
    ended: Option<Instant>,
}

impl UnderWay {
    /// It ended at this moment; without that it is the moment of the drop, which a clock has to be read for.
    pub(super) fn ends(mut self, at: Instant) {
        self.ended = Some(at);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.watch.shift(-1, self.ended.unwrap_or_else(Instant::now));
    }
}

impl Watch {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            under_way: AtomicU64::new(0),
            met: AtomicU64::new(0),
            handed_on: AtomicBool::new(false),
            awake: AtomicBool::new(false),
            wake: Notify::new(),
            calls: AtomicU64::new(0),
            evidence: Mutex::new(Evidence::default()),
        })
    }

    /// The application is given a request with context.
    pub(super) fn given(self: &Arc<Self>) -> UnderWay {
        self.shift(1, Instant::now());
        UnderWay { watch: Arc::clone(self), ended: None }
    }

    /// The application calls.
    pub(super) fn called(&self, with_context: bool) {
        if with_context {
            // Read first: most applications do it always, and the word is everybody's.
            if !self.handed_on.load(Relaxed) {
                self.handed_on.store(true, Relaxed);
            }
            return;
        }
        let met = self.under_way.load(Relaxed) & COUNT;
        // Nobody counts: there is no slot under way, and this would begin none.
        if met == 0 && !self.awake.load(Relaxed) {
            return;
        }
        // Bound: 2^32 calls a slot.
        self.met.fetch_add((1 << 32) | met, Relaxed);
        if met > 0 {
            self.calls.fetch_add(1, Relaxed);
            if !self.awake.load(Relaxed) && !self.awake.swap(true, Relaxed) {
                self.wake.notify_one();
            }
        }
    }

    /// The verdict as it stands.
    pub(super) fn broken(&self) -> Option<Broken> {
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        // The watch may be asleep: an application that hands everything on does not wake it.
        if self.handed_on.swap(false, Relaxed) {
            let slot = Slot { handed_on: true, ..Slot::default() };
            evidence.add(&slot, Instant::now(), SystemTime::now());
        }
        let since = evidence.broken_since()?;
        Some(Broken { since, calls: self.calls.load(Relaxed) })
    }

    /// Closes slots for ever; one task does it.
    pub(super) async fn run(&self) {
        loop {
            self.wake.notified().await;
            // Context that was handed on before counts; calls belong to no slot of known length.
            let _ = self.broken();
            let mut before = self.take().1;
            let mut tick = tokio::time::interval(SLOT);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            tick.tick().await;
            let mut quiet = 0;
            while quiet < QUIET_SLOTS {
                tick.tick().await;
                let (slot, after) = self.take();
                let slot = Slot { requests: mean(before, after), ..slot };
                before = after;
                quiet = if slot.calls == 0 { quiet + 1 } else { 0 };
                let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
                evidence.add(&slot, Instant::now(), SystemTime::now());
            }
            self.awake.store(false, Relaxed);
        }
    }

    /// One more under way, or one less, in one step with the moment.
    fn shift(&self, by: i64, at: Instant) {
        let moment = i64::try_from(self.micros(at)).unwrap_or(0);
        let step = by.wrapping_sub(by.wrapping_mul(moment) << COUNT_BITS);
        self.under_way.fetch_add(step.cast_unsigned(), Relaxed);
    }

    /// Microseconds since the start.
    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// What was counted since it was last taken, and with the moment the time that requests have been under way
    /// altogether by then, modulo 2^48.
    fn take(&self) -> (Slot, (u64, u64)) {
        let word = self.under_way.load(Relaxed);
        let now = self.micros(Instant::now());
        let (count, sum) = (word & COUNT, word >> COUNT_BITS);
        let altogether = sum.wrapping_add(count.wrapping_mul(now));
        let met = self.met.swap(0, Relaxed);
        let slot = Slot {
            calls: met >> 32,
            met: met & u64::from(u32::MAX),
            requests: 0.0,
            handed_on: self.handed_on.swap(false, Relaxed),
        };
        (slot, (now, altogether))
    }
}

/// Mean number of requests under way between two moments.
#[allow(clippy::cast_precision_loss, reason = "a slot is short")]
fn mean((from, before): (u64, u64), (to, after): (u64, u64)) -> f64 {
    let altogether = after.wrapping_sub(before) & (u64::MAX >> COUNT_BITS);
    // Race: requests begin and end between the reading of the word and that of the clock; that is microseconds.
    let negative = altogether > u64::MAX >> (COUNT_BITS + 1);
    if negative || to <= from {
        return 0.0;
    }
    altogether as f64 / (to - from) as f64
}

#[cfg(test)]
mod tests;
