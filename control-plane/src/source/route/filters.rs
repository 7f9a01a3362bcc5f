//! `filters[]` of rules and backends, of HTTPRoutes and GRPCRoutes: header changes and redirects; everything else
//! refuses the route by name.

use http::{HeaderName, HeaderValue};

use crate::model::{HeaderChange, HeaderFilter, Redirect, RouteKind};
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::schema::http_route::{
    Filter, Header, HeaderModifier, PathModifier, PathModifierKind, RequestRedirect,
};

/// Bounds of the Gateway API.
const MAX_FILTERS: usize = 16;
const MAX_HEADERS: usize = 16;

const REDIRECT_STATUS: [i64; 5] = [301, 302, 303, 307, 308];

/// Headers that belong to one connection or to the message's framing; changing them breaks the exchange.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Filters that the API has for HTTPRoutes only.
const HTTP_ONLY: [&str; 4] = ["RequestRedirect", "URLRewrite", "CORS", "ExternalAuth"];

/// Whose filters they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) route: RouteKind,
    /// Of a rule, or else of one of its backends, which cannot redirect.
    pub(crate) on_rule: bool,
}

/// What the filters of a rule or of a backend say together.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub(crate) request_headers: HeaderFilter,
    pub(crate) response_headers: HeaderFilter,
    pub(crate) redirect: Option<Redirect>,
}

/// Reads the filters of one rule or backend.
pub(crate) fn read(
    written: &[Filter],
    scope: Scope,
    owner: &str,
    problems: &mut Problems,
) -> Filters {
    let mut filters = Filters::default();
    let list = format!("{owner}.filters");
    names::at_most(written.len(), MAX_FILTERS, &list, problems);
    for (index, filter) in written.iter().enumerate().take(MAX_FILTERS) {
        let field = format!("{list}[{index}]");
        if written[..index].iter().any(|other| other.kind == filter.kind) {
            problems.invalid(&field, format!("a second filter of type {}", filter.kind));
        }
        let only_http = scope.route == RouteKind::Grpc && HTTP_ONLY.contains(&filter.kind.as_str());
        match (filter.kind.as_str(), filter) {
            (kind, _) if only_http => {
                problems
                    .invalid(format!("{field}.type"), format!("a GRPCRoute has no filter {kind}"));
            }
            ("RequestHeaderModifier", Filter { request_header_modifier: Some(spec), .. }) => {
                let field = format!("{field}.requestHeaderModifier");
                filters.request_headers = headers(spec, &field, problems);
            }
            ("ResponseHeaderModifier", Filter { response_header_modifier: Some(spec), .. }) => {
                let field = format!("{field}.responseHeaderModifier");
                filters.response_headers = headers(spec, &field, problems);
            }
            ("RequestRedirect", Filter { request_redirect: Some(spec), .. }) if scope.on_rule => {
                let field = format!("{field}.requestRedirect");
                filters.redirect = Some(redirect(spec, &field, problems));
            }
            (kind, _) => refuse(kind, scope.on_rule, &field, problems),
        }
    }
    filters
}

fn refuse(kind: &str, on_rule: bool, field: &str, problems: &mut Problems) {
    let kind_field = format!("{field}.type");
    match kind {
        "RequestRedirect" if !on_rule => {
            problems.unsupported(kind_field, "a backend cannot redirect; use a filter of the rule");
        }
        "RequestHeaderModifier" | "ResponseHeaderModifier" | "RequestRedirect" => {
            problems.invalid(field, format!("the filter is of type {kind} and lacks that field"));
        }
        "URLRewrite" | "RequestMirror" | "CORS" | "ExternalAuth" | "ExtensionRef" => {
            problems.unsupported(kind_field, format!("the filter {kind} is not supported"));
        }
        _ => problems.invalid_hint(
            kind_field,
            format!("there is no filter {kind:?}"),
            "one of RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect",
        ),
    }
}

fn headers(spec: &HeaderModifier, field: &str, problems: &mut Problems) -> HeaderFilter {
    let mut seen = Vec::new();
    let set = changes(&spec.set, &mut seen, &format!("{field}.set"), problems);
    let add = changes(&spec.add, &mut seen, &format!("{field}.add"), problems);
    names::at_most(spec.remove.len(), MAX_HEADERS, &format!("{field}.remove"), problems);
    let mut remove = Vec::new();
    for (index, name) in spec.remove.iter().enumerate().take(MAX_HEADERS) {
        let field = format!("{field}.remove[{index}]");
        if let Some(name) = header_name(name, &mut seen, &field, problems) {
            remove.push(name);
        }
    }
    HeaderFilter { set, add, remove }
}

