//! Sums, and what cannot be said of nothing.

use std::sync::Arc;

use super::{Counters, Increment, Tally};

fn increment(requests: u64, failures: u64, latency: &[(u8, u32)]) -> Increment {
    let counters = Counters { requests, failures, mtls: requests, ..Counters::default() };
    Increment { counters, latency: latency.to_vec(), errors: Vec::new() }
}

#[test]
fn increments_of_one_second_merge_and_stay_in_order() {
    let mut one = increment(2, 0, &[(10, 1), (30, 1)]);
    one.errors.push((Arc::from("timeout"), 1));
    let mut two = increment(3, 1, &[(5, 1), (30, 1), (40, 1)]);
    two.errors.push((Arc::from("timeout"), 2));
    one.merge(two);
    assert_eq!(one.counters.requests, 5);
    assert_eq!(one.latency, [(5, 1), (10, 1), (30, 2), (40, 1)]);
    assert_eq!(one.errors, [(Arc::from("timeout"), 3)]);
}

#[test]
fn a_sum_has_rates_and_quantiles() {
    let mut tally = Tally::default();
    tally.add(&increment(8, 2, &[(50, 4), (100, 4)]));
    tally.add(&increment(2, 0, &[(100, 2)]));
    assert_eq!(tally.success_rate(), Some(0.8));
    assert_eq!(tally.mtls_share(), Some(1.0));
    assert!(tally.quantile_ms(0.3).unwrap() < tally.quantile_ms(0.9).unwrap());
}

#[test]
fn nothing_has_neither() {
    let tally = Tally::default();
    assert_eq!((tally.success_rate(), tally.mtls_share()), (None, None));
    assert_eq!(tally.quantile_ms(0.5), None);
}

#[test]
fn merged_sums_equal_one_sum() {
    let parts = [increment(1, 1, &[(1, 1)]), increment(2, 0, &[(1, 1), (199, 1)])];
    let mut whole = Tally::default();
    parts.iter().for_each(|part| whole.add(part));
    let mut merged = Tally::default();
    for part in &parts {
        let mut tally = Tally::default();
        tally.add(part);
        merged.merge(&tally);
    }
    assert_eq!(merged, whole);
}

#[test]
fn a_liar_cannot_make_a_rate_leave_0_to_1() {
    let mut tally = Tally::default();
    tally.add(&Increment {
        counters: Counters { requests: 1, failures: u64::MAX, mtls: 9, ..Counters::default() },
        ..Increment::default()
    });
    tally.add(&increment(1, u64::MAX, &[]));
    assert_eq!(tally.success_rate(), Some(0.0));
    assert_eq!(tally.mtls_share(), Some(1.0));
}
