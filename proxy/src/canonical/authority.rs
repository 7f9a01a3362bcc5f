//! Is this a host, with a port or without, and nothing else? For `canonicalise`.

use std::net::Ipv6Addr;

/// Takes names, IPv4 and bracketed IPv6 addresses. Narrower than RFC 3986: no user, no escapes, and none of the
/// separators by which one reader could find a second host in it (`a,b`).
///
/// # Errors
/// With what is wrong.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let (is_host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, rest)) => (address.parse::<Ipv6Addr>().is_ok(), rest),
            None => (false, ""),
        },
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            // Between two dots is no name, and what is left without the last ones is another.
            let is_host = !host.is_empty() && host.bytes().all(is_of_name) && !host.contains("..");
            (is_host, port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    if is_host && is_port { Ok(()) } else { Err("malformed Host or authority") }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn hosts_and_nothing_else() {
        for good in ["a", "a.b-c_d:80", "127.0.0.1:8080", "[::1]", "[fe80::1]:80", "a.", "A:"] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for bad in [
            "", ":80", "a@b", "a,b", "a b", "a/b", "[::1", "[x]", "[::1]x", "a:b", "a:1:2", "%41",
            "a..", "a..b", "a:65536", "a:999999",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
