//! Which rule of the model a request meets, as far as method, path and host say. Pure. The order is that of the routes that
//! sidecars get (`translate::precedence`); headers and query are not known here, and a rule that asks for them may or may not be
//! the one.

use std::collections::BTreeSet;

use regex::Regex;
use serde::Serialize;

use crate::model::{
    Backend, Key, Mesh, PathMatch, Route, RouteKind, RouteMatch, RouteRule, ValueMatch,
};
use crate::translate::{Candidate, by_domain};

/// What the model says of the way of one request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RouteFacts {
    /// `HTTPRoute/shop/payment#charge`; null where there are no routes, or none matches.
    pub(crate) object: Option<String>,
    /// What of a request it goes by: `POST /charge/*`.
    pub(crate) matches: String,
    /// Whether it is the one depends on headers or query.
    pub(crate) depends: bool,
    /// Every route on this port that counts for this caller.
    pub(crate) attached: Vec<String>,
    /// Milliseconds, and who says so.
    pub(crate) request_timeout_ms: Option<u64>,
    pub(crate) try_timeout_ms: Option<u64>,
    pub(crate) try_timeout_by: Option<String>,
    pub(crate) retries: u32,
    pub(crate) retries_by: Option<String>,
    pub(crate) redirects: bool,
}

/// One rule that was found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) route: &'a Route,
    pub(super) rule: &'a RouteRule,
    pub(super) matched: &'a RouteMatch,
    pub(super) depends: bool,
}

impl Found<'_> {
    /// As everything else names it.
    pub(super) fn object(&self) -> String {
        object(self.route, self.rule)
    }

    /// In words.
    pub(super) fn matches(&self) -> String {
        let path = match &self.matched.path {
            PathMatch::Exact(path) => path.clone(),
            PathMatch::Prefix(path) if path == "/" => "/*".to_owned(),
            PathMatch::Prefix(path) => format!("{path}/*"),
            PathMatch::Regex(regex) => format!("~{regex}"),
            PathMatch::Rpc { service, method } => format!("/{}/{}", name(service), name(method)),
        };
        let method = self.matched.method.as_deref().unwrap_or("any method");
        let more = self.matched.headers.len() + self.matched.query.len();
        let conditions = match more {
            0 => String::new(),
            more => format!(" and {more} conditions on headers or query"),
        };
        format!("{method} {path}{conditions}")
    }
}

fn object(route: &Route, rule: &RouteRule) -> String {
    let origin = weft_proto::origin::Origin { rule: rule.name.clone(), ..route.origin.clone() };
    origin.to_string()
}

fn name(of: &Option<ValueMatch>) -> String {
    match of {
        None => "*".to_owned(),
        Some(ValueMatch::Exact(name)) => name.clone(),
        Some(ValueMatch::Regex(regex)) => format!("~{regex}"),
    }
}

/// The routes on a port that count for callers of a namespace: their own, else those of the Service's; of both kinds those for
/// gRPC.
pub(super) fn attached<'a>(
    mesh: &'a Mesh,
    service: &Key,
    port: u16,
    from: Option<&str>,
) -> Vec<&'a Route> {
    let on_port =
        |route: &&Route| route.parents.iter().any(|(key, at)| key == service && *at == port);
    let of = |namespace: &str| -> Vec<&'a Route> {
        let all = mesh.routes.iter().filter(on_port);
        all.filter(|route| route.key.namespace == namespace).collect()
    };
    let own = from.filter(|from| *from != service.namespace).map(of).unwrap_or_default();
    let all = if own.is_empty() { of(&service.namespace) } else { own };
    let (grpc, http): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|route| route.kind == RouteKind::Grpc);
    if grpc.is_empty() { http } else { grpc }
}

/// The first rule that the request meets.
pub(super) fn find<'a>(
    routes: &[&'a Route],
    host: &str,
    method: &str,
    path: &str,
) -> Option<Found<'a>> {
    let domains = by_domain(routes);
    let domain = domain(host, |candidate| domains.contains_key(candidate))?;
    let found = |candidate: &Candidate<'a>| {
        let Candidate { route, rule, matched } = *candidate;
        let wanted = matched.method.as_deref();
        let fits = method.is_empty() || wanted.is_none_or(|wanted| wanted == method);
        let depends = !matched.headers.is_empty() || !matched.query.is_empty();
        (fits && meets(&matched.path, path)).then_some(Found { route, rule, matched, depends })
    };
    domains.get(&domain)?.iter().find_map(found)
}

/// The most specific of the domains that cover a host.
fn domain(host: &str, is_known: impl Fn(&str) -> bool) -> Option<String> {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    let mut all = vec![host.clone()];
    let mut rest = host.as_str();
    while let Some((_, parent)) = rest.split_once('.') {
        all.push(format!("*.{parent}"));
        rest = parent;
    }
    all.push("*".to_owned());
    all.into_iter().find(|candidate| is_known(candidate))
}

fn meets(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(exact) => exact == path,
        PathMatch::Prefix(prefix) if prefix == "/" => true,
        PathMatch::Prefix(prefix) => {
            let rest = path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathMatch::Regex(regex) => is_match(regex, path),
        PathMatch::Rpc { service, method } => {
            let mut parts = path.trim_start_matches('/').splitn(2, '/');
            let fits = |wanted: &Option<ValueMatch>, part: Option<&str>| match wanted {
                None => true,
                Some(ValueMatch::Exact(name)) => part == Some(name),
                Some(ValueMatch::Regex(regex)) => part.is_some_and(|part| is_match(regex, part)),
            };
            fits(service, parts.next()) && fits(method, parts.next())
        }
    }
}

/// The source has let it through, so it is one; its size is bounded there.
fn is_match(regex: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(text))
}

/// The Services to which routes on any port of this one send.
pub(super) fn backends(mesh: &Mesh, service: &Key) -> BTreeSet<Key> {
    let routes = mesh.routes.iter();
    let routes = routes.filter(|route| route.parents.iter().any(|(key, _)| key == service));
    let backends = routes.flat_map(|route| &route.rules).flat_map(|rule| &rule.backends);
    let named = backends.filter_map(|backend| match &backend.backend {
        Backend::Service(key, _) => Some(key.clone()),
        Backend::Invalid(_) => None,
    });
    named.collect()
}

/// `HTTPRoute/shop/payment`, of each.
pub(super) fn objects(routes: &[&Route]) -> Vec<String> {
    routes.iter().map(|route| route.origin.to_string()).collect()
}
