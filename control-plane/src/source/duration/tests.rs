//! GEP-2257, case by case and by its own pattern.

use proptest::prelude::*;

use super::*;

#[test]
fn durations_are_read_as_the_gateway_api_defines_them() {
    for (text, millis) in [
        ("0s", 0),
        ("1h", 3_600_000),
        ("30m", 1_800_000),
        ("10s", 10_000),
        ("500ms", 500),
        ("2h45m", 9_900_000),
        ("1m30s", 90_000),
        ("1h1m1s1ms", 3_661_001),
        ("99999h", 359_996_400_000),
        ("00001s", 1000),
        ("1s1s", 2000),
    ] {
        assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "1",
        "s",
        "-1s",
        "1.5s",
        " 1s",
        "1s ",
        "1d",
        "1us",
        "100000s",
        "1S",
        "1ms1",
        "1s1s1s1s1s",
        "١s",
        "1é",
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn agrees_with_the_pattern_of_the_specification(text in "([0-9]{0,6}(h|m|s|ms|x)?){0,5}") {
        let pattern = regex::Regex::new("^([0-9]{1,5}(h|m|s|ms)){1,4}$").unwrap();
        prop_assert_eq!(parse(&text).is_some(), pattern.is_match(&text), "{:?}", text);
    }

    #[test]
    fn parts_add_up(h in 0u64..99_999, m in 0u64..99_999, s in 0u64..99_999, ms in 0u64..99_999) {
        let expected = Duration::from_millis(((h * 60 + m) * 60 + s) * 1000 + ms);
        prop_assert_eq!(parse(&format!("{h}h{m}m{s}s{ms}ms")), Some(expected));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
    }
}
