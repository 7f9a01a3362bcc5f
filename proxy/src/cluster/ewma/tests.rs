//! The average on known samples: peaks, fading, failures, idleness.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Latency, Sample};
use crate::model::PeakEwma;

const EWMA: PeakEwma =
    PeakEwma { decay: Duration::from_secs(10), default_rtt: Duration::from_millis(30) };

fn ms(latency: &Latency, now: Instant) -> f64 {
    latency.cost(EWMA, now) * 1e3
}

fn answered(latency: &Latency, millis: u64, now: Instant) {
    latency.note(Sample::Answered(Duration::from_millis(millis)), EWMA, now);
}

fn failed(latency: &Latency, millis: u64, now: Instant) {
    latency.note(Sample::Failed(Duration::from_millis(millis)), EWMA, now);
}

#[test]
fn an_unknown_endpoint_has_the_default_latency_until_its_first_sample() {
    let (latency, now) = (Latency::new(), Instant::now());
    assert!(latency.is_unknown());
    assert!((ms(&latency, now + Duration::from_secs(60)) - 30.0).abs() < 0.1);
    answered(&latency, 5, now);
    assert!(!latency.is_unknown());
    assert!((ms(&latency, now) - 5.0).abs() < 0.1);
}

#[test]
fn a_peak_counts_at_once_and_fades_with_the_time_constant() {
    let (latency, now) = (Latency::new(), Instant::now());
    answered(&latency, 5, now);
    answered(&latency, 100, now);
    assert!((ms(&latency, now) - 100.0).abs() < 0.1);
    let later = now + EWMA.decay;
    assert!((ms(&latency, later) - 36.8).abs() < 0.2, "{}", ms(&latency, later));
    answered(&latency, 10, later);
    // 100 · e⁻¹ + 10 · (1 − e⁻¹)
    assert!((ms(&latency, later) - 43.1).abs() < 0.2, "{}", ms(&latency, later));
}

#[test]
fn failing_fast_never_looks_fast_and_the_more_often_the_dearer() {
    let (latency, now) = (Latency::new(), Instant::now());
    failed(&latency, 1, now);
    let once = ms(&latency, now);
    // The default latency, for a share of 1/5: 30 / 0.8³.
    assert!((once - 58.6).abs() < 0.2, "{once}");
    let latency = Latency::new();
    answered(&latency, 80, now);
    failed(&latency, 0, now);
    assert!(ms(&latency, now) >= 79.9);
    let mut last = ms(&latency, now);
    for _ in 0..10 {
        failed(&latency, 1, now);
        assert!(ms(&latency, now) > last);
        last = ms(&latency, now);
    }
    assert!(last > 100.0 * 80.0, "{last}");
    (0..1000).for_each(|_| failed(&latency, 1, now));
    assert!(ms(&latency, now).is_finite());
}

#[test]
fn a_stray_failure_is_soon_forgiven() {
    let (latency, now) = (Latency::new(), Instant::now());
    answered(&latency, 10, now);
    failed(&latency, 1, now);
    assert!((ms(&latency, now) - 19.5).abs() < 0.1, "{}", ms(&latency, now));
    (0..10).for_each(|_| answered(&latency, 10, now));
    assert!(ms(&latency, now) < 11.0, "{}", ms(&latency, now));
}

#[test]
fn two_failures_in_a_row_make_an_endpoint_failing_until_it_succeeds_or_is_forgotten() {
    let (latency, now) = (Latency::new(), Instant::now());
    answered(&latency, 10, now);
    failed(&latency, 1, now);
    assert!(!latency.is_failing(EWMA, now));
    failed(&latency, 1, now);
    assert!(latency.is_failing(EWMA, now));
    assert!(!latency.is_failing(EWMA, now + EWMA.decay));
    answered(&latency, 10, now);
    assert!(!latency.is_failing(EWMA, now));
}

#[test]
fn one_that_never_connected_is_not_fast_either() {
    let (latency, now) = (Latency::new(), Instant::now());
    latency.note(Sample::Failed(Duration::ZERO), EWMA, now);
    assert!(ms(&latency, now) > 58.0);
}

#[test]
fn an_idle_endpoint_forgets_its_latency_and_its_failures() {
    let (latency, now) = (Latency::new(), Instant::now());
    answered(&latency, 100, now);
    (0..20).for_each(|_| failed(&latency, 1, now));
    assert!(ms(&latency, now) > 1e5);
    let later = now + 4 * EWMA.decay;
    assert!(ms(&latency, later) < 2.0, "{}", ms(&latency, later));
}

#[test]
fn who_stops_waiting_tells_at_least_how_long_it_took() {
    let (latency, now) = (Latency::new(), Instant::now());
    let abandoned = |millis| {
        latency.note(Sample::Abandoned(Duration::from_millis(millis)), EWMA, now);
    };
    abandoned(5);
    assert!((ms(&latency, now) - 30.0).abs() < 0.1, "an impatient client proves nothing");
    let latency = Latency::new();
    answered(&latency, 10, now);
    let abandoned = |millis| {
        latency.note(Sample::Abandoned(Duration::from_millis(millis)), EWMA, now);
    };
    abandoned(5);
    assert!((ms(&latency, now) - 10.0).abs() < 0.1);
    abandoned(1000);
    assert!((ms(&latency, now) - 1000.0).abs() < 0.1);
}

proptest! {
    /// Whatever the samples: the cost is a number over nothing, a peak counts at once, and failures, however fast,
    /// never make an endpoint cheaper than what it was known for.
    #[test]
    fn failing_fast_never_looks_fast(
        samples in prop::collection::vec((0..3_u8, 0..2_000_000_u64, 0..20_000_u64), 1..80),
    ) {
        let latency = Latency::new();
        let mut now = Instant::now();
        for (kind, micros, passes) in samples {
            now += Duration::from_millis(passes);
            let (time, before) = (Duration::from_micros(micros), latency.cost(EWMA, now));
            let sample = match kind {
                0 => Sample::Answered(time),
                1 => Sample::Failed(time),
                _ => Sample::Abandoned(time),
            };
            latency.note(sample, EWMA, now);
            let after = latency.cost(EWMA, now);
            prop_assert!(after.is_finite() && after > 0.0);
            // The clock counts microseconds.
            let least = time.as_secs_f64() * 0.999;
            prop_assert!(after >= least, "{sample:?}: {after}");
            if kind != 0 {
                prop_assert!(after >= before * 0.999, "{sample:?}: {before} to {after}");
            }
        }
    }
}
