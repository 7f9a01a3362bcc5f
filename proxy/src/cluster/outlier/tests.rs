//! When an endpoint leaves and for how long.

use std::time::Duration;

use tokio::time::Instant;

use super::{Health, Outlier};
use crate::model::OutlierSpec;

const SPEC: OutlierSpec = OutlierSpec {
    consecutive_failures: 3,
    base_ejection: Duration::from_secs(30),
    max_ejected_percent: 50,
};

fn fail(outlier: &Outlier, times: u32, now: Instant) {
    (0..times).for_each(|_| outlier.note(true, &SPEC, 4, || 0, now));
}

#[test]
fn the_third_failure_in_a_row_ejects() {
    let (outlier, now) = (Outlier::new(), Instant::now());
    fail(&outlier, 2, now);
    outlier.note(false, &SPEC, 4, || 0, now);
    fail(&outlier, 2, now);
    assert!(!outlier.is_ejected(now));
    fail(&outlier, 1, now);
    assert!(outlier.is_ejected(now));
    assert!(!outlier.is_ejected(now + Duration::from_secs(31)));
}

#[test]
fn each_further_ejection_lasts_twice_as_long_up_to_five_minutes() {
    let outlier = Outlier::new();
    let mut now = Instant::now();
    for seconds in [30, 60, 120, 240, 300, 300] {
        fail(&outlier, 3, now);
        let Health::Ejected(left) = outlier.health(now) else { panic!("not ejected") };
        assert_eq!(left.as_secs().div_ceil(2) * 2, seconds, "{left:?}");
        now += Duration::from_secs(seconds + 1);
    }
}

#[test]
fn the_share_bounds_ejection_and_the_last_endpoint_stays() {
    let now = Instant::now();
    let ejects = |endpoints, ejected, percent| {
        let outlier = Outlier::new();
        let spec = OutlierSpec { max_ejected_percent: percent, ..SPEC };
        (0..3).for_each(|_| outlier.note(true, &spec, endpoints, || ejected, now));
        outlier.is_ejected(now)
    };
    assert!(!ejects(1, 0, 100));
    assert!(ejects(2, 0, 10));
    assert!(ejects(4, 1, 50));
    assert!(!ejects(4, 2, 50));
    assert!(!ejects(4, 0, 0));
}
