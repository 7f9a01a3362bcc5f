//! Values that mean something, values that do not, and the table in the reference.

use super::*;

#[test]
fn the_reference_has_the_same_table() {
    let page = include_str!("../../../../docs/reference/injection.md");
    let mut table =
        "| annotation | for example | without it | meaning |\n|---|---|---|---|\n".to_owned();
    for Annotation { name, example, default, meaning, .. } in ANNOTATIONS {
        let default = if default == "–" { default.to_owned() } else { format!("`{default}`") };
        table += &format!("| `{name}` | `{example}` | {default} | {meaning} |\n");
    }
    assert!(page.contains(&table), "docs/reference/injection.md has to contain:\n{table}");
}

#[test]
fn examples_and_defaults_mean_something() {
    for annotation in ANNOTATIONS {
        for text in [annotation.example, annotation.default].into_iter().filter(|text| *text != "–")
        {
            let read = (annotation.read)(text, &mut Knobs::default());
            assert_eq!(read, Ok(()), "{} {text}", annotation.name);
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    for (name, texts) in [
        ("opaque-ports", &["0", "65536", "80,", "80-", "90-80", "+80", "http", "1,,2"][..]),
        (
            "skip-outbound-cidrs",
            &["10.0.0.1", "10.0.0.1/8", "10.0.0.0/33", "fd00::/129", "::1/0", "x/8", "10.0.0.0/+8"],
        ),
        ("proxy-cpu-request", &["", "0", "0m", "-1", "1 m", "1e3", "fast", "."]),
        ("proxy-memory-request", &["1", "128", "15Mi", "1TB", "Mi", "9999999999999999999999Ti"]),
        ("proxy-log-level", &["", "wran", "verbose", "a=b=c"]),
        ("access-log", &["", "yes", "ALL"]),
        ("slow-request", &["", "0s", "100", "slow", "1441m"]),
        ("metrics-series", &["", "x", "-1", "+5", "1000001", "1e3"]),
        ("drain-grace", &["", "5", "5h", "-5s", "s", "9999999999m", "1441m"]),
    ] {
        let name = format!("weft.dev/{name}");
        let annotation = ANNOTATIONS.iter().find(|known| known.name == name).unwrap();
        for text in texts {
            assert!((annotation.read)(text, &mut Knobs::default()).is_err(), "{name}: {text:?}");
        }
    }
    let long = vec!["1"; 257].join(",");
    assert!(value::ports(&long).unwrap_err().contains("257 entries"));
}

#[test]
fn amounts_are_compared_as_amounts() {
    for (text, milli) in [
        ("1", 1000),
        ("250m", 250),
        ("0.25", 250),
        (".5", 500),
        ("1k", 1_000_000),
        ("1Ki", 1_024_000),
        ("1.5Gi", 1_610_612_736_000),
    ] {
        assert_eq!(value::milli(text), Some(milli), "{text}");
    }
}

#[test]
fn empty_lists_are_lists() {
    assert_eq!(value::ports(""), Ok(String::new()));
    assert_eq!(value::cidrs(" "), Ok(String::new()));
    assert_eq!(value::cidrs("0.0.0.0/0,::/0"), Ok("0.0.0.0/0,::/0".to_owned()));
}
