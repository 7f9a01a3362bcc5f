//! When a status may be written: each object seldom, all together at a bounded rate. A pure value; `writer` tells it
//! the time.

use std::time::Duration;

use tokio::time::Instant;

use super::desired::Change;

/// Between two writes of one object …
const EACH: Duration = Duration::from_secs(5);
/// … and where only the number of its proxies is another.
const EACH_COUNT: Duration = Duration::from_secs(600);
/// How long a new generation may take to arrive before it is said that it has not: most arrive at once, and then one
/// write says all.
const ARRIVES: Duration = Duration::from_millis(700);
/// How long a status that is there outlasts the silence of a replica: one that was killed is off the list by then, and
/// its proxies are elsewhere.
const PATIENCE: Duration = Duration::from_secs(10);
/// Writes a second, all objects together, and how many at once after a pause.
const RATE: f64 = 20.0;
const BURST: f64 = 20.0;
/// After a write that was refused for what it says, and after one that did not get through: first and longest.
const REFUSED: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When this generation was seen first.
    seen: Instant,
    /// When it was looked at last.
    looked: Option<Instant>,
    written: Option<Instant>,
    not_before: Option<Instant>,
    /// Since when a replica has not answered.
    unsure: Option<Instant>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { seen: now, looked: None, written: None, not_before: None, unsure: None }
    }

    /// It is looked at now.
    pub(super) fn look(&mut self, now: Instant) {
        self.looked = Some(now);
    }

    /// When it was looked at last, if ever.
    pub(super) fn looked(&self) -> Option<Instant> {
        self.looked
    }

    /// A new generation: the wait for its arrival begins, and what was refused may be right now.
    pub(super) fn renewed(&mut self, now: Instant) {
        (self.seen, self.not_before) = (now, None);
    }

    /// When this generation was seen first.
    pub(super) fn seen(&self) -> Instant {
        self.seen
    }

    /// Is what a receipt lacks to be waited out, before what was said of the generation is taken back?
    pub(super) fn waits_out(&mut self, unsure: bool, now: Instant) -> bool {
        let since = unsure.then(|| *self.unsure.get_or_insert(now));
        self.unsure = since;
        since.is_some_and(|since| now < since + PATIENCE)
    }

    /// From when on may this be written? `arrived`: nothing more is to be waited for.
    pub(super) fn due(&self, change: Change, arrived: bool) -> Instant {
        let each = match change {
            Change::Material => EACH,
            Change::Count => EACH_COUNT,
        };
        let after_last = self.written.map(|at| at + each);
        let arrival = if arrived { self.seen } else { self.seen + ARRIVES };
        let latest = [after_last, self.not_before].into_iter().flatten().max();
        latest.map_or(arrival, |latest| latest.max(arrival))
    }

    pub(super) fn written(&mut self, now: Instant) {
        self.written = Some(now);
    }

    /// The API server does not take it.
    pub(super) fn refused(&mut self, now: Instant) {
        self.not_before = Some(now + REFUSED);
    }
}

/// Of all objects together: a token bucket, and a pause while the API server does not answer.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: f64,
    filled: Instant,
    failures: u32,
    paused_until: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { tokens: BURST, filled: now, failures: 0, paused_until: now }
    }

    /// May one more be written now?
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if now < self.paused_until {
            return false;
        }
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * RATE).min(BURST);
        self.filled = now;
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }

    /// The API server answers.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// It does not. The pause doubles.
    pub(super) fn unanswered(&mut self, now: Instant) {
        // Those that failed together count once.
        if now < self.paused_until {
            return;
        }
        let factor = 1_u32 << self.failures.min(5);
        self.failures += 1;
        self.paused_until = now + (FIRST_PAUSE * factor).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests;
