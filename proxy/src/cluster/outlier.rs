//! Outlier detection of one endpoint, a circuit breaker: closed (in use), open (ejected for a time), half-open (one
//! trial request decides). Written by `Cluster::note` after every attempt, read by every pick; lock-free.
//!
//! What counts: 5xx in a row, 502/503/504 in a row, failures of the way in a row, and the share of failures in a
//! window, each if the policy asks for it. 429, and 503 with `Retry-After`, say that the endpoint is busy, not that
//! it is ill: they count as nothing, and a trial that is answered so has succeeded.
//!
//! Known to differ from Envoy: half-open, which it lacks (there an endpoint comes back with full load); an ejection
//! lasts twice as long as the one before, not one base longer, and one doubling is forgotten for every base
//! ejection that the endpoint stays well; overload counts as failure there.

mod window;

use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::OutlierSpec;
use window::Window;

/// Bound of the doublings, so that they cannot overflow.
const MAX_DOUBLINGS: u32 = 16;

/// One endpoint's record.
#[derive(Debug)]
pub struct Outlier {
    born: Instant,
    /// [`CLOSED`], [`TRIAL`], or one more than the milliseconds after `born` at which an ejection ends.
    state: AtomicU64,
    /// 5xx in a row; 502 to 504 in a row; failures of the way in a row.
    rows: [AtomicU32; 3],
    /// How often in a row it was ejected.
    ejections: AtomicU32,
    /// Milliseconds after `born` at which it came back last.
    back: AtomicU64,
    /// Only where a policy asks for the share of failures.
    window: OnceLock<Box<Window>>,
}

const CLOSED: u64 = 0;
const TRIAL: u64 = u64::MAX;
const SERVER: usize = 0;
const GATEWAY: usize = 1;
const LOCAL: usize = 2;

/// How one attempt ended, as ejection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer that is no 5xx.
    Success,
    /// This 5xx.
    Status(u16),
    /// No answer: refused, reset, timed out, broken.
    Local,
    /// 429, or 503 with `Retry-After`: the endpoint is busy.
    Overload,
}

/// The breaker of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// In use.
    Closed,
    /// Left out for so long.
    Open(Duration),
    /// The next request is the trial, or one is under way.
    HalfOpen,
}

impl Circuit {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What a request that chose this endpoint is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// One of many.
    Ordinary,
    /// The trial.
    Trial,
    /// Another request is the trial: choose again.
    Lost,
}

/// Why an endpoint is ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 5xx in a row.
    ConsecutiveFailures,
    /// 502, 503, 504 in a row.
    ConsecutiveGateway,
    /// Failures of the way in a row.
    ConsecutiveLocal,
    /// The share of failures.
    FailurePercentage,
    /// The trial failed.
    Trial,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::ConsecutiveFailures,
        Self::ConsecutiveGateway,
        Self::ConsecutiveLocal,
        Self::FailurePercentage,
        Self::Trial,
    ];

    /// As written in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::ConsecutiveGateway => "consecutive_gateway_failures",
            Self::ConsecutiveLocal => "consecutive_local_failures",
            Self::FailurePercentage => "failure_percentage",
            Self::Trial => "trial",
        }
    }
}

