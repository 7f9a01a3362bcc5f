//! Buckets are ordered, close, and quantiles come out within the promised error.

use super::{BUCKETS, index, midpoint, quantile};

#[test]
fn every_latency_lies_within_a_sixteenth_of_its_buckets_middle() {
    for micros in (0..100_000).chain([1_000_000, 7_777_777, 120_000_000]) {
        let middle = midpoint(index(micros));
        let error = middle.abs_diff(micros) * 16;
        assert!(error <= micros.max(16), "{micros} µs fell into a bucket around {middle} µs");
    }
}

#[test]
fn the_last_bucket_takes_whatever_is_longer() {
    assert_eq!(index(u64::MAX), BUCKETS - 1);
}

#[test]
fn quantiles_of_a_uniform_spread() {
    let mut counts = vec![0; BUCKETS];
    (1..=1000).for_each(|ms| counts[index(ms * 1000)] += 1);
    let p50 = quantile(&counts, 0.5).unwrap();
    let p99 = quantile(&counts, 0.99).unwrap();
    assert!((470_000..=530_000).contains(&p50), "{p50}");
    assert!((930_000..=1_050_000).contains(&p99), "{p99}");
    assert_eq!(quantile(&[0; BUCKETS], 0.5), None);
}
