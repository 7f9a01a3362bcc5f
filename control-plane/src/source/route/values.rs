//! What matches of all routes compare with: headers, values, regular expressions.

use regex::RegexBuilder;

use crate::model::{HeaderMatch, ValueMatch};
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::schema::http_route::{NameMatch, ValueKind};

/// Bound of the Gateway API: named matches of one kind in one match.
pub(crate) const MAX_NAMES: usize = 16;
const MAX_VALUE: usize = 4096;
/// Bound: characters of a regular expression.
const MAX_REGEX: usize = 1024;
/// Bound: bytes of a compiled regular expression, so that no route can fill the proxies' memory.
const MAX_REGEX_BYTES: usize = 256 * 1024;

/// `headers[]`: of several with one name the first counts.
pub(crate) fn headers(
    written: &[NameMatch],
    field: &str,
    problems: &mut Problems,
) -> Vec<HeaderMatch> {
    let mut headers: Vec<HeaderMatch> = Vec::new();
    names::at_most(written.len(), MAX_NAMES, field, problems);
    for (index, spec) in written.iter().enumerate().take(MAX_NAMES) {
        let field = format!("{field}[{index}]");
        let name = spec.name.to_ascii_lowercase();
        let value = named(spec, &field, problems);
        if headers.iter().any(|other| other.name == name) {
            problems.ignored(&field, format!("header {name} is matched twice; the first counts"));
        } else {
            headers.push(HeaderMatch { name, value });
        }
    }
    headers
}

/// The value of a named match, and whether its name is one.
pub(crate) fn named(spec: &NameMatch, field: &str, problems: &mut Problems) -> ValueMatch {
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
pub(crate) fn regex(pattern: &str, field: &str, problems: &mut Problems) {
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
