//! One edge of the mesh as one sidecar saw it: totals since the start, and the last minute second by second.
//!
//! Used by [`super::store`] only. A second without traffic costs nothing, so an idle edge shrinks to its
//! totals.

use std::collections::VecDeque;

use super::tally::{Increment, Tally};

/// Longest window that can be asked for, seconds; also the bound on an edge's slots.
pub(crate) const WINDOW_MAX: u64 = 60;

/// Totals and the last minute.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    totals: Tally,
    /// Ascending by second, each second once. Bound: [`WINDOW_MAX`] slots.
    slots: VecDeque<(u64, Increment)>,
    updated: u64,
}

impl Edge {
    /// Counts what was reported in second `now`; its latencies `in_window` only if there is room for them.
    /// A clock that stepped back counts into the newest second.
    pub(crate) fn add(&mut self, mut increment: Increment, now: u64, in_window: bool) {
        self.totals.add(&increment);
        self.updated = self.updated.max(now);
        self.expire(now);
        if !in_window {
            increment.latency = Vec::new();
        }
        match self.slots.back_mut() {
            Some((second, slot)) if *second >= now => slot.merge(increment),
            _ => self.slots.push_back((now, increment)),
        }
    }

    /// Forgets the seconds that no window reaches any more.
    pub(crate) fn expire(&mut self, now: u64) {
        while self.slots.front().is_some_and(|(second, _)| second + WINDOW_MAX <= now) {
            self.slots.pop_front();
        }
    }

    /// The last `seconds` seconds, the current one included.
    pub(crate) fn window(&self, seconds: u64, now: u64) -> Tally {
        let mut tally = Tally::default();
        self.slots
            .iter()
            .filter(|(second, _)| second + seconds > now)
            .for_each(|(_, slot)| tally.add(slot));
        tally
    }

    /// Everything since the start.
    pub(crate) fn totals(&self) -> &Tally {
        &self.totals
    }

    /// The last second in which anything was reported.
    pub(crate) fn updated(&self) -> u64 {
        self.updated
    }

    /// Histogram cells held for windows: what makes an edge big.
    pub(crate) fn cells(&self) -> usize {
        self.slots.iter().map(|(_, slot)| slot.latency.len()).sum()
    }
}
