//! `grpc-timeout`, read and written.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Option<Duration> {
    asked(&HeaderMap::from_iter([(GRPC_TIMEOUT, HeaderValue::from_str(text).unwrap())]))
}

#[test]
fn eight_digits_and_a_unit() {
    for (text, expected) in [
        ("1H", Some(Duration::from_secs(3600))),
        ("2M", Some(Duration::from_secs(120))),
        ("3S", Some(Duration::from_secs(3))),
        ("100m", Some(Duration::from_millis(100))),
        ("5u", Some(Duration::from_micros(5))),
        ("99999999n", Some(Duration::from_nanos(99_999_999))),
        ("0n", Some(Duration::ZERO)),
        ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
        ("100000000n", None),
        ("", None),
        ("S", None),
        ("1", None),
        ("1s", None),
        ("-1S", None),
        ("1.5S", None),
        (" 1S", None),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
    assert_eq!(asked(&HeaderMap::new()), None);
}

proptest! {
    #[test]
    fn what_is_announced_is_never_more_and_nearly_as_much(nanos in 0_u64..10_000_000_000_000_000) {
        let left = Duration::from_nanos(nanos);
        let mut headers = HeaderMap::new();
        announce(&mut headers, left);
        prop_assert!(headers.values().all(HeaderValue::is_sensitive), "it goes into a table");
        let said = asked(&headers).unwrap();
        prop_assert!(said <= left && left - said <= left / 9_999);
    }
}
