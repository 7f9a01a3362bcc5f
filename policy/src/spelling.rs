//! Paths that one reader takes for another path than the next reader does. Where a rule is about paths, who decides and
//! the application must not differ: such a request is refused, and such a rule would never apply.

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

/// The value of the two digits that this begins with.
fn escaped(digits: &[u8]) -> Option<u8> {
    let value = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(value(0)? << 4 | value(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::ambiguous;

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
