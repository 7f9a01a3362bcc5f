//! Buckets and keys as tables, and what is said to whom is refused. Time is the test's own.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::telemetry::metrics::Metrics;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_bucket_gives_what_it_holds_and_then_what_flows_in() {
    let rate = Rate::new(2, Duration::from_secs(1), 3);
    let bucket = Bucket::default();
    let ask = |now| bucket.take(&rate, now);
    assert_eq!([ask(0), ask(0), ask(0)], [Ok(()); 3]);
    assert_eq!(ask(0), Err(SECOND / 2), "two a second: one in half a second");
    assert_eq!(ask(SECOND / 2 - 1), Err(1));
    assert_eq!(ask(SECOND / 2), Ok(()));
    assert_eq!(ask(SECOND / 2), Err(SECOND / 2));
    // After a quiet time it holds no more than it can.
    let later = 100 * SECOND;
    assert_eq!([ask(later), ask(later), ask(later)], [Ok(()); 3]);
    assert!(ask(later).is_err());
}

proptest! {
    /// In no window does a bucket give more than it holds and what flows in meanwhile.
    #[test]
    fn a_bucket_never_gives_more_than_was_asked_for(
        requests in 1_u32..50, burst in 0_u32..20, gaps in proptest::collection::vec(0_u64..200_000_000, 1..300)
    ) {
        let rate = Rate::new(requests, Duration::from_secs(1), requests + burst);
        let bucket = Bucket::default();
        let (mut now, mut given) = (0, Vec::new());
        for gap in gaps {
            now += gap;
            if bucket.take(&rate, now).is_ok() {
                given.push(now);
            }
        }
        for (index, from) in given.iter().enumerate() {
            for (count, to) in given[index..].iter().enumerate() {
                let flowed = (to - from) * u64::from(requests) / SECOND;
                prop_assert!((count as u64) < u64::from(requests + burst) + flowed + 2);
            }
        }
    }
}

#[test]
fn every_key_has_its_own_bucket() {
    let rate = Rate::new(1, Duration::from_secs(1), 1);
    let keys = Keys::new();
    for key in 0..1000_u64 {
        assert_eq!(keys.bucket(key * 2, 0).bucket.take(&rate, 0), Ok(()), "{key}");
    }
    for key in 0..1000_u64 {
        let found = keys.bucket(key * 2, 0);
        assert!(!found.forgot);
        assert!(found.bucket.take(&rate, 0).is_err(), "{key} was asked before");
    }
}

#[test]
fn when_there_are_too_many_the_fullest_makes_room() {
    let rate = Rate::new(1, Duration::from_secs(1), 10);
    let keys = Keys::with_sets(1);
    // The first has used most, the eighth least.
    for key in 0..8_u64 {
        for _ in 0..(8 - key) {
            keys.bucket(key * 2, 0).bucket.take(&rate, 0).unwrap();
        }
    }
    assert!(keys.bucket(100, 0).forgot);
    let used = |key: u64| keys.bucket(key * 2, 0).bucket.full_at() / SECOND;
    assert_eq!((used(0), used(6)), (8, 2), "those who used more are remembered");
    // One that is full again is no loss.
    assert!(!keys.bucket(102, 20 * SECOND).forgot);
}

fn limits(key: LimitKey) -> Arc<RateLimits> {
    let origin =
        Origin { kind: "InboundPolicy".into(), name: "limits".into(), ..Origin::default() };
    let limit = RateLimit { requests: 2, per: Duration::from_secs(60), capacity: 3, key };
    let port = PortLimits { origin, limits: vec![limit] };
    RateLimits::next(None, &port, &Arc::default())
}

fn tenant(name: &str) -> HeaderMap {
    [(HeaderName::from_static("x-tenant"), name.parse().unwrap())].into_iter().collect()
}

#[test]
fn callers_and_headers_are_counted_apart_and_those_without_together() {
    let now = Instant::now();
    let admitted = |limits: &RateLimits, caller: Option<&SpiffeId>, headers: &HeaderMap| {
        (0..10).filter(|_| limits.admit(caller, headers, now).is_ok()).count()
    };
    let id = |account: &str| -> SpiffeId {
        format!("spiffe://m.test/ns/a/sa/{account}").parse().unwrap()
    };
    let by_caller = limits(LimitKey::CallerIdentity);
    for caller in [Some(id("one")), Some(id("two")), None] {
        assert_eq!(admitted(&by_caller, caller.as_ref(), &tenant("same")), 3);
    }
    assert_eq!(admitted(&by_caller, None, &tenant("other")), 0);

    let by_header = limits(LimitKey::Header(HeaderName::from_static("x-tenant")));
    for headers in [tenant("one"), tenant("two"), HeaderMap::new()] {
        assert_eq!(admitted(&by_header, Some(&id("one")), &headers), 3);
    }
    assert_eq!(admitted(&by_header, None, &tenant("one")), 0);

    let everybody = limits(LimitKey::Everybody);
    assert_eq!(admitted(&everybody, Some(&id("one")), &tenant("one")), 3);
    assert_eq!(admitted(&everybody, None, &HeaderMap::new()), 0);
}

#[test]
fn who_is_refused_is_told_by_what_and_until_when() {
    let limits = limits(LimitKey::Everybody);
    let now = Instant::now();
    let mut last = Ok(());
    for _ in 0..4 {
        last = limits.admit(None, &HeaderMap::new(), now);
    }
    let response =
        crate::response::failed(&last.unwrap_err(), false, crate::upstream::Version::Http1);
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(header("ratelimit-policy"), "\"limits.0\";q=2;w=60");
    assert_eq!(header("ratelimit"), "\"limits.0\";r=0;t=30");
    assert_eq!(header("retry-after"), "30");
    assert!(header("proxy-status").contains("error=rate_limited"), "{}", header("proxy-status"));
    assert!(header("proxy-status").contains("InboundPolicy"), "{}", header("proxy-status"));
}

#[test]
fn the_same_limits_keep_their_buckets_and_others_begin_anew() {
    let first = limits(LimitKey::Everybody);
    let now = Instant::now();
    for _ in 0..3 {
        first.admit(None, &HeaderMap::new(), now).unwrap();
    }
    let limit = first.limits[0].spec.clone();
    let mut port = PortLimits { origin: first.origin.clone(), limits: vec![limit] };
    port.origin.generation = 7;
    let same = RateLimits::next(Some(&first), &port, &Arc::default());
    assert!(same.admit(None, &HeaderMap::new(), now).is_err());
    port.limits[0].requests = 3;
    let other = RateLimits::next(Some(&first), &port, &Arc::default());
    assert!(other.admit(None, &HeaderMap::new(), now).is_ok());
}

#[test]
fn refusals_are_counted() {
    let (metrics, counters) = (Metrics::default(), Arc::<Counters>::default());
    counters.show(&metrics);
    let mut port = PortLimits { origin: Origin::default(), limits: Vec::new() };
    port.limits.push(limits(LimitKey::Everybody).limits[0].spec.clone());
    let limits = RateLimits::next(None, &port, &counters);
    for _ in 0..5 {
        let _ = limits.admit(None, &HeaderMap::new(), Instant::now());
    }
    let text = metrics.encode();
    let values: HashMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(values["weft_rate_limited_total"], "2");
}
