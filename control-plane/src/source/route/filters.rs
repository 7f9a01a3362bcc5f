//! `filters[]` of rules and backends, of HTTPRoutes and GRPCRoutes: header changes, redirects, rewrites, mirrors;
//! everything else refuses the route by name. What becomes of URLs is in [`url`].

mod mirror;
mod url;

use http::{HeaderName, HeaderValue};

use crate::model::{HeaderChange, HeaderFilter, Mirror, Redirect, Rewrite, RouteKind};
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::schema::http_route::{Filter, Header, HeaderModifier};

use super::backends;

/// Bounds of the Gateway API.
const MAX_FILTERS: usize = 16;
const MAX_HEADERS: usize = 16;

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
    pub(crate) rewrite: Rewrite,
    pub(crate) mirrors: Vec<Mirror>,
}

/// Reads the filters of one rule or backend.
pub(crate) fn read(
    written: &[Filter],
    scope: Scope,
    (owner, namespace): (&str, &str),
    problems: &mut Problems,
) -> Filters {
    let mut filters = Filters::default();
    let list = format!("{owner}.filters");
    names::at_most(written.len(), MAX_FILTERS, &list, problems);
    for (index, filter) in written.iter().enumerate().take(MAX_FILTERS) {
        let field = format!("{list}[{index}]");
        let again = written[..index].iter().any(|other| other.kind == filter.kind);
        if again && filter.kind != "RequestMirror" {
            problems.invalid(&field, format!("a second filter of type {}", filter.kind));
        }
        // The field of a type is called like it but for the case.
        for other in filter.set().filter(|name| !name.eq_ignore_ascii_case(&filter.kind)) {
            let message = format!("the filter is of type {} and cannot have this", filter.kind);
            problems.invalid(format!("{field}.{other}"), message);
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
                filters.redirect = Some(url::redirect(spec, &field, problems));
            }
            ("URLRewrite", Filter { url_rewrite: Some(spec), .. }) => {
                let field = format!("{field}.urlRewrite");
                filters.rewrite = url::rewrite(spec, &field, problems);
                if !scope.on_rule && spec.path.is_some() {
                    let text = "a path can be rewritten for the whole rule only";
                    problems.unsupported(format!("{field}.path"), text);
                }
            }
            ("RequestMirror", Filter { request_mirror: Some(spec), .. }) if scope.on_rule => {
                let at = format!("{field}.requestMirror");
                let backend = mirror::backend(&spec.backend_ref);
                let backend_field = format!("{at}.backendRef");
                filters.mirrors.push(Mirror {
                    filter: index,
                    backend: backends::backend(&backend, namespace, &backend_field, problems),
                    millionths: mirror::share(spec, &at, problems),
                });
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
        "RequestMirror" if !on_rule => {
            problems.unsupported(kind_field, "a backend cannot mirror; use a filter of the rule");
        }
        "RequestHeaderModifier" | "ResponseHeaderModifier" | "RequestRedirect" | "URLRewrite"
        | "RequestMirror" => {
            problems.invalid(field, format!("the filter is of type {kind} and lacks that field"));
        }
        "CORS" | "ExternalAuth" | "ExtensionRef" => {
            problems.unsupported(kind_field, format!("the filter {kind} is not supported"));
        }
        _ => problems.invalid_hint(
            kind_field,
            format!("there is no filter {kind:?}"),
            "one of RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect, URLRewrite, RequestMirror",
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

/// Reads headers to write; `seen` are the names that were changed before.
pub(crate) fn changes(
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
