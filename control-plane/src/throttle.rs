//! How often work on the whole mesh is done anew while the mesh never rests: what takes long is done seldom. Used by
//! the source that assembles a mesh and by the publisher that translates it. A pure value: the callers tell it the time.
//! It never holds up a change that comes after a rest.

use std::time::Duration;

use tokio::time::Instant;

/// The rest after each time, as a multiple of what the work took: so it is done for a fifth of the time at most …
const REST: u32 = 4;
/// … but no change is kept waiting for longer than this, unless the work itself takes longer.
const LONGEST: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    not_before: Option<Instant>,
}

impl Throttle {
    /// The work was done.
    pub(crate) fn done(&mut self, begun: Instant, ended: Instant) {
        let took = ended.saturating_duration_since(begun);
        self.not_before = Some(ended + (took * REST).min(LONGEST).max(took));
    }

    /// When it may be done next, for a change that comes now: it has passed after a rest.
    pub(crate) fn earliest(&self, now: Instant) -> Instant {
        self.not_before.map_or(now, |not_before| not_before.max(now))
    }
}

#[cfg(test)]
mod tests;
