//! What to do with the Lease that was read. Pure.

use std::time::Duration;

/// What is written in the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; empty if nobody does.
    pub(super) holder: String,
    /// How long it is good without being renewed.
    pub(super) duration: Duration,
    /// When it was renewed, as written; it is compared and never read: the clocks of others may be wrong.
    pub(super) renewed: String,
    /// How often it has changed hands.
    pub(super) transitions: i32,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is ours.
    Renew,
    /// It is nobody's, or its holder is silent.
    Take,
    /// It is another's.
    Wait,
}

/// `unchanged_for`: how long the record has been seen as it is, by our own clock.
pub(super) fn decide(record: &Record, own: &str, unchanged_for: Duration) -> Step {
    if record.holder == own {
        Step::Renew
    } else if record.holder.is_empty() || unchanged_for >= record.duration {
        Step::Take
    } else {
        Step::Wait
    }
}

#[cfg(test)]
mod tests;
