//! Counts by slices of time, over the last ten minutes and a little more.

use std::time::Duration;

use tokio::time::Instant;

/// How far back counts go.
pub(super) const SPAN: Duration = Duration::from_secs(600);
/// One slice, seconds.
const SLICE: u64 = 30;
/// Whole ones, and the present one.
const SLICES: usize = 21;

/// Which slice a time lies in.
pub(super) fn number(origin: Instant, at: Instant) -> u64 {
    at.saturating_duration_since(origin).as_secs() / SLICE
}

/// The first slice that is wanted of the last `seconds`, and how many seconds of what is wanted have been.
pub(super) fn since(origin: Instant, now: Instant, seconds: u64) -> (u64, u64) {
    let lived = now.saturating_duration_since(origin).as_secs();
    let begin = lived.saturating_sub(seconds.clamp(1, SPAN.as_secs()));
    let first = begin / SLICE;
    (first, lived - first * SLICE)
}

/// A ring of counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Slices {
    counts: [u32; SLICES],
    /// The slice that was counted in last.
    last: u32,
}

impl Slices {
    /// One, in this slice.
    pub(super) fn first(slice: u64) -> Self {
        let mut slices = Self::default();
        slices.add(slice);
        slices
    }

    /// One more. One that comes late is counted in the last slice.
    pub(super) fn add(&mut self, slice: u64) {
        let slice = u32::try_from(slice).unwrap_or(u32::MAX);
        // Those between were never counted in, and hold what was an age ago.
        for passed in (self.last..slice).take(SLICES) {
            self.counts[index(passed.wrapping_add(1))] = 0;
        }
        self.last = self.last.max(slice);
        let count = &mut self.counts[index(self.last)];
        *count = count.saturating_add(1);
    }

    /// How many since the slice `first`.
    pub(super) fn since(&self, first: u64) -> u64 {
        let last = u64::from(self.last);
        let oldest = last.saturating_sub(SLICES as u64 - 1);
        let wanted = first.max(oldest)..=last;
        wanted.map(|slice| u64::from(self.counts[index(slice as u32)])).sum()
    }

    /// Has the span passed since the last?
    pub(super) fn is_over(&self, slice: u64) -> bool {
        self.counts == [0; SLICES] || u64::from(self.last) + (SLICES as u64) <= slice
    }
}

fn index(slice: u32) -> usize {
    slice as usize % SLICES
}

#[cfg(test)]
mod tests;
