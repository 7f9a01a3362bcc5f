//! The waits, as a table.

use std::time::Duration;

use super::{Backoff, random_unit};

#[test]
fn doubles_up_to_the_cap_and_starts_over() {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let waits: Vec<u128> = (0..10).map(|_| backoff.next(1.0).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
    for _ in 0..1000 {
        assert_eq!(backoff.next(1.0), Duration::from_secs(30));
    }
    backoff.reset();
    assert_eq!(backoff.next(0.0), Duration::from_millis(50), "jitter takes at most half");
}

#[test]
fn jitter_spreads() {
    let drawn: Vec<f64> = (0..100).map(|_| random_unit()).collect();
    assert!(drawn.iter().all(|unit| (0.0..1.0).contains(unit)));
    assert!(drawn.iter().any(|unit| *unit < 0.5) && drawn.iter().any(|unit| *unit >= 0.5));
}
