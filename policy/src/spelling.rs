//! Paths that one reader takes for another path than the next reader does. Where a rule is about paths, who decides and
//! the application must not differ: such a request is refused, and such a rule would never apply. What only has more
//! spellings than one is compared in one of them.

use std::borrow::Cow;

/// What in this path is read in more ways than one; the path is canonical. What some applications take for a slack part
/// of a segment, for a separator, or for the end; what they decode twice; and what only some can decode at all.
#[must_use]
pub fn ambiguous(path: &str) -> Option<&'static str> {
    if path.contains(';') {
        return Some("`;`");
    }
    if !path.contains('%') {
        return None;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let value = if byte == b'%' { escaped(tail) } else { None };
        let Some(value) = value else {
            decoded.push(byte);
            rest = tail;
            continue;
        };
        rest = &tail[2..];
        match value {
            b'/' => return Some("`%2F`"),
            b'\\' => return Some("`%5C`"),
            b';' => return Some("`%3B`"),
            b'%' if escaped(rest).is_some() => return Some("an escape that is escaped itself"),
            0..b' ' | 0x7f => return Some("a control character"),
            _ => decoded.push(value),
        }
    }
    // Overlong forms of `/` and `.` among them.
    std::str::from_utf8(&decoded).is_err().then_some("escapes that are no UTF-8")
}

/// What a path may hold as it is, and most applications see no difference in its escape: `/@admin` is `/%40admin`.
const PLAIN: &[u8] = b"!$&'()*+,=:@[]";

/// The spelling by which rules compare a canonical path: what may stand in a path as it is does so, and the digits of the
/// escapes that are left are in upper case. What is forwarded keeps its own.
#[must_use]
pub fn spelled(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        let value = escaped(&escape.as_bytes()[1..]);
        let end = if value.is_some() { 3 } else { 1 };
        match value {
            Some(plain) if PLAIN.contains(&plain) => text.push(char::from(plain)),
            _ => text.extend(escape[..end].chars().map(|c| c.to_ascii_uppercase())),
        }
        rest = &escape[end..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The value of the two digits that this begins with.
fn escaped(digits: &[u8]) -> Option<u8> {
    let value = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(value(0)? << 4 | value(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{ambiguous, spelled};

    #[test]
    fn one_spelling() {
        for (path, one) in [
            ("/a@b", "/a@b"),
            ("/a%40b", "/a@b"),
            ("/%21%24%26%27%28%29%2a%2B%2c%3D%3a%5b%5D", "/!$&'()*+,=:[]"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%7cb%20", "/a%7Cb%20"),
            ("/a%2fb%3b", "/a%2Fb%3B"),
            ("/50%25", "/50%25"),
            ("/%2540", "/%2540"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%é%40", "/%é@"),
        ] {
            assert_eq!(spelled(path), one, "{path}");
            assert_eq!(spelled(one), one, "once is enough: {path}");
        }
    }

    #[test]
    fn what_has_two_readings() {
        for path in [
            "/a;x",
            "/a;/b",
            "/;",
            "/a%2fb",
            "/a%2F",
            "/a%5c",
            "/a%3bx",
            "/%2561",
            "/a/%252e%252e/b",
            "/a%25%36",
            "/a%00",
            "/a%0a",
            "/a%1F",
            "/a%7f",
            "/%c0%ae",
            "/%C0%AF",
            "/%e0%80%af",
            "/%f0%80%80%af",
            "/%e9",
            "/caf%c3",
        ] {
            // `%25%36` is no escape of an escape: canonical paths have undone `%36`.
            assert_eq!(ambiguous(path).is_some(), path != "/a%25%36", "{path}");
        }
        for path in [
            "/",
            "/a",
            "/a%20b",
            "/50%25",
            "/a%25zz",
            "/caf%c3%a9",
            "/%e6%97%a5",
            "/a%2",
            "/%",
            "/a%3f",
            "/é",
        ] {
            assert_eq!(ambiguous(path), None, "{path}");
        }
    }
}
