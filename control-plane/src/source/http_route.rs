//! `HTTPRoute` to the model, one object at a time: everything but the look-up of the Services it names,
//! which is `assemble`'s, because it changes with other objects.
//!
//! What the Gateway API allows and Weft cannot do refuses the whole route by name of the field. Applying the
//! rest would send traffic where the user did not ask for it.

mod matches;
#[cfg(test)]
mod tests;

use crate::model::{
    PathMatch, PathModifier, Rewrite, RouteKind, RouteMatch, RouteRule, RuleRetry, Timeouts,
};

use super::duration;
use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::route::filters::{self, Filters, Scope};
use super::route::{self, RouteDraft, Written, WrittenRule, backends};
use super::schema::http_route::{
    HttpRouteSpec, Retry as RetrySpec, Rule, Timeouts as TimeoutsSpec,
};

/// Bounds of Weft on `retry`.
const MAX_CODES: usize = 16;
const MAX_ATTEMPTS: u32 = 10;

/// Reads one; `None` if it is meant for gateways only.
pub(crate) fn read(
    spec: HttpRouteSpec,
    id: Identity,
    problems: &mut Problems,
) -> Option<RouteDraft> {
    let written = Written {
        kind: RouteKind::Http,
        parent_refs: spec.parent_refs,
        hostnames: spec.hostnames,
        rules: spec.rules.unwrap_or_else(|| vec![Rule::default()]),
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
    let matches = matches::read(&rule.matches, &field, problems);
    let scope = Scope { route: RouteKind::Http, on_rule: true };
    let Filters { request_headers, response_headers, redirect, rewrite, mirrors } =
        filters::read(&rule.filters, scope, (&field, namespace), problems);
    let paths =
        [redirect.as_ref().and_then(|redirect| redirect.path.as_ref()), rewrite.path.as_ref()];
    if paths.iter().any(|path| matches!(path, Some(PathModifier::Prefix(_))))
        && !one_prefix(&matches)
    {
        problems.invalid(
            format!("{field}.filters"),
            "replacePrefixMatch needs exactly one match, of a PathPrefix",
        );
    }
    if redirect.is_some() && !rule.backend_refs.is_empty() {
        problems.invalid_hint(
            format!("{field}.backendRefs"),
            "a rule that redirects has no backends",
            "remove backendRefs or the RequestRedirect filter",
        );
    }
    if redirect.is_some() && rewrite != Rewrite::default() {
        problems.invalid(format!("{field}.filters"), "a rule redirects or rewrites, not both");
    }
    if redirect.is_some() && !mirrors.is_empty() {
        problems.ignored(format!("{field}.filters"), "a rule that redirects mirrors nothing");
    }
    RouteRule {
        name: rule.name.unwrap_or_else(|| index.to_string()),
        matches,
        request_headers,
        response_headers,
        redirect,
        rewrite,
        mirrors,
        backends: backends::read(rule.backend_refs, RouteKind::Http, namespace, &field, problems),
        timeouts: timeouts(&rule.timeouts, &format!("{field}.timeouts"), problems),
        retry: rule.retry.map(|spec| retry(&spec, &format!("{field}.retry"), problems)),
    }
}

fn retry(spec: &RetrySpec, field: &str, problems: &mut Problems) -> RuleRetry {
    let list = format!("{field}.codes");
    names::at_most(spec.codes.len(), MAX_CODES, &list, problems);
    let mut codes = Vec::new();
    for (index, code) in spec.codes.iter().enumerate().take(MAX_CODES) {
        let at = format!("{list}[{index}]");
        if let Some(code) = names::within(*code, (400, 599), &at, problems)
            && let Ok(code) = u16::try_from(code)
            && !codes.contains(&code)
        {
            codes.push(code);
        }
    }
    let attempts = format!("{field}.attempts");
    RuleRetry {
        codes,
        attempts: spec
            .attempts
            .and_then(|number| names::within(number, (0, MAX_ATTEMPTS), &attempts, problems)),
        backoff: duration::optional(spec.backoff.as_deref(), &format!("{field}.backoff"), problems),
    }
}

fn one_prefix(matches: &[RouteMatch]) -> bool {
    matches!(matches, [RouteMatch { path: PathMatch::Prefix(_), .. }])
}

fn timeouts(spec: &TimeoutsSpec, field: &str, problems: &mut Problems) -> Timeouts {
    let request =
        duration::optional(spec.request.as_deref(), &format!("{field}.request"), problems);
    let backend_field = format!("{field}.backendRequest");
    let backend_request =
        duration::optional(spec.backend_request.as_deref(), &backend_field, problems);
    if let (Some(request), Some(backend)) = (request, backend_request)
        && !request.is_zero()
        && backend > request
    {
        problems.invalid(backend_field, "must not be longer than timeouts.request");
    }
    Timeouts { request, backend_request }
}
