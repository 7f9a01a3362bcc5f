//! `rules[].matches[]`: paths, methods, headers, query parameters.

use crate::model::{PathMatch, QueryMatch, RouteMatch};
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::route::values::{MAX_NAMES, headers, named, regex};
use crate::source::schema::http_route::{Match, NameMatch, PathKind, PathMatch as PathSpec};

/// Bounds of the Gateway API.
const MAX_MATCHES: usize = 64;
const MAX_PATH: usize = 1024;

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
            names::path(value, &value_field, problems);
            PathMatch::Exact(value.to_owned())
        }
        PathKind::PathPrefix => {
            names::path(value, &value_field, problems);
            // Prefixes match whole elements, so a slash at the end says nothing.
            let trimmed = value.trim_end_matches('/');
            PathMatch::Prefix(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
        }
    }
}

fn method(text: Option<&str>, field: &str, problems: &mut Problems) -> Option<String> {
    let text = text?;
    if !METHODS.contains(&text) {
        let hint = format!("one of {}", METHODS.join(", "));
        problems.invalid_hint(field, format!("{text:?} is not a method"), hint);
    } else if text == "CONNECT" {
        problems.ignored(field, "sidecars refuse CONNECT, so that nothing matches this");
    }
    Some(text.to_owned())
}

fn query(written: &[NameMatch], field: &str, problems: &mut Problems) -> Vec<QueryMatch> {
    let mut query: Vec<QueryMatch> = Vec::new();
    names::at_most(written.len(), MAX_NAMES, field, problems);
    for (index, spec) in written.iter().enumerate().take(MAX_NAMES) {
        let field = format!("{field}[{index}]");
        let value = named(spec, &field, problems);
        if query.iter().any(|other| other.name == spec.name) {
            let message = format!("parameter {} is matched twice; the first counts", spec.name);
            problems.ignored(&field, message);
        } else {
            query.push(QueryMatch { name: spec.name.clone(), value });
        }
    }
    query
}
