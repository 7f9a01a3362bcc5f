//! What HTTPRoutes and GRPCRoutes have in common: parents, host names, names and number of rules, filters, backends.
//!
//! Called by `http_route` and `grpc_route`, which read the matches and what else their kind has. Whether the
//! Services exist is the question of `assemble`, because it changes with other objects.

pub(super) mod backends;
pub(super) mod filters;
#[cfg(test)]
mod tests;
pub(super) mod values;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::finding::Code;
use crate::model::{Key, Origin, Route, RouteKind, RouteRule};

use super::metadata::{Identity, namespace_or_default};
use super::names;
use super::problem::Problems;
use super::schema::http_route::ParentRef;

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

/// What is written in a route of either kind.
#[derive(Debug)]
pub(super) struct Written<R> {
    pub(super) kind: RouteKind,
    pub(super) parent_refs: Vec<ParentRef>,
    pub(super) hostnames: Vec<String>,
    pub(super) rules: Vec<R>,
    /// Is it written?
    pub(super) use_default_gateways: bool,
}

/// What this module asks of a rule.
pub(super) trait WrittenRule {
    fn name(&self) -> Option<&str>;
    /// How many matches it has.
    fn matches(&self) -> usize;
}

/// Bounds of the Gateway API.
const MAX_PARENTS: usize = 32;
const MAX_HOSTNAMES: usize = 16;
const MAX_RULES: usize = 16;
const MAX_MATCHES: usize = 128;

/// Reads one; `None` if it is meant for gateways only. `one_rule` is given the rule, its index and the route's
/// namespace.
pub(super) fn read<R: WrittenRule>(
    written: Written<R>,
    id: Identity,
    mut one_rule: impl FnMut(R, usize, &str, &mut Problems) -> RouteRule,
    problems: &mut Problems,
) -> Option<RouteDraft> {
    if written.use_default_gateways {
        problems.ignored("spec.useDefaultGateways", "Weft has no gateways");
    }
    names::at_most(written.parent_refs.len(), MAX_PARENTS, "spec.parentRefs", problems);
    let parents = parents(&written.parent_refs, &id.key.namespace, problems);
    if parents.is_empty() && !problems.fatal() {
        problems.add(Code::KindIgnored, "spec.parentRefs", "no parent of the route is a Service");
        return None;
    }
    hostnames(&written.hostnames, problems);
    names_of(&written.rules, problems);
    let rules = written.rules.into_iter().enumerate().take(MAX_RULES);
    let namespace = id.key.namespace.as_str();
    let rules = rules.map(|(index, rule)| one_rule(rule, index, namespace, problems)).collect();
    let route = Route {
        kind: written.kind,
        origin: Origin::default(),
        created: id.created,
        parents: Vec::new(),
        hostnames: written.hostnames,
        rules,
        key: id.key,
    };
    Some(RouteDraft { route, parents })
}

/// Sessions are a matter of the Service here, whatever route leads to it.
pub(super) fn no_session(written: Option<&Value>, rule: &str, problems: &mut Problems) {
    if written.is_some() {
        let (field, message) = (format!("{rule}.sessionPersistence"), "not supported in a route");
        *problems.add(Code::UnsupportedValue, field, message) =
            Some("write sessionAffinity into a TrafficPolicy for the Service".to_owned());
    }
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
                let message = format!("there is no Service in group {group:?}");
                problems.invalid_hint(field, message, hint);
            }
            // Other parents are other controllers' business; a route may have both.
            continue;
        }
        let namespace = namespace_or_default(parent.namespace.as_deref().or(Some(own)));
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

fn hostnames(written: &[String], problems: &mut Problems) {
    names::at_most(written.len(), MAX_HOSTNAMES, "spec.hostnames", problems);
    for (index, hostname) in written.iter().enumerate() {
        if !names::is_hostname(hostname, true) {
            problems.invalid_hint(
                format!("spec.hostnames[{index}]"),
                format!("{hostname:?} is not a host name"),
                "lower case, no port, no address; a wildcard is *. before at least one label",
            );
        }
    }
}

/// Number and names of the rules.
fn names_of<R: WrittenRule>(rules: &[R], problems: &mut Problems) {
    names::at_most(rules.len(), MAX_RULES, "spec.rules", problems);
    let matches = rules.iter().map(WrittenRule::matches).sum();
    names::at_most(matches, MAX_MATCHES, "spec.rules[].matches", problems);
    let mut seen = BTreeSet::new();
    for (index, rule) in rules.iter().enumerate().take(MAX_RULES) {
        let Some(name) = rule.name() else { continue };
        let field = format!("spec.rules[{index}].name");
        if !names::is_subdomain(name) {
            problems.invalid(field, format!("{name:?} is not a name"));
        } else if !seen.insert(name) {
            problems.invalid(field, format!("name {name} is written twice"));
        }
    }
}
