//! When memory is short, and how soon to look again. Pure.

use std::time::Duration;

/// Percent of the limit at which it begins, and below which it ends: between them nothing changes, or what is let go
/// would come back at once.
const ENTER: u128 = 85;
const LEAVE: u128 = 80;

/// Percent from which those are let go who keep a connection and never come to the point: what they hold is what makes
/// memory short.
const HURRY: u128 = 75;

/// Below so much the page cache's part is not worth a look.
const NEAR: u128 = HURRY;

/// Is it short, with so many bytes of so many, when it was (or not) before?
#[must_use]
pub(super) fn is_short(before: bool, used: u64, limit: u64) -> bool {
    let mark = if before { LEAVE } else { ENTER };
    used_percent(used, limit).is_some_and(|(used, limit)| used >= mark * limit)
}

/// Is it time to let go of who does not come to the point?
#[must_use]
pub(super) fn is_tight(used: u64, limit: u64) -> bool {
    used_percent(used, limit).is_some_and(|(used, limit)| used >= HURRY * limit)
}

/// Does it matter what of it the kernel could take back?
#[must_use]
pub(super) fn is_near(used: u64, limit: u64) -> bool {
    used_percent(used, limit).is_some_and(|(used, limit)| used >= NEAR * limit)
}

/// Until the next look. Order: memory grows by megabytes in the time of the longest.
#[must_use]
pub(super) fn pause(used: u64, limit: u64) -> Duration {
    let Some((used, limit)) = used_percent(used, limit) else { return Duration::from_secs(1) };
    Duration::from_millis(match () {
        () if used >= 75 * limit => 5,
        () if used >= 50 * limit => 20,
        () => 100,
    })
}

/// Both sides of a comparison with percent; `None` without a limit.
fn used_percent(used: u64, limit: u64) -> Option<(u128, u128)> {
    (limit > 0).then(|| (u128::from(used) * 100, u128::from(limit)))
}

#[cfg(test)]
mod tests {
    use super::{is_near, is_short, is_tight, pause};

    #[test]
    fn it_begins_at_85_percent_and_ends_below_80() {
        for (before, used, limit, expected) in [
            (false, 84, 100, false),
            (false, 85, 100, true),
            (true, 84, 100, true),
            (true, 80, 100, true),
            (true, 79, 100, false),
            (false, 54, 64, false),
            (false, 55, 64, true),
            (false, u64::MAX, u64::MAX, true),
            // Without a limit nothing is ever short.
            (false, u64::MAX, 0, false),
            (true, u64::MAX, 0, false),
        ] {
            assert_eq!(is_short(before, used, limit), expected, "{before} {used} {limit}");
        }
    }

    #[test]
    fn the_nearer_the_sooner() {
        let of = |used| pause(used, 100).as_millis();
        assert_eq!([of(0), of(49), of(50), of(74), of(75), of(100)], [100, 100, 20, 20, 5, 5]);
        assert_eq!(pause(5, 0).as_secs(), 1);
        assert!(!is_near(74, 100) && is_near(75, 100) && !is_near(75, 0));
        assert!(!is_tight(74, 100) && is_tight(75, 100) && !is_tight(75, 0));
    }
}
