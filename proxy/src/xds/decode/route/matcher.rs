//! RouteMatch → [`Matcher`], and the one place that compiles regexes.

use std::mem::take;

use http::Method;
use http::header::HeaderName;
use regex::{Regex, RegexBuilder};
use weft_proto::envoy::matcher::string_matcher::MatchPattern;
use weft_proto::envoy::matcher::{RegexMatcher, StringMatcher};
use weft_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use weft_proto::envoy::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use weft_proto::envoy::route::route_match::PathSpecifier;
use weft_proto::envoy::route::{HeaderMatcher, QueryParameterMatcher, RouteMatch};

use super::super::reject::{At, Reject, nothing_else};
use super::Table;
use crate::model::{HeaderMatch, Matcher, PathMatch, QueryMatch, ValueMatch};

/// Bound: regexes of one table, and the memory that one may take compiled, and again while it runs.
const MAX_REGEXES: usize = 500;
const MAX_REGEX_BYTES: usize = 2 << 20;

/// Decodes what a request must have.
pub(super) fn matcher(mut m: RouteMatch, table: &mut Table) -> Result<Matcher, Reject> {
    let mut matcher = Matcher { grpc: m.grpc.take().is_some(), ..Matcher::default() };
    m.case_sensitive.take_if(|sensitive| sensitive.value);
    matcher.path = path(m.path_specifier.take(), table)?;
    for (index, header) in take(&mut m.headers).into_iter().enumerate() {
        header_match(header, &mut matcher, table).at(format_args!("headers[{index}]"))?;
    }
    for (index, query) in take(&mut m.query_parameters).into_iter().enumerate() {
        let query = query_match(query, table).at(format_args!("query_parameters[{index}]"))?;
        matcher.query.push(query);
    }
    nothing_else(&m)?;
    Ok(matcher)
}

fn path(specifier: Option<PathSpecifier>, table: &mut Table) -> Result<PathMatch, Reject> {
    match specifier {
        Some(PathSpecifier::Path(path)) => absolute("path", path).map(PathMatch::Exact),
        Some(PathSpecifier::Prefix(prefix)) if prefix == "/" => Ok(PathMatch::Any),
        Some(PathSpecifier::Prefix(prefix)) => {
            let reason =
                format!("{prefix:?}: use `path_separated_prefix`; only \"/\" is supported");
            Err(Reject::new("prefix", reason))
        }
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) if prefix.ends_with('/') => {
            Err(Reject::new("path_separated_prefix", format!("{prefix:?} ends with a slash")))
        }
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            absolute("path_separated_prefix", prefix).map(PathMatch::Prefix)
        }
        Some(PathSpecifier::SafeRegex(regex)) => {
            compile(regex, table).map(PathMatch::Regex).at("safe_regex")
        }
        Some(PathSpecifier::ConnectMatcher(_)) => {
            Err(Reject::new("connect_matcher", "not supported by weft-proxy"))
        }
        Some(PathSpecifier::PathMatchPolicy(_)) => {
            Err(Reject::new("path_match_policy", "not supported by weft-proxy"))
        }
        None => Err(Reject::new("path_specifier", "missing")),
    }
}

fn absolute(field: &str, path: String) -> Result<String, Reject> {
    if path.starts_with('/') && !path.contains(['?', '#']) {
        Ok(path)
    } else {
        Err(Reject::new(field, format!("{path:?} is not an absolute path without query")))
    }
}

fn header_match(
    mut header: HeaderMatcher,
    matcher: &mut Matcher,
    table: &mut Table,
) -> Result<(), Reject> {
    let name = take(&mut header.name);
    let value = match header.header_match_specifier.take() {
        Some(HeaderMatchSpecifier::StringMatch(string)) => {
            string_match(string, table).at("string_match")?
        }
        Some(HeaderMatchSpecifier::PresentMatch(true)) => ValueMatch::Present,
        _ => {
            let reason = "only `string_match` and `present_match: true` are supported";
            return Err(Reject::new("header_match_specifier", reason));
        }
    };
    nothing_else(&header)?;
    if name != ":method" {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| Reject::new("name", format!("{name:?} is not a header name")))?;
        matcher.headers.push(HeaderMatch { name, value });
        return Ok(());
    }
    let ValueMatch::Exact(method) = value else {
        return Err(Reject::new("string_match", "`:method` can only be matched by `exact`"));
    };
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| Reject::new("string_match.exact", format!("{method:?} is not a method")))?;
    if matcher.method.replace(method).is_some() {
        return Err(Reject::new("name", "`:method` occurs twice"));
    }
    Ok(())
}

fn query_match(mut query: QueryParameterMatcher, table: &mut Table) -> Result<QueryMatch, Reject> {
    let name = take(&mut query.name);
    if name.is_empty() {
        return Err(Reject::new("name", "missing"));
    }
    let value = match query.query_parameter_match_specifier.take() {
        Some(QueryParameterMatchSpecifier::StringMatch(string)) => {
            string_match(string, table).at("string_match")?
        }
        Some(QueryParameterMatchSpecifier::PresentMatch(true)) => ValueMatch::Present,
        Some(QueryParameterMatchSpecifier::PresentMatch(false)) | None => {
            let reason = "only `string_match` and `present_match: true` are supported";
            return Err(Reject::new("query_parameter_match_specifier", reason));
        }
    };
    nothing_else(&query)?;
    Ok(QueryMatch { name, value })
}

fn string_match(mut string: StringMatcher, table: &mut Table) -> Result<ValueMatch, Reject> {
    let value = match string.match_pattern.take() {
        Some(MatchPattern::Exact(exact)) => ValueMatch::Exact(exact),
        Some(MatchPattern::SafeRegex(regex)) => {
            ValueMatch::Regex(compile(regex, table).at("safe_regex")?)
        }
        _ => {
            let reason = "only `exact` and `safe_regex` are supported";
            return Err(Reject::new("match_pattern", reason));
        }
    };
    nothing_else(&string)?;
    Ok(value)
}

/// Compiles a regex so that it must match the whole value.
fn compile(matcher: RegexMatcher, table: &mut Table) -> Result<Regex, Reject> {
    // Order: alone first. `a)|(b` is an error of its own, and must not become one with the anchors.
    let part = compile_part(matcher, table)?;
    build(&format!("^(?:{})$", part.as_str()))
}

/// Compiles a regex that may match anywhere in the value.
pub(super) fn compile_part(mut matcher: RegexMatcher, table: &mut Table) -> Result<Regex, Reject> {
    let pattern = take(&mut matcher.regex);
    // The engine named here is RE2, whose syntax the regex crate shares; its limits are ours.
    matcher.engine_type = None;
    nothing_else(&matcher)?;
    table.regexes += 1;
    if table.regexes > MAX_REGEXES {
        let reason = format!("more than {MAX_REGEXES} regexes in one RouteConfiguration");
        return Err(Reject::new("regex", reason));
    }
    build(&pattern)
}

fn build(pattern: &str) -> Result<Regex, Reject> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|error| Reject::new("regex", one_line(&error.to_string())))
}

/// The last line of a syntax error holds the reason; those before draw the pattern.
fn one_line(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
