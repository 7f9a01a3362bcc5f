//! Does one request match one rule? Called by `router::route` for each rule in turn, so the cheap tests
//! come first.

use http::header::{HOST, HeaderValue};

use super::RequestView;
use crate::model::{HeaderMatch, Matcher, PathMatch, QueryMatch, ValueMatch};
use crate::response::is_grpc;

pub(super) fn matches(matcher: &Matcher, request: &RequestView<'_>) -> bool {
    (!matcher.grpc || is_grpc(request.headers))
        && matcher.method.as_ref().is_none_or(|method| method == request.method)
        && path_matches(&matcher.path, request.path)
        && matcher.headers.iter().all(|header| header_matches(header, request))
        && matcher.query.iter().all(|query| query_matches(query, request.query))
}

fn path_matches(matcher: &PathMatch, path: &str) -> bool {
    match matcher {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => path == exact,
        PathMatch::Prefix(prefix) => path
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathMatch::Regex(regex) => regex.is_match(path),
    }
}

/// A header sent several times is one list (RFC 9110 §5.3). A value that is no text matches no pattern but
/// [`ValueMatch::Present`]: undecodable input must not widen a match.
fn header_matches(matcher: &HeaderMatch, request: &RequestView<'_>) -> bool {
    if let (true, Some(authority)) = (matcher.name == HOST, request.authority) {
        return value_matches(&matcher.value, authority);
    }
    let mut values = request.headers.get_all(&matcher.name).iter();
    let Some(first) = values.next() else { return false };
    if matches!(matcher.value, ValueMatch::Present) {
        return true;
    }
    match values.next() {
        None => first.to_str().is_ok_and(|value| value_matches(&matcher.value, value)),
        Some(second) => {
            let all: Result<Vec<_>, _> =
                [first, second].into_iter().chain(values).map(HeaderValue::to_str).collect();
            all.is_ok_and(|all| value_matches(&matcher.value, &all.join(",")))
        }
    }
}

fn query_matches(matcher: &QueryMatch, query: Option<&str>) -> bool {
    let first = query.unwrap_or_default().split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name) == matcher.name.as_str()).then(|| decode(value))
    });
    first.is_some_and(|value| value_matches(&matcher.value, &value))
}

fn value_matches(matcher: &ValueMatch, value: &str) -> bool {
    match matcher {
        ValueMatch::Exact(exact) => value == exact,
        ValueMatch::Regex(regex) => regex.is_match(value),
        ValueMatch::Present => true,
    }
}

/// `application/x-www-form-urlencoded` as servers read it: `+` is a space, `%41` is `A`. What is no valid
/// escape, or no UTF-8 once decoded, stays as written.
fn decode(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return text.into();
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = tail.first_chunk::<2>().and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            let hex = digits.iter().all(u8::is_ascii_hexdigit);
            hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        });
        match (byte, escape) {
            (b'%', Some(value)) => {
                decoded.push(value);
                rest = &tail[2..];
            }
            (b'+', _) => {
                decoded.push(b' ');
                rest = tail;
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).map_or(text.into(), Into::into)
}