fn changes(
    written: &[Header],
    seen: &mut Vec<String>,
    field: &str,
    problems: &mut Problems,
) -> Vec<HeaderChange> {
    names::at_most(written.len(), MAX_HEADERS, field, problems);
    let mut changes = Vec::new();
    for (index, header) in written.iter().enumerate().take(MAX_HEADERS) {
        let field = format!("{field}[{index}]");
        if HeaderValue::from_str(&header.value).is_err() {
            problems.invalid(format!("{field}.value"), "not a header value: control characters");
        }
        if let Some(name) = header_name(&header.name, seen, &format!("{field}.name"), problems) {
            changes.push(HeaderChange { name, value: header.value.clone() });
        }
    }
    changes
}

/// The name in lower case; `None` for one that was seen before, of which the first counts.
fn header_name(
    name: &str,
    seen: &mut Vec<String>,
    field: &str,
    problems: &mut Problems,
) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !names::is_token(name) || HeaderName::from_bytes(name.as_bytes()).is_err() {
        problems.invalid(field, format!("{name:?} is not a header name"));
    } else if FRAMING.contains(&lower.as_str()) {
        problems.invalid(field, format!("{lower} belongs to the connection and cannot be changed"));
    } else if lower == "host" {
        problems.invalid(field, "host decides where a request goes and cannot be changed here");
    } else if seen.contains(&lower) {
        problems.ignored(field, format!("header {lower} is changed twice; the first counts"));
        return None;
    }
    seen.push(lower.clone());
    Some(lower)
}

fn redirect(spec: &RequestRedirect, field: &str, problems: &mut Problems) -> Redirect {
    if let Some(scheme) = spec.scheme.as_deref().filter(|text| !matches!(*text, "http" | "https")) {
        let hint = "http or https";
        problems.invalid_hint(format!("{field}.scheme"), format!("{scheme:?} is no scheme"), hint);
    }
    if let Some(hostname) = spec.hostname.as_deref().filter(|text| !names::is_hostname(text, false))
    {
        problems.invalid(format!("{field}.hostname"), format!("{hostname:?} is not a host name"));
    }
    let written = spec.status_code.unwrap_or(302);
    if !REDIRECT_STATUS.contains(&written) {
        problems.invalid_hint(
            format!("{field}.statusCode"),
            format!("{written} is not the status of a redirect"),
            "one of 301, 302, 303, 307, 308",
        );
    }
    let (full_path, prefix) = path(spec.path.as_ref(), &format!("{field}.path"), problems);
    Redirect {
        scheme: spec.scheme.clone(),
        hostname: spec.hostname.clone(),
        port: spec.port.and_then(|port| names::port(port, &format!("{field}.port"), problems)),
        full_path,
        prefix,
        status: u16::try_from(written).unwrap_or(302),
    }
}

fn path(
    spec: Option<&PathModifier>,
    field: &str,
    problems: &mut Problems,
) -> (Option<String>, Option<String>) {
    let Some(spec) = spec else { return (None, None) };
    let (value, other, name) = match spec.kind {
        PathModifierKind::ReplaceFullPath => {
            (&spec.replace_full_path, &spec.replace_prefix_match, "replaceFullPath")
        }
        PathModifierKind::ReplacePrefixMatch => {
            (&spec.replace_prefix_match, &spec.replace_full_path, "replacePrefixMatch")
        }
    };
    if value.is_none() || other.is_some() {
        problems.invalid(field, format!("must have {name} and nothing else beside its type"));
    }
    let usable = |path: &str| {
        let well_formed = || path.parse::<http::uri::PathAndQuery>().is_ok();
        path.is_empty()
            || path.len() <= 1024
                && path.starts_with('/')
                && !path.contains(['?', '#'])
                && well_formed()
    };
    if let Some(path) = value.as_deref().filter(|path| !usable(path)) {
        problems.invalid(format!("{field}.{name}"), format!("{path:?} is not a path"));
    }
    match spec.kind {
        PathModifierKind::ReplaceFullPath => (value.clone(), None),
        PathModifierKind::ReplacePrefixMatch => (None, value.clone()),
    }
}
