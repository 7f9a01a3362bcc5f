//! The arithmetic of renewal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{longest_retry, renewal};
use crate::control_channel::random_unit;

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

/// Ten thousand sidecars that were issued a certificate at one moment: with what the control plane suggests, and without.
#[test]
fn renewals_of_many_are_spread_and_none_is_early_or_late() {
    for (what, suggested, first) in [("as suggested", Some(600), 0.6), ("unasked", None, 0.5)] {
        let mut shares: Vec<f64> =
            (0..10_000).map(|_| renew(suggested, random_unit()) / 1000.0).collect();
        shares.sort_by(f64::total_cmp);
        let (low, high) = (shares[0], shares[shares.len() - 1]);
        assert!(low >= first && high <= 0.7, "{what}: {low} to {high}");
        // In each tenth of the span a tenth of them, within a quarter of that: no crowd comes at one moment.
        let tenths = |share: f64| ((share - first) / (0.7 - first) * 10.0).floor();
        let mut counts = [0_u32; 10];
        for share in &shares {
            let tenth = (0..9).find(|tenth| tenths(*share) <= f64::from(*tenth));
            counts[usize::try_from(tenth.unwrap_or(9)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (750..=1250).contains(count)), "{what}: {counts:?}");
        println!(
            "{what}: renewed at {:.1} to {:.1} % of the life, by tenths {counts:?}",
            low * 100.0,
            high * 100.0
        );
    }
}
