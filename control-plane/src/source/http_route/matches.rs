//! `rules[].matches[]`: paths, methods, headers, query parameters.

use regex::RegexBuilder;

use crate::model::{HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch};
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::schema::http_route::{
    Match, NameMatch, PathKind, PathMatch as PathSpec, ValueKind,
};

/// Bounds of the Gateway API.
const MAX_MATCHES: usize = 64;
const MAX_NAMES: usize = 16;
const MAX_PATH: usize = 1024;
const MAX_VALUE: usize = 4096;
/// Bound: characters of a regular expression.
const MAX_REGEX: usize = 1024;
/// Bound: bytes of a compiled regular expression, so that no route can fill the proxies' memory.
const MAX_REGEX_BYTES: usize = 256 * 1024;

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Reads all matches of a rule; none written is the one that matches everything.
pub(super) fn read(written: &[Match], rule: &str, problems: &mut Problems) -> Vec<RouteMatch> {
    let list = format!("{rule}.matches");
    names::at_most(written.len(), MAX_MATCHES, &list, problems);
    if written.is_empty() {
        return vec![RouteMatch::default()];
    }
    let one = |(index, spec): (usize, &Match)| {
        let field = format!("{list}[{index}]");
        RouteMatch {
            path: path(spec.path.as_ref(), &format!("{field}.path"), problems),
            method: method(spec.method.as_deref(), &format!("{field}.method"), problems),
            headers: headers(&spec.headers, &format!("{field}.headers"), problems),
            query: query(&spec.query_params, &format!("{field}.queryParams"), problems),
        }
    };
    written.iter().enumerate().take(MAX_MATCHES).map(one).collect()
}

fn path(spec: Option<&PathSpec>, field: &str, problems: &mut Problems) -> PathMatch {
    let Some(spec) = spec else { return PathMatch::default() };
    let value = spec.value.as_deref().unwrap_or("/");
    let value_field = format!("{field}.value");
    if value.len() > MAX_PATH {
        problems.invalid(&value_field, format!("longer than {MAX_PATH} characters"));
    }
    match spec.kind {
        PathKind::RegularExpression => {
            regex(value, &value_field, problems);
            PathMatch::Regex(value.to_owned())
        }
        PathKind::Exact => {
            plain_path(value, &value_field, problems);
            PathMatch::Exact(value.to_owned())
        }
        PathKind::PathPrefix => {
            plain_path(value, &value_field, problems);
            // Prefixes match whole elements, so a slash at the end says nothing.
            let trimmed = value.trim_end_matches('/');
            PathMatch::Prefix(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
        }
    }
}

/// The Gateway API's rules for `Exact` and `PathPrefix`: what a normalised path cannot hold matches nothing.
fn plain_path(value: &str, field: &str, problems: &mut Problems) {
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

fn method(text: Option<&str>, field: &str, problems: &mut Problems) -> Option<String> {
    let text = text?;
    if !METHODS.contains(&text) {
        let hint = format!("one of {}", METHODS.join(", "));
        problems.invalid_hint(field, format!("{text:?} is not a method"), hint);
    }
    Some(text.to_owned())
}

fn headers(written: &[NameMatch], field: &str, problems: &mut Problems) -> Vec<HeaderMatch> {
    let mut headers: Vec<HeaderMatch> = Vec::new();
    names::at_most(written.len(), MAX_NAMES, field, problems);
    for (index, spec) in written.iter().enumerate().take(MAX_NAMES) {
        let field = format!("{field}[{index}]");
        let name = spec.name.to_ascii_lowercase();
        let value = value(spec, &field, problems);
        if headers.iter().any(|other| other.name == name) {
            problems.ignored(&field, format!("header {name} is matched twice; the first counts"));
        } else {
            headers.push(HeaderMatch { name, value });
        }
    }
    headers
}

fn query(written: &[NameMatch], field: &str, problems: &mut Problems) -> Vec<QueryMatch> {
    let mut query: Vec<QueryMatch> = Vec::new();
    names::at_most(written.len(), MAX_NAMES, field, problems);
    for (index, spec) in written.iter().enumerate().take(MAX_NAMES) {
        let field = format!("{field}[{index}]");
        let value = value(spec, &field, problems);
        if query.iter().any(|other| other.name == spec.name) {
            let message = format!("parameter {} is matched twice; the first counts", spec.name);
            problems.ignored(&field, message);
        } else {
            query.push(QueryMatch { name: spec.name.clone(), value });
        }
    }
    query
}

fn value(spec: &NameMatch, field: &str, problems: &mut Problems) -> ValueMatch {
    if !names::is_token(&spec.name) {
        problems.invalid(format!("{field}.name"), format!("{:?} is not a name", spec.name));
    }
    let value_field = format!("{field}.value");
    if !(1..=MAX_VALUE).contains(&spec.value.len()) {
        problems.invalid(&value_field, format!("must have 1 to {MAX_VALUE} characters"));
    }
    match spec.kind {
        ValueKind::Exact => ValueMatch::Exact(spec.value.clone()),
        ValueKind::RegularExpression => {
            regex(&spec.value, &value_field, problems);
            ValueMatch::Regex(spec.value.clone())
        }
    }
}

/// Compiles it as the proxies will, and tells what is wrong with it.
fn regex(pattern: &str, field: &str, problems: &mut Problems) {
    if pattern.chars().count() > MAX_REGEX {
        problems.invalid(field, format!("a regular expression longer than {MAX_REGEX} characters"));
        return;
    }
    let anchored = format!("^(?:{pattern})$");
    let compiled = RegexBuilder::new(&anchored).size_limit(MAX_REGEX_BYTES).build();
    // The pattern alone as well, for `a)(b` only compiles inside the brackets.
    let alone =
        compiled.and_then(|_| RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build());
    if let Err(error) = alone {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let hint = "RE2 syntax: no look-around, no back-references";
        problems.invalid_hint(
            field,
            format!("{pattern:?} is no regular expression: {reason}"),
            hint,
        );
    }
}
