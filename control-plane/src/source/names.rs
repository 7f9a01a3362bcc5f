//! Which names are names: the rules of Kubernetes, DNS and HTTP, each as one question.

#[cfg(test)]
mod tests;

use super::problem::Problems;

/// RFC 1123 label: lower-case letters, digits and `-`, at most 63, beginning and ending in a letter or digit.
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| inner(&byte) || byte == b'-')
        && text.as_bytes().first().is_some_and(inner)
        && text.as_bytes().last().is_some_and(inner)
}

/// RFC 1123 subdomain: labels joined by dots, at most 253.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A host name of the Gateway API: a subdomain that is no address, with `*.` before it if that is allowed.
pub(crate) fn is_hostname(text: &str, wildcard: bool) -> bool {
    let name = if wildcard { text.strip_prefix("*.").unwrap_or(text) } else { text };
    text.len() <= 253 && is_subdomain(name) && name.parse::<std::net::IpAddr>().is_err()
}

/// Name of a workload's port (IANA service name): a label of at most 15 with a letter in it.
pub(crate) fn is_port_name(text: &str) -> bool {
    is_label(text)
        && text.len() <= 15
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.contains("--")
}

/// RFC 9110 token of at most 256, as header and query parameter names are.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=256).contains(&text.len()) && text.bytes().all(allowed)
}

/// The Gateway API's rules for `Exact` and `PathPrefix`: what a normalised path cannot hold matches nothing.
pub(crate) fn path(value: &str, field: &str, problems: &mut Problems) {
    if !value.starts_with('/') {
        problems.invalid_hint(
            field,
            format!("{value:?} is not a path"),
            format!("begin it with a slash: /{value}"),
        );
        return;
    }
    let lower = value.to_ascii_lowercase();
    let inside = ["//", "/./", "/../", "%2f", "#"].into_iter().find(|bad| lower.contains(bad));
    if let Some(bad) = inside.or_else(|| ["/.", "/.."].into_iter().find(|bad| lower.ends_with(bad)))
    {
        problems
            .invalid(field, format!("{value:?} holds {bad:?}, which no path does that is matched"));
    } else if !value.bytes().all(is_path_byte) || !percent_encoded(value.as_bytes()) {
        problems.invalid_hint(
            field,
            format!("{value:?} holds a character that no path may have"),
            "write it percent-encoded",
        );
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@%".contains(&byte)
}

fn percent_encoded(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(index, _)| {
        let digits = bytes.get(index + 1..index + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// A port number of TCP.
pub(crate) fn port(number: i64, field: &str, problems: &mut Problems) -> Option<u16> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        problems.invalid(field, format!("{number} is not a port; ports are 1 to 65535"));
    }
    port
}

/// A whole number within bounds, both included.
pub(crate) fn within(
    number: i64,
    (low, high): (u32, u32),
    field: &str,
    problems: &mut Problems,
) -> Option<u32> {
    let value = u32::try_from(number).ok().filter(|value| (low..=high).contains(value));
    if value.is_none() {
        problems.invalid(field, format!("{number} is not within {low} to {high}"));
    }
    value
}

/// Notes a list that is longer than the Gateway API or Weft allows.
pub(crate) fn at_most(length: usize, bound: usize, field: &str, problems: &mut Problems) {
    if length > bound {
        problems.invalid(field, format!("has {length} entries, at most {bound} are allowed"));
    }
}
