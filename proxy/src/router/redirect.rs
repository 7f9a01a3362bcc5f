//! `Location` of a redirect (Gateway API `HTTPRequestRedirectFilter`).

use std::borrow::Cow;

use super::rewrite;
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
    // The request's own port belongs to its host, and its scheme's goes with the scheme.
    let own_port = own_port.filter(|_| redirect.host.is_none() && redirect.scheme.is_none());
    let port = redirect.port.or(own_port);
    let port = port.filter(|port| !matches!((new_scheme, port), ("http", 80) | ("https", 443)));
    let (path, query) =
        path_and_query.split_once('?').map_or((path_and_query, None), |(p, q)| (p, Some(q)));
    let path = match &redirect.path {
        Some(change) => rewrite::path(change, matched, path),
        None => Cow::Borrowed(path),
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{new_scheme}://{host}{port}{path}{query}")
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
