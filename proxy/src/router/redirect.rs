//! `Location` of a redirect (Gateway API `HTTPRequestRedirectFilter`).

use crate::model::{PathMatch, Redirect};

/// Builds the `Location`. `authority` is the request's own, with port; `scheme` the request's own;
/// `matched` the path match of the rule, for the replacement of its prefix.
#[must_use]
pub fn location(
    redirect: &Redirect,
    matched: &PathMatch,
    scheme: &str,
    authority: &str,
    path_and_query: &str,
) -> String {
    let (own_host, own_port) = split_port(authority);
    let new_scheme = redirect.scheme.as_deref().unwrap_or(scheme);
    let host = redirect.host.as_deref().unwrap_or(own_host);
    // A new scheme without a port means that scheme's own port, not the one the request came in by.
    let port = match (redirect.port, &redirect.scheme) {
        (Some(port), _) => Some(port),
        (None, Some(_)) => None,
        (None, None) => own_port,
    };
    let port = port.filter(|port| !matches!((new_scheme, port), ("http", 80) | ("https", 443)));
    let (path, query) =
        path_and_query.split_once('?').map_or((path_and_query, None), |(p, q)| (p, Some(q)));
    let path = new_path(redirect, matched, path);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{new_scheme}://{host}{port}{path}{query}")
}

fn new_path(redirect: &Redirect, matched: &PathMatch, path: &str) -> String {
    if let Some(full) = &redirect.path {
        return full.clone();
    }
    let Some(replacement) = &redirect.prefix else { return path.to_owned() };
    let rest = match matched {
        PathMatch::Prefix(prefix) => path.strip_prefix(prefix.as_str()).unwrap_or(path),
        PathMatch::Any | PathMatch::Exact(_) | PathMatch::Regex(_) => path,
    };
    let joined = format!("{}/{}", replacement.trim_end_matches('/'), rest.trim_start_matches('/'));
    // Prefix `/a` to `/b` makes of `/a` the path `/b`, not `/b/`.
    if rest.is_empty() && joined.len() > 1 { joined[..joined.len() - 1].to_owned() } else { joined }
}

/// Splits `host:port`; an IPv6 literal keeps its brackets.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests;
