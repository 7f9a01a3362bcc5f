//! The arithmetic of renewal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{longest_retry, renewal};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

/// Renewal of a leaf of 1,000 s, in seconds after it was received.
fn renew(suggested: Option<u64>, unit: f64) -> f64 {
    let found = renewal(at(0), at(1000), suggested.map(at), unit);
    found.duration_since(at(0)).unwrap().as_secs_f64()
}

#[test]
fn renewal_falls_between_half_and_seven_tenths_of_the_life() {
    assert_eq!((renew(None, 0.0), renew(None, 0.5), renew(None, 1.0)), (500.0, 600.0, 700.0));
    assert_eq!((renew(Some(600), 0.0), renew(Some(600), 1.0)), (600.0, 700.0));
    assert_eq!((renew(Some(10), 0.0), renew(Some(10), 1.0)), (500.0, 700.0), "too early");
    assert_eq!((renew(Some(990), 0.0), renew(Some(990), 1.0)), (700.0, 700.0), "too late");
}

#[test]
fn a_leaf_that_is_over_when_it_arrives_is_renewed_at_once() {
    assert_eq!(renewal(at(10), at(0), Some(at(5)), 0.5), at(10));
}

#[test]
fn retries_fit_the_life() {
    assert_eq!(longest_retry(at(0), at(10)), Duration::from_millis(500));
    assert_eq!(longest_retry(at(0), at(1)), Duration::from_millis(200));
    assert_eq!(longest_retry(at(0), at(24 * 3600)), Duration::from_secs(30));
}
