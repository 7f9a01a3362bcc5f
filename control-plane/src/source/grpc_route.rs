//! `GRPCRoute` to the model, one object at a time; what it shares with HTTPRoutes is `route`'s.
//!
//! The API has neither timeouts nor retries for it: the `TrafficPolicy` of the Service and the client's
//! `grpc-timeout` speak of those.

#[cfg(test)]
mod tests;

use crate::model::{PathMatch, Rewrite, RouteKind, RouteMatch, RouteRule, Timeouts, ValueMatch};

use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::route::filters::{self, Filters, Scope};
use super::route::values::{headers, regex};
use super::route::{self, RouteDraft, Written, WrittenRule, backends};
use super::schema::grpc_route::{GrpcRouteSpec, Match, MethodMatch, Rule};
use super::schema::http_route::ValueKind;

/// Bounds of the Gateway API.
const MAX_MATCHES: usize = 64;
const MAX_NAME: usize = 1024;

/// Reads one; `None` if it is meant for gateways only.
pub(crate) fn read(
    spec: GrpcRouteSpec,
    id: Identity,
    problems: &mut Problems,
) -> Option<RouteDraft> {
    let written = Written {
        kind: RouteKind::Grpc,
        parent_refs: spec.parent_refs,
        hostnames: spec.hostnames,
        rules: spec.rules,
        use_default_gateways: spec.use_default_gateways.is_some(),
    };
    route::read(written, id, one_rule, problems)
}

impl WrittenRule for Rule {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn matches(&self) -> usize {
        self.matches.len()
    }
}

fn one_rule(rule: Rule, index: usize, namespace: &str, problems: &mut Problems) -> RouteRule {
    let field = format!("spec.rules[{index}]");
    route::no_session(rule.session_persistence.as_ref(), &field, problems);
    let matches = matches(&rule.matches, &field, problems);
    let scope = Scope { route: RouteKind::Grpc, on_rule: true };
    let Filters { request_headers, response_headers, mirrors, .. } =
        filters::read(&rule.filters, scope, (&field, namespace), problems);
    RouteRule {
        name: rule.name.unwrap_or_else(|| index.to_string()),
        matches,
        request_headers,
        response_headers,
        redirect: None,
        rewrite: Rewrite::default(),
        mirrors,
        backends: backends::read(rule.backend_refs, RouteKind::Grpc, namespace, &field, problems),
        timeouts: Timeouts::default(),
        retry: None,
    }
}

/// None written is the one that matches every gRPC request.
fn matches(written: &[Match], rule: &str, problems: &mut Problems) -> Vec<RouteMatch> {
    let list = format!("{rule}.matches");
    names::at_most(written.len(), MAX_MATCHES, &list, problems);
    let everything = [Match::default()];
    let written = if written.is_empty() { &everything } else { written };
    let one = |(index, spec): (usize, &Match)| {
        let field = format!("{list}[{index}]");
        RouteMatch {
            path: method(spec.method.as_ref(), &format!("{field}.method"), problems),
            headers: headers(&spec.headers, &format!("{field}.headers"), problems),
            ..RouteMatch::default()
        }
    };
    written.iter().enumerate().take(MAX_MATCHES).map(one).collect()
}

fn method(spec: Option<&MethodMatch>, field: &str, problems: &mut Problems) -> PathMatch {
    let Some(spec) = spec else { return PathMatch::Rpc { service: None, method: None } };
    // The API takes an empty text for an absent one.
    let written = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    let (service, method) = (written(&spec.service), written(&spec.method));
    if service.is_none() && method.is_none() {
        problems.invalid_hint(field, "names neither service nor method", "write one or both");
    }
    let mut part = |text: Option<String>, name: &str, is_valid: fn(&str) -> bool| {
        let (text, field) = (text?, format!("{field}.{name}"));
        if text.len() > MAX_NAME {
            problems.invalid(&field, format!("longer than {MAX_NAME} characters"));
        }
        Some(match spec.kind {
            ValueKind::RegularExpression => {
                regex(&text, &field, problems);
                ValueMatch::Regex(text)
            }
            ValueKind::Exact => {
                if !is_valid(&text) {
                    problems.invalid(&field, format!("{text:?} is not the name of a {name}"));
                }
                ValueMatch::Exact(text)
            }
        })
    };
    PathMatch::Rpc {
        service: part(service, "service", is_service),
        method: part(method, "method", is_identifier),
    }
}

/// `pkg.Service`; the API allows a dot before it.
fn is_service(text: &str) -> bool {
    text.strip_prefix('.').unwrap_or(text).split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
