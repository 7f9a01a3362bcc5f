//! Rounding, both directions, and times that no certificate can express.

use std::time::{Duration, SystemTime};

use super::{calendar, show, system, unix};

#[test]
fn fractions_are_rounded_down_on_both_sides_of_1970() {
    let half = Duration::from_millis(500);
    assert_eq!(unix(SystemTime::UNIX_EPOCH + half), 0);
    assert_eq!(unix(SystemTime::UNIX_EPOCH - half), -1);
    for seconds in [-1, 0, 1, 1_749_988_800] {
        assert_eq!(unix(system(seconds)), seconds);
    }
}

#[test]
fn times_are_shown_in_utc_and_absurd_ones_as_a_number() {
    assert_eq!(show(system(1_749_988_800)), "2025-06-15T12:00:00Z");
    assert_eq!(show(system(1 << 50)), format!("{} seconds since 1970", 1_i64 << 50));
}

#[test]
fn what_the_calendar_cannot_express_is_refused() {
    assert!(calendar(253_402_300_799).is_some(), "the last second of 9999");
    assert!(calendar(253_402_300_800).is_none());
    assert!(calendar(i64::MAX).is_none());
    assert!(calendar(i64::MIN).is_none());
}
