//! Which rule is asked first: the precedence of the Gateway API, as an order of (host, rule, match).
//!
//! Envoy picks one virtual host by the most specific domain and then the first route that matches. The
//! Gateway API lets a request that no rule of the most specific host matches fall to less specific hosts.
//! So a virtual host carries, behind its own rules, those of every less specific host that covers it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{PathMatch, Route, RouteMatch, RouteRule, ValueMatch};

/// One match of one rule of one route.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The route.
    pub(crate) route: &'a Route,
    /// The rule.
    pub(crate) rule: &'a RouteRule,
    /// One of its matches.
    pub(crate) matched: &'a RouteMatch,
}

/// The domain that stands for every host.
pub(super) const ANY_HOST: &str = "*";

/// Domains with what is asked for them, in order. `routes` are oldest first, then by key.
pub(crate) fn by_domain<'a>(routes: &[&'a Route]) -> BTreeMap<String, Vec<Candidate<'a>>> {
    let mut own: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, route) in routes.iter().enumerate() {
        for host in hosts(route) {
            own.entry(host).or_default().insert(index);
        }
    }
    let all = own.keys().map(|&domain| {
        let mut seen = BTreeSet::new();
        let mut candidates = Vec::new();
        for pattern in patterns(domain) {
            // A route that names several covering hosts counts once, where it is most specific.
            let routes_of = own.get(pattern.as_str()).into_iter().flatten();
            let new: Vec<_> = routes_of.copied().filter(|index| seen.insert(*index)).collect();
            candidates.extend(in_order(&new, routes));
        }
        (domain.to_owned(), candidates)
    });
    all.collect()
}

fn hosts(route: &Route) -> Vec<&str> {
    if route.hostnames.is_empty() {
        return vec![ANY_HOST];
    }
    route.hostnames.iter().map(String::as_str).collect()
}

/// The domain itself and every pattern that covers it, most specific first:
/// `a.b.c`, `*.b.c`, `*.c`, `*`.
fn patterns(domain: &str) -> Vec<String> {
    let mut patterns = vec![domain.to_owned()];
    let mut rest = domain.strip_prefix("*.").unwrap_or(domain);
    while let Some((_, parent)) = rest.split_once('.') {
        patterns.push(format!("*.{parent}"));
        rest = parent;
    }
    if domain != ANY_HOST {
        patterns.push(ANY_HOST.to_owned());
    }
    patterns
}

/// Order: for HTTPRoutes exact path, regex, longer prefix, then a method; for GRPCRoutes the longer service, then
/// the longer method; for both then more headers, more query parameters, the older route, its key, and what was
/// written first. Routes of different kinds never meet here.
fn in_order<'a>(indexes: &[usize], routes: &[&'a Route]) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for &index in indexes {
        let route = routes[index];
        for (rule_index, rule) in route.rules.iter().enumerate() {
            for (match_index, matched) in rule.matches.iter().enumerate() {
                let written = (index, rule_index, match_index);
                candidates.push((written, Candidate { route, rule, matched }));
            }
        }
    }
    candidates.sort_by_key(|(written, candidate)| (specificity(candidate.matched), *written));
    candidates.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Kind of comparison, then length; the smaller is asked first.
type Rank = (u8, Reverse<usize>);

fn specificity(of: &RouteMatch) -> (Rank, Rank, Reverse<usize>, Reverse<usize>) {
    let length = |text: &str| Reverse(text.chars().count());
    let (path, method) = match &of.path {
        PathMatch::Exact(_) => ((0, Reverse(0)), method(of)),
        PathMatch::Regex(_) => ((1, Reverse(0)), method(of)),
        PathMatch::Prefix(prefix) => ((2, length(prefix)), method(of)),
        PathMatch::Rpc { service, method } => (part(service.as_ref()), part(method.as_ref())),
    };
    (path, method, Reverse(of.headers.len()), Reverse(of.query.len()))
}

fn method(of: &RouteMatch) -> Rank {
    (u8::from(of.method.is_none()), Reverse(0))
}

/// The API counts characters of a matching name. Those of a regular expression are not the name's, so it stands
/// behind every exact name; that is the implementation's to say.
fn part(of: Option<&ValueMatch>) -> Rank {
    match of {
        Some(ValueMatch::Exact(name)) => (0, Reverse(name.chars().count())),
        Some(ValueMatch::Regex(regex)) => (1, Reverse(regex.chars().count())),
        None => (2, Reverse(0)),
    }
}

#[cfg(test)]
mod tests;
