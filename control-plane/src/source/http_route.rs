//! `HTTPRoute` to the model, one object at a time: everything but the look-up of the Services it names,
//! which is `assemble`'s, because it changes with other objects.
//!
//! What the Gateway API allows and Weft cannot do refuses the whole route by name of the field. Applying the
//! rest would send traffic where the user did not ask for it.

mod backends;
mod filters;
mod matches;
#[cfg(test)]
mod tests;

use crate::finding::Code;
use crate::model::{Key, Origin, PathMatch, Route, RouteMatch, RouteRule, Timeouts};

use super::duration;
use super::metadata::{Identity, namespace_or_default};
use super::names;
use super::problem::Problems;
use super::schema::http_route::{HttpRouteSpec, ParentRef, Rule, Timeouts as TimeoutsSpec};

use filters::Filters;

/// A route whose parents and backends are still names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RouteDraft {
    /// Without parents; its [`Backend::Service`](crate::model::Backend) are names, not yet looked up.
    pub(crate) route: Route,
    /// The Services that it wants to be attached to.
    pub(crate) parents: Vec<Parent>,
}

/// One `parentRef` to a Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parent {
    /// Its place in `spec.parentRefs`.
    pub(crate) index: usize,
    pub(crate) service: Key,
    /// Both absent: all ports. Both present: they must mean the same port.
    pub(crate) port: Option<u16>,
    pub(crate) port_name: Option<String>,
}

/// Bounds of the Gateway API.
const MAX_PARENTS: usize = 32;
const MAX_HOSTNAMES: usize = 16;
const MAX_RULES: usize = 16;
const MAX_MATCHES: usize = 128;

/// Reads one; `None` if it is meant for gateways only.
pub(crate) fn read(
    spec: HttpRouteSpec,
    id: Identity,
    problems: &mut Problems,
) -> Option<RouteDraft> {
    if spec.use_default_gateways.is_some() {
        problems.ignored("spec.useDefaultGateways", "Weft has no gateways");
    }
    names::at_most(spec.parent_refs.len(), MAX_PARENTS, "spec.parentRefs", problems);
    let parents = parents(&spec.parent_refs, &id.key.namespace, problems);
    if parents.is_empty() && !problems.fatal() {
        problems.add(Code::KindIgnored, "spec.parentRefs", "no parent of the route is a Service");
        return None;
    }
    names::at_most(spec.hostnames.len(), MAX_HOSTNAMES, "spec.hostnames", problems);
    for (index, hostname) in spec.hostnames.iter().enumerate() {
        if !names::is_hostname(hostname, true) {
            problems.invalid_hint(
                format!("spec.hostnames[{index}]"),
                format!("{hostname:?} is not a host name"),
                "lower case, no port, no address; a wildcard is *. before at least one label",
            );
        }
    }
    let rules = rules(spec.rules.unwrap_or_else(|| vec![Rule::default()]), &id.key, problems);
    let route = Route {
        key: id.key,
        origin: Origin::default(),
        created: id.created,
        parents: Vec::new(),
        hostnames: spec.hostnames,
        rules,
    };
    Some(RouteDraft { route, parents })
}

fn parents(refs: &[ParentRef], own: &str, problems: &mut Problems) -> Vec<Parent> {
    let mut parents = Vec::new();
    for (index, parent) in refs.iter().enumerate().take(MAX_PARENTS) {
        let field = format!("spec.parentRefs[{index}]");
        let group = parent.group.as_deref().unwrap_or("gateway.networking.k8s.io");
        let kind = parent.kind.as_deref().unwrap_or("Gateway");
        if !matches!((group, kind), ("" | "core", "Service")) {
            if kind == "Service" {
                let hint = "write group: \"\" beside kind: Service";
                problems.invalid_hint(
                    field,
                    format!("there is no Service in group {group:?}"),
                    hint,
                );
            }
            // Other parents are other controllers' business; a route may have both.
            continue;
        }
        let namespace = namespace_or_default(parent.namespace.as_deref().or(Some(own)));
        if namespace != own {
            problems.unsupported(
                format!("{field}.namespace"),
                format!(
                    "a route in namespace {own} cannot be attached to a Service in {namespace}"
                ),
            );
        }
        let port_field = format!("{field}.port");
        parents.push(Parent {
            index,
            service: Key::new(namespace, &parent.name),
            port: parent.port.and_then(|port| names::port(port, &port_field, problems)),
            port_name: parent.section_name.clone(),
        });
    }
    parents
}

fn rules(written: Vec<Rule>, route: &Key, problems: &mut Problems) -> Vec<RouteRule> {
    names::at_most(written.len(), MAX_RULES, "spec.rules", problems);
    let matches = written.iter().map(|rule| rule.matches.len()).sum();
    names::at_most(matches, MAX_MATCHES, "spec.rules[].matches", problems);
    let mut rules: Vec<RouteRule> = Vec::new();
    for (index, rule) in written.into_iter().enumerate().take(MAX_RULES) {
        let field = format!("spec.rules[{index}]");
        if let Some(name) = &rule.name {
            if !names::is_subdomain(name) {
                problems.invalid(format!("{field}.name"), format!("{name:?} is not a name"));
            } else if rules.iter().any(|other| &other.name == name) {
                problems.invalid(format!("{field}.name"), format!("name {name} is written twice"));
            }
        }
        rules.push(one_rule(rule, index, &route.namespace, problems));
    }
    rules
}

fn one_rule(rule: Rule, index: usize, namespace: &str, problems: &mut Problems) -> RouteRule {
    let field = format!("spec.rules[{index}]");
    for (value, name) in [(&rule.retry, "retry"), (&rule.session_persistence, "sessionPersistence")]
    {
        if value.is_some() {
            problems.unsupported(format!("{field}.{name}"), format!("{name} is not supported"));
        }
    }
    let matches = matches::read(&rule.matches, &field, problems);
    let Filters { request_headers, response_headers, redirect } =
        filters::of_rule(&rule.filters, &field, problems);
    if redirect.as_ref().is_some_and(|redirect| redirect.prefix.is_some()) && !one_prefix(&matches)
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
    RouteRule {
        name: rule.name.unwrap_or_else(|| index.to_string()),
        matches,
        request_headers,
        response_headers,
        redirect,
        backends: backends::read(rule.backend_refs, namespace, &field, problems),
        timeouts: timeouts(&rule.timeouts, &format!("{field}.timeouts"), problems),
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
