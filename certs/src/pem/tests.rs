//! What is read as PEM, and what is not.

use super::*;

/// Kinds and bytes, or what is said of it.
fn read(text: &str) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
    let sections = sections(text).map_err(|error| error.to_string())?;
    Ok(sections.into_iter().map(|(kind, der)| (kind, der.to_vec())).collect())
}

#[test]
fn sections_are_read_as_people_and_tools_write_them() {
    use SectionKind::{Certificate, PrivateKey};
    let key = "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----";
    let certificate = "-----BEGIN CERTIFICATE-----\nBAU=\n-----END CERTIFICATE-----\n";
    let other = "-----BEGIN EC PARAMETERS-----\nBggq!\n-----END EC PARAMETERS-----\n";
    let both = vec![(PrivateKey, vec![1, 2, 3]), (Certificate, vec![4, 5])];
    for (what, text, expected) in [
        ("nothing", String::new(), vec![]),
        ("other text", "-----\nhello\n".to_owned(), vec![]),
        ("two", format!("{key}\n{certificate}"), both.clone()),
        ("without a last line end", key.to_owned(), both[..1].to_vec()),
        (
            "line ends of Windows",
            format!("{key}\n{certificate}").replace('\n', "\r\n"),
            both.clone(),
        ),
        ("text around", format!("a\n{key}\nb\n{certificate}c\n"), both.clone()),
        ("what is nobody's", format!("{other}{key}\n{other}{certificate}"), both.clone()),
        ("broken at every letter", key.replace("AQID", "A\nQ\nI\nD"), both[..1].to_vec()),
        ("empty", key.replace("AQID\n", ""), vec![(PrivateKey, vec![])]),
    ] {
        assert_eq!(read(&text), Ok(expected), "{what}");
    }
}

#[test]
fn what_is_broken_is_an_error_that_does_not_tell_the_key() {
    let key = "-----BEGIN PRIVATE KEY-----\nAQIDBAUG\n-----END PRIVATE KEY-----\n";
    for (what, text, expected) in [
        ("no end", key.replace("END", "EN"), "a section does not end"),
        ("another end", key.replace("END PRIVATE", "END PUBLIC"), "a section does not end"),
        ("no dashes", key.replace("KEY-----\nA", "KEY--\nA"), "a BEGIN without its dashes"),
        ("no base64", key.replace("AQ", "A!"), "Invalid symbol"),
        ("cut", key.replace("AQIDBAUG", "AQIDBAU"), "padding"),
        ("a section in it", key.replace("UG", key), "Invalid symbol"),
        ("long", "a".repeat(MAX_TEXT + 1), "bytes long, at most"),
    ] {
        let said = read(&text).unwrap_err();
        assert!(said.contains(expected), "{what}: {said}");
        assert!(!said.contains("AQID"), "{what}: {said}");
    }
}

#[test]
fn what_is_written_is_read() {
    for length in [0, 1, 2, 3, 47, 48, 49, 138, 5000] {
        let der: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
        let text = [private_key(&der).as_str(), &certificate(&der)].concat();
        let read: Vec<_> =
            sections(&text).unwrap().into_iter().map(|(_, der)| der.to_vec()).collect();
        assert_eq!(read, [der.clone(), der], "{length} bytes");
    }
}