impl Outlier {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            state: AtomicU64::new(CLOSED),
            rows: Default::default(),
            ejections: AtomicU32::new(0),
            back: AtomicU64::new(0),
            window: OnceLock::new(),
        }
    }

    /// May a request not go there now? An endpoint whose trial is due is not out: somebody has to be the trial.
    #[must_use]
    pub fn is_ejected(&self, now: Instant) -> bool {
        match self.state.load(Relaxed) {
            CLOSED => false,
            TRIAL => true,
            until => self.millis(now) + 1 < until,
        }
    }

    /// Is the next request the trial?
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        match self.state.load(Relaxed) {
            CLOSED | TRIAL => false,
            until => self.millis(now) + 1 >= until,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn circuit(&self, now: Instant) -> Circuit {
        match self.state.load(Relaxed) {
            CLOSED => Circuit::Closed,
            TRIAL => Circuit::HalfOpen,
            until => match until.saturating_sub(self.millis(now) + 1) {
                0 => Circuit::HalfOpen,
                left => Circuit::Open(Duration::from_millis(left)),
            },
        }
    }

    /// Is a trial under way? Nobody else may go there while there is another endpoint.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        self.state.load(Relaxed) == TRIAL
    }

    /// Is it closed? Everything else counts against the share that may be out.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.load(Relaxed) == CLOSED
    }

    /// A request has chosen this endpoint. Race: of all that see it due one swaps, and is the trial; who comes a
    /// moment later finds the trial under way.
    pub(super) fn claim(&self, now: Instant) -> Claim {
        match self.state.load(Acquire) {
            CLOSED => Claim::Ordinary,
            TRIAL => Claim::Lost,
            until if self.millis(now) + 1 < until => Claim::Ordinary,
            until => match self.state.compare_exchange(until, TRIAL, AcqRel, Acquire) {
                Ok(_) => Claim::Trial,
                Err(_) => Claim::Lost,
            },
        }
    }

    /// The trial was given up: the next request is one.
    pub(super) fn abandon(&self, now: Instant) {
        self.leave_trial(self.millis(now) + 1);
    }

    /// The trial succeeded.
    pub(super) fn close(&self, now: Instant) {
        self.forget();
        self.back.store(self.millis(now), Relaxed);
        self.leave_trial(CLOSED);
    }

    /// The trial failed. `jitter` is a number from 0 to 1.
    pub(super) fn reopen(&self, spec: &OutlierSpec, jitter: f64, now: Instant) {
        let times = self.ejections.load(Relaxed);
        self.ejections.store(times.saturating_add(1), Relaxed);
        self.leave_trial(self.end(spec, times, jitter, now));
    }

    /// Only the one trial may leave the state of that name, so there is nobody to race with.
    fn leave_trial(&self, to: u64) {
        let left = self.state.compare_exchange(TRIAL, to, AcqRel, Acquire);
        debug_assert!(left.is_ok(), "a trial is nobody else's to end");
    }

    /// Ejects it, unless somebody else just did. Called with the cluster's ejections one at a time.
    pub(super) fn eject(&self, spec: &OutlierSpec, jitter: f64, now: Instant) -> bool {
        let well = Duration::from_millis(self.millis(now).saturating_sub(self.back.load(Relaxed)));
        let forgotten = well.as_millis() / spec.base_ejection.as_millis().max(1);
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX);
        let times = self.ejections.load(Relaxed).saturating_sub(forgotten);
        let until = self.end(spec, times, jitter, now);
        let ejected = self.state.compare_exchange(CLOSED, until, AcqRel, Acquire).is_ok();
        if ejected {
            self.ejections.store(times + 1, Relaxed);
        }
        ejected
    }

    /// As `state` says it.
    fn end(&self, spec: &OutlierSpec, times: u32, jitter: f64, now: Instant) -> u64 {
        let length = spec.base_ejection.saturating_mul(1 << times.min(MAX_DOUBLINGS));
        let length = length.min(spec.max_ejection) + spec.jitter.mul_f64(jitter.clamp(0.0, 1.0));
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX / 2);
        self.millis(now).saturating_add(length).saturating_add(1).min(TRIAL - 1)
    }

    /// Counts how an attempt ended; says why the endpoint should go, if it should.
    pub(super) fn note(
        &self,
        outcome: Outcome,
        spec: &OutlierSpec,
        now: Instant,
    ) -> Option<Reason> {
        if !self.is_closed() || outcome == Outcome::Overload {
            // An attempt from before the ejection says nothing new.
            return None;
        }
        let share = spec.failure_percentage.filter(|share| {
            let window = self.window.get_or_init(Box::default);
            window.note(outcome != Outcome::Success, self.millis(now), share)
        });
        let split = spec.consecutive_local.is_some();
        let row = |which: usize, limit: u32| {
            let length = self.rows[which].fetch_add(1, Relaxed) + 1;
            limit != 0 && length >= limit
        };
        let over = match outcome {
            Outcome::Success | Outcome::Overload => {
                self.rows.iter().for_each(end_row);
                None
            }
            Outcome::Status(status) => {
                end_row(&self.rows[LOCAL]);
                let gateway = matches!(status, 502..=504);
                if !gateway {
                    end_row(&self.rows[GATEWAY]);
                }
                let server = row(SERVER, spec.consecutive_failures);
                let gateway = gateway && row(GATEWAY, spec.consecutive_gateway);
                server
                    .then_some(Reason::ConsecutiveFailures)
                    .or(gateway.then_some(Reason::ConsecutiveGateway))
            }
            Outcome::Local if split => {
                row(LOCAL, spec.consecutive_local.unwrap_or(0)).then_some(Reason::ConsecutiveLocal)
            }
            Outcome::Local => {
                let server = row(SERVER, spec.consecutive_failures);
                let gateway = row(GATEWAY, spec.consecutive_gateway);
                server
                    .then_some(Reason::ConsecutiveFailures)
                    .or(gateway.then_some(Reason::ConsecutiveGateway))
            }
        };
        over.or(share.map(|_| Reason::FailurePercentage))
    }

    /// Counting begins anew.
    pub(super) fn forget(&self) {
        self.rows.iter().for_each(end_row);
        if let Some(window) = self.window.get() {
            window.clear();
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.born);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
    }
}

/// A load first: it keeps the line shared among the workers where nothing changes.
fn end_row(row: &AtomicU32) {
    if row.load(Relaxed) != 0 {
        row.store(0, Relaxed);
    }
}

/// One of several may always be out; more only within the share. The last one never is.
pub(super) fn may_eject(spec: &OutlierSpec, endpoints: usize, out: usize) -> bool {
    let allowed = (endpoints * spec.max_ejected_percent.min(100) as usize / 100).max(1);
    endpoints > 1 && out < allowed && spec.max_ejected_percent > 0
}

#[cfg(test)]
mod tests;
