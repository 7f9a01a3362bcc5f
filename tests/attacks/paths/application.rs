//! The application as lenient as any: what Tomcat, Spring, nginx and old CGI make of a path, one step at a time, in any
//! order and more than once. Used to judge what has arrived, never what should arrive.

use std::collections::BTreeSet;

/// Bound: a path that is read in more ways than that is a mistake of this file.
const MOST: usize = 512;

type Step = fn(&str) -> String;

/// What one reader or another does to a path.
const STEPS: [Step; 6] =
    [decode, without_parameters, with_slashes, with_single_slashes, without_dots, to_the_first_nul];

/// Every path that some reader may take this one for, itself included.
pub(super) fn readings(path: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([path.to_owned()]);
    let mut fresh = vec![path.to_owned()];
    while let Some(path) = fresh.pop() {
        for step in STEPS {
            let read = step(&path);
            if all.insert(read.clone()) {
                fresh.push(read);
            }
        }
        assert!(all.len() < MOST, "{path} is read in {} ways", all.len());
    }
    all
}

/// Escapes undone once, with the overlong forms that old decoders took for ASCII.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, value) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    let mut text = Vec::new();
    let mut rest = &bytes[..];
    while let Some((&byte, tail)) = rest.split_first() {
        let (ascii, length) = match rest {
            [0xc0 | 0xc1, low @ 0x80..=0xbf, ..] => ((byte & 1) << 6 | low & 0x3f, 2),
            [0xe0, middle @ 0x80..=0x81, low @ 0x80..=0xbf, ..] => {
                ((middle & 1) << 6 | low & 0x3f, 3)
            }
            [0xf0, 0x80, middle @ 0x80..=0x81, low @ 0x80..=0xbf, ..] => {
                ((middle & 1) << 6 | low & 0x3f, 4)
            }
            _ => (byte, 1),
        };
        text.push(ascii);
        rest = if length == 1 { tail } else { &rest[length..] };
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// `/a;x=1/b` is `/a/b` to servlets.
fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join("/")
}

fn with_slashes(path: &str) -> String {
    path.replace('\\', "/")
}

fn with_single_slashes(path: &str) -> String {
    let mut single = path.to_owned();
    while single.contains("//") {
        single = single.replace("//", "/");
    }
    single
}

/// RFC 3986 §5.2.4, to the end of the path and no further up than its root.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." if kept.len() > 1 => drop(kept.pop()),
            ".." => {}
            other => {
                kept.push(other);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    kept.join("/")
}

/// C's strings end there.
fn to_the_first_nul(path: &str) -> String {
    path.split('\0').next().unwrap_or_default().to_owned()
}

#[test]
fn lenient_readers_find_what_is_hidden() {
    for hidden in [
        "/admin",
        "/x/..;a=b/admin",
        "/x/%2e%2e/admin",
        "/x%2f..%2fadmin",
        "/x\\..\\admin",
        "/x/%252e%252e/admin",
        "/x/%c0%ae%c0%ae/admin",
        "/x/%e0%80%ae./admin",
        "//admin",
        "/;v=1/admin;w",
        "/%2561dmin",
        "/admin%00.jpg",
        "/x/%2e%2e%3b/admin",
    ] {
        assert!(readings(hidden).contains("/admin"), "{hidden}: {:?}", readings(hidden));
    }
    for other in ["/administrators", "/ADMIN", "/x/admin", "/admin.", "/admin%20"] {
        assert!(!readings(other).contains("/admin"), "{other}");
    }
}
