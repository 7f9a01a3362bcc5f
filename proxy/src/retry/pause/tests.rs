//! Hints and backoffs.

use http::header::HeaderValue;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let name = HeaderName::from_static(name);
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

#[test]
fn what_a_server_asks_for() {
    let pushback = "grpc-retry-pushback-ms";
    for (name, value, grpc, expected) in [
        (pushback, "0", true, Hint::After(Duration::ZERO)),
        (pushback, "250", true, Hint::After(Duration::from_millis(250))),
        (pushback, "5001", true, Hint::Never),
        (pushback, "-1", true, Hint::Never),
        (pushback, "soon", true, Hint::Never),
        (pushback, "-1", false, Hint::Nothing),
        ("retry-after", "1", false, Hint::After(SECOND)),
        ("retry-after", "1", true, Hint::After(SECOND)),
        ("retry-after", "2", false, Hint::Never),
        ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", false, Hint::Never),
        ("x", "1", true, Hint::Nothing),
    ] {
        let got = hint(&headers(name, value), grpc, Some(SECOND));
        assert_eq!(got, expected, "{name}: {value}");
    }
    assert_eq!(hint(&headers("retry-after", "1"), false, None), Hint::Nothing);
}

#[test]
fn another_endpoint_is_asked_at_once_unless_a_policy_has_pauses() {
    assert_eq!(backoff(None, 0, true, 0.5), Duration::ZERO);
    assert_eq!(backoff(None, 0, false, 1.0), BASE);
    assert_eq!(backoff(None, 1, true, 1.0), BASE * 2);
    assert_eq!(backoff(None, 9, true, 1.0), MAXIMUM);
    let asked = Backoff { base: SECOND, maximum: SECOND * 3 };
    assert_eq!(backoff(Some(asked), 0, true, 0.0), SECOND);
    assert_eq!(backoff(Some(asked), 0, true, 1.0), SECOND * 2);
    assert_eq!(backoff(Some(asked), 1, true, 1.0), SECOND * 3);
}

proptest! {
    #[test]
    fn a_pause_is_within_its_bounds(
        base in 1_u64..100_000, more in 0_u64..100_000, retries in 0_u32.., chance in 0.0..1.0,
    ) {
        let base = Duration::from_micros(base);
        let maximum = base + Duration::from_micros(more);
        let pause = backoff(Some(Backoff { base, maximum }), retries, false, chance);
        prop_assert!((base..=maximum).contains(&pause));
    }
}
