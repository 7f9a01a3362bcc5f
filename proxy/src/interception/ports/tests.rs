//! Lists of ports, good and bad.

use super::Ports;

fn read(text: &str) -> Result<String, String> {
    let ports: Ports = text.parse()?;
    let ranges: Vec<String> = ports.ranges().iter().map(ToString::to_string).collect();
    Ok(ranges.join(","))
}

#[test]
fn lists_become_ascending_ranges_that_do_not_touch() {
    for (text, expected) in [
        ("", ""),
        ("  ", ""),
        ("80", "80"),
        ("80,80, 80", "80"),
        ("8000-8100,4567", "4567,8000-8100"),
        ("1-10,5-20", "1-20"),
        ("1-10,11-20", "1-20"),
        ("1-10,12-20", "1-10,12-20"),
        ("1-65535,7,65535", "1-65535"),
        ("65535,65534", "65534-65535"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_say_what_was_expected() {
    for (text, expected) in [
        ("0", "no port 0"),
        ("0-10", "no port 0"),
        ("80,0", "no port 0"),
        ("65536", "1 to 65535"),
        ("+80", "1 to 65535"),
        ("-80", "1 to 65535"),
        ("http", "8000-8100"),
        ("80-", "1 to 65535"),
        ("80-90-100", "1 to 65535"),
        ("90-80", "write 80-90"),
        ("80,,90", "empty entry"),
        ("80 } ; flush ruleset", "1 to 65535"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let many = vec!["80"; super::super::MAX_ENTRIES + 1].join(",");
    assert!(read(&many).unwrap_err().contains("at most"));
}

#[test]
fn several_lists_are_one() {
    let lists = ["80,90", "85-89"].map(|text| text.parse::<Ports>().unwrap());
    assert_eq!(Ports::merge(lists), "80,85-90".parse().unwrap());
}
