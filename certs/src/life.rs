//! The life of a leaf: when it ought to have been renewed. One question, asked by the sidecar for its alarm and by the
//! control plane for what it shows. Pure.

use std::time::{Duration, SystemTime};

use crate::authority::template::BACKDATED;

/// With so much of its life left a leaf that was not renewed is a reason for alarm: renewal is due at 50 to 70 % of it.
const ALARM_PERCENT: u32 = 25;

/// When a leaf that is still in use is overdue: a quarter of its life is left. The life begins when it was issued, which
/// is a minute after its first second.
#[must_use]
pub fn overdue_at(not_before: SystemTime, not_after: SystemTime) -> SystemTime {
    let issued = not_before + Duration::from_secs(BACKDATED.unsigned_abs());
    let life = not_after.duration_since(issued).unwrap_or_default();
    not_after - life * ALARM_PERCENT / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noon;

    #[test]
    fn a_leaf_is_overdue_in_the_last_quarter_of_its_life() {
        let minute = Duration::from_secs(60);
        for (life, left) in [(24 * 3600, 6 * 3600), (20, 5), (6, 1)] {
            let (issued, left) = (noon(), Duration::from_secs(left));
            let end = issued + Duration::from_secs(life);
            let at = overdue_at(issued - minute, end);
            let spare = end.duration_since(at).unwrap();
            assert!(spare >= left && spare < left + Duration::from_secs(1), "{life}: {spare:?}");
        }
        // A leaf that says nothing sensible is never overdue before its end.
        assert_eq!(overdue_at(noon(), noon()), noon());
    }
}
