//! Up at once, down slowly, and never down by failing.

use std::time::Duration;

use tokio::time::Instant;

use super::Latency;

const DECAY: Duration = Duration::from_secs(10);
const DEFAULT: Duration = Duration::from_millis(30);

fn ms(latency: &Latency, now: Instant) -> f64 {
    latency.read(now, DECAY, DEFAULT) * 1e3
}

#[test]
fn unknown_is_the_default_then_the_first_sample() {
    let (latency, now) = (Latency::new(), Instant::now());
    assert!((ms(&latency, now) - 30.0).abs() < 0.1);
    latency.note(Duration::from_millis(5), false, now, DECAY, DEFAULT);
    assert!((ms(&latency, now) - 5.0).abs() < 0.1);
}

#[test]
fn a_peak_counts_at_once_and_fades_with_the_time_constant() {
    let (latency, now) = (Latency::new(), Instant::now());
    latency.note(Duration::from_millis(5), false, now, DECAY, DEFAULT);
    latency.note(Duration::from_millis(100), false, now, DECAY, DEFAULT);
    assert!((ms(&latency, now) - 100.0).abs() < 0.1);
    let later = now + DECAY;
    assert!((ms(&latency, later) - 36.8).abs() < 0.2, "{}", ms(&latency, later));
    latency.note(Duration::from_millis(10), false, later, DECAY, DEFAULT);
    // 100 · e⁻¹ + 10 · (1 − e⁻¹)
    assert!((ms(&latency, later) - 43.1).abs() < 0.2, "{}", ms(&latency, later));
}

#[test]
fn failing_fast_never_looks_fast() {
    let (latency, now) = (Latency::new(), Instant::now());
    latency.note(Duration::from_millis(1), true, now, DECAY, DEFAULT);
    assert!(ms(&latency, now) >= 29.9);
    latency.note(Duration::from_millis(80), false, now, DECAY, DEFAULT);
    latency.note(Duration::from_micros(10), true, now, DECAY, DEFAULT);
    assert!(ms(&latency, now) >= 79.9);
}
