//! Who is named, who never is, and how soon: simulated, with seeds.

use std::time::{Duration, Instant, SystemTime};

use super::{BEYOND_DOUBT, Evidence, Slot, TRUST, won};
use crate::random::Random;

/// Slots in a minute.
const MINUTE: u32 = 600;
const SLOT: f64 = 0.1;

fn slot(calls: u64, met: u64, requests: f64) -> Slot {
    Slot { calls, met, requests, handed_on: false }
}

/// Requests under way as steps over time: Poisson arrivals, exponential lengths.
struct Requests {
    /// Begin and end, seconds.
    spans: Vec<(f64, f64)>,
}

impl Requests {
    fn poisson(random: &Random, rate: f64, length: f64, time: f64) -> Self {
        let exponential = |mean: f64| -mean * (1.0 - random.unit()).ln();
        let mut spans = Vec::new();
        let mut at = exponential(1.0 / rate);
        while at < time {
            spans.push((at, at + exponential(length)));
            at += exponential(1.0 / rate);
        }
        Self { spans }
    }

    fn met(&self, at: f64) -> u64 {
        self.spans.iter().filter(|(begin, end)| (*begin..*end).contains(&at)).count() as u64
    }

    fn mean(&self, from: f64, to: f64) -> f64 {
        let within = |(begin, end): &(f64, f64)| (end.min(to) - begin.max(from)).max(0.0);
        self.spans.iter().map(within).sum::<f64>() / (to - from)
    }
}

/// The number of slots until it is named, if it is.
fn named_after(requests: &Requests, calls: &[f64], slots: u32) -> Option<u32> {
    let mut evidence = Evidence::default();
    (0..slots).find(|number| {
        let (from, to) = (f64::from(*number) * SLOT, f64::from(number + 1) * SLOT);
        let here = calls.iter().filter(|at| (from..to).contains(*at));
        let met: Vec<u64> = here.map(|at| requests.met(*at)).collect();
        let slot = slot(met.len() as u64, met.iter().sum(), requests.mean(from, to));
        evidence.add(&slot, Instant::now(), SystemTime::now());
        evidence.broken_since().is_some()
    })
}

#[test]
fn whoever_calls_from_requests_is_named_within_a_minute() {
    for (rate, length) in
        [(0.5, 0.005), (2.0, 0.05), (20.0, 0.02), (50.0, 0.1), (80.0, 0.1), (200.0, 0.05)]
    {
        for seed in 1..4 {
            let requests = Requests::poisson(&Random::seeded(seed), rate, length, 60.0);
            // One call each, in its middle.
            let calls: Vec<f64> =
                requests.spans.iter().map(|(a, b)| f64::midpoint(*a, *b)).collect();
            let after = named_after(&requests, &calls, MINUTE);
            assert!(after.is_some(), "{rate}/s of {length} s, seed {seed}");
        }
    }
}

#[test]
fn whoever_calls_on_his_own_is_not() {
    // Five minutes each.
    for (rate, length, calls_a_second) in [
        (0.5, 0.005, 1.0),
        (5.0, 0.05, 10.0),
        (20.0, 0.02, 2.0),
        (30.0, 0.05, 20.0),
        (9.0, 0.1, 9.0),
    ] {
        for seed in 1..4 {
            let (random, time) = (Random::seeded(seed), 300.0);
            let requests = Requests::poisson(&random, rate, length, time);
            let timer: Vec<f64> = (0..(time * calls_a_second) as u32)
                .map(|n| f64::from(n) / calls_a_second + 0.037)
                .collect();
            assert_eq!(named_after(&requests, &timer, 3000), None, "timer, {rate}/s, seed {seed}");
            let spread = Requests::poisson(&random, calls_a_second, 1.0, time);
            let spread: Vec<f64> = spread.spans.iter().map(|(at, _)| *at).collect();
            assert_eq!(
                named_after(&requests, &spread, 3000),
                None,
                "spread, {rate}/s, seed {seed}"
            );
        }
    }
}

#[test]
fn a_slot_is_a_fair_bet_at_best() {
    // Of n equally likely moments, k meet one request: the expectation of what is won is 1, or less where it is capped.
    for (n, k) in [(10_u64, 1_u64), (10, 5), (10, 9), (1000, 1)] {
        let mean = k as f64 / n as f64;
        let (hit, miss) = (won(&slot(1, 1, mean)), won(&slot(1, 0, mean)));
        let expected = (k as f64 * hit + (n - k) as f64 * miss) / n as f64;
        assert!(expected <= 1.0 + 1e-9, "{n} {k}: {expected}");
        assert!(hit > 1.0 && miss < 1.0, "{n} {k}");
    }
}

#[test]
fn context_that_is_handed_on_clears_and_protects() {
    let (start, wall) = (Instant::now(), SystemTime::now());
    let mut evidence = Evidence::default();
    let bad = slot(5, 5, 0.1);
    for _ in 0..20 {
        evidence.add(&bad, start, wall);
    }
    assert_eq!((evidence.broken_since(), evidence.fortune), (Some(wall), BEYOND_DOUBT));
    evidence.add(&Slot { handed_on: true, ..bad }, start, wall);
    assert_eq!(evidence.broken_since(), None);
    for _ in 0..100 {
        evidence.add(&bad, start + TRUST - Duration::from_secs(1), wall);
    }
    assert_eq!(evidence.broken_since(), None, "trusted");
    for _ in 0..20 {
        evidence.add(&bad, start + TRUST, wall);
    }
    assert_eq!(evidence.broken_since(), Some(wall), "no longer");
}

#[test]
fn slots_without_requests_or_calls_say_nothing_and_twelve_are_the_least() {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let mut evidence = Evidence::default();
    for _ in 0..1000 {
        evidence.add(&slot(3, 0, 0.0), now, wall);
        evidence.add(&slot(0, 0, 2.0), now, wall);
    }
    assert!((evidence.fortune - 1.0).abs() < f64::EPSILON);
    let best = slot(1, 1, 0.001);
    for _ in 0..11 {
        evidence.add(&best, now, wall);
    }
    assert_eq!(evidence.broken_since(), None);
    evidence.add(&best, now, wall);
    assert_eq!(evidence.broken_since(), Some(wall));
}
