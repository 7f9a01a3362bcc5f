//! Whether a Service port's configuration is wanted: subscribed on first use, dropped when it has been idle. A
//! [`super::Target`] that is on demand has one of these; `outbound` asks through it, `app` subscribes and drops.
//!
//! Phases: *idle* (not subscribed) → *asked* (subscribed; there, or on its way) → *absent* (subscribed, and the control
//! plane says that there is no such Service port). Only the one who moves it from idle to asked says so to `app`, so
//! that at most one message of each target is under way; only `app` moves it back.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU8, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout_at};

use super::{Target, TargetConfig};

/// Limit on how long a connection or request is held until its configuration is there.
const HOLD: Duration = Duration::from_secs(5);
/// After a wait in vain nobody is held for so long: requests do not pile up behind a control plane that is away.
const NOT_AGAIN: Duration = Duration::from_secs(1);

const IDLE: u8 = 0;
const ASKED: u8 = 1;
const ABSENT: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Demand {
    phase: AtomicU8,
    /// Connections of the application.
    open: AtomicUsize,
    born: Instant,
    /// Milliseconds after `born` at which the last connection closed.
    idle_since: AtomicU64,
    /// Milliseconds after `born` until which nobody is held.
    in_vain: AtomicU64,
    changed: Notify,
    asked: UnboundedSender<Arc<str>>,
}

/// What is to be seen of a target's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In force.
    InForce,
    /// Subscribed, not there yet.
    Waiting,
    /// Subscribed; the control plane says that there is none.
    Absent,
    /// Not subscribed, because nobody uses it.
    Unused,
}

impl Demand {
    pub(super) fn new(asked: UnboundedSender<Arc<str>>) -> Self {
        Self {
            phase: AtomicU8::new(IDLE),
            open: AtomicUsize::new(0),
            born: Instant::now(),
            idle_since: AtomicU64::new(0),
            in_vain: AtomicU64::new(0),
            changed: Notify::new(),
            asked,
        }
    }

    /// Asks, and waits for an answer.
    pub(super) async fn wait(&self, target: &Target) -> Option<Arc<TargetConfig>> {
        let deadline = Instant::now() + HOLD;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Race: asked for before it is looked, so that a change in between is not missed.
            changed.as_mut().enable();
            if let Some(config) = target.load() {
                return Some(config);
            }
            let first = self.phase.compare_exchange(IDLE, ASKED, AcqRel, Acquire);
            if first.is_ok() {
                // A receiver that is gone belongs to a proxy that stops.
                let _ = self.asked.send(Arc::clone(&target.name));
            }
            let hopeless = self.millis() < self.in_vain.load(Relaxed);
            if first == Err(ABSENT) || hopeless {
                return None;
            }
            if timeout_at(deadline, changed).await.is_err() {
                self.in_vain.store(self.millis() + millis(NOT_AGAIN), Relaxed);
                return target.load();
            }
        }
    }

    /// What xDS says has changed: in force now, or not there.
    pub(super) fn answered(&self, exists: bool) {
        // Race: a target that was dropped meanwhile stays idle.
        let (from, to) = if exists { (ABSENT, ASKED) } else { (ASKED, ABSENT) };
        let _ = self.phase.compare_exchange(from, to, AcqRel, Acquire);
        self.changed.notify_waiters();
    }

    /// It is subscribed without having been asked for: the last good configuration had it.
    pub(super) fn adopt(&self) {
        self.phase.store(ASKED, Release);
        self.idle_since.store(self.millis(), Relaxed);
    }

    /// Gives it up if it has been idle for so long; true if it is to be dropped. Race: a connection that opens
    /// meanwhile asks again when it finds nothing.
    pub(super) fn retire(&self, idle: Duration) -> bool {
        let since = self.idle_since.load(Relaxed);
        let long = self.millis().saturating_sub(since) >= millis(idle);
        if self.open.load(Acquire) > 0 || !long || self.phase.load(Acquire) == IDLE {
            return false;
        }
        self.phase.store(IDLE, Release);
        true
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, AcqRel);
    }

    pub(super) fn closed(&self) {
        self.idle_since.store(self.millis(), Relaxed);
        self.open.fetch_sub(1, AcqRel);
    }

    pub(super) fn standing(&self) -> Standing {
        match self.phase.load(Acquire) {
            IDLE => Standing::Unused,
            ABSENT => Standing::Absent,
            _ => Standing::Waiting,
        }
    }

    fn millis(&self) -> u64 {
        millis(self.born.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
