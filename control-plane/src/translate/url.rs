//! Redirects and rewrites: what the Gateway API says of URLs, in Envoy's words.
//!
//! The two differ in slashes. The Gateway API replaces whole path elements: `/a` replaced by `/` makes of `/a/b`
//! the path `/b`, of `/a` the path `/`, and slashes at the end of the replacement say nothing. Envoy replaces
//! text.

use weft_proto::envoy::matcher::{RegexMatchAndSubstitute, RegexMatcher};
use weft_proto::envoy::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use weft_proto::envoy::route::{RedirectAction, RouteAction};

use crate::model::{PathMatch, PathModifier, Redirect, Rewrite};

/// Replacement of a path as Envoy knows it.
enum Replacement {
    /// Instead of the matched prefix.
    Prefix(String),
    /// Instead of what a regular expression matches.
    Regex(RegexMatchAndSubstitute),
}

/// Writes what becomes of the path into an action.
pub(super) fn rewrite_path(rewrite: &Rewrite, matched: &PathMatch, action: &mut RouteAction) {
    match &rewrite.path {
        Some(PathModifier::Full(path)) => {
            action.regex_rewrite = Some(substitute("^/.*$".to_owned(), or_root(path)));
        }
        Some(PathModifier::Prefix(prefix)) => match replace_prefix(prefix, matched) {
            Replacement::Prefix(prefix) => action.prefix_rewrite = prefix,
            Replacement::Regex(regex) => action.regex_rewrite = Some(regex),
        },
        None => {}
    }
}

/// A redirect from a Service port.
pub(super) fn redirect(redirect: &Redirect, matched: &PathMatch, port: u16) -> RedirectAction {
    let path = redirect.path.as_ref().map(|path| match path {
        PathModifier::Full(path) => PathRewriteSpecifier::PathRedirect(or_root(path).to_owned()),
        PathModifier::Prefix(prefix) => match replace_prefix(prefix, matched) {
            Replacement::Prefix(prefix) => PathRewriteSpecifier::PrefixRewrite(prefix),
            Replacement::Regex(regex) => PathRewriteSpecifier::RegexRewrite(regex),
        },
    });
    let code = match redirect.status {
        301 => RedirectResponseCode::MovedPermanently,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::Found,
    };
    RedirectAction {
        host_redirect: redirect.hostname.clone().unwrap_or_default(),
        port_redirect: port_of(redirect, port).map_or(0, u32::from),
        response_code: code.into(),
        scheme_rewrite_specifier: redirect
            .scheme
            .clone()
            .map(SchemeRewriteSpecifier::SchemeRedirect),
        path_rewrite_specifier: path,
        ..Default::default()
    }
}

/// Gateway API: another scheme means that scheme's own port, another host the port asked for; else the request's
/// own port stays. `None` is no port with another host, and the request's own with the same. A scheme's own port
/// is not written, but where the request's must go.
fn port_of(redirect: &Redirect, port: u16) -> Option<u16> {
    let well_known = if redirect.scheme.as_deref() == Some("https") { 443 } else { 80 };
    let wanted = match (redirect.port, &redirect.scheme, &redirect.hostname) {
        (Some(port), _, _) => port,
        (None, Some(_), _) => well_known,
        (None, None, Some(_)) => port,
        (None, None, None) => return None,
    };
    Some(wanted).filter(|wanted| *wanted != well_known || redirect.hostname.is_none())
}

/// Instead of the elements that matched: the replacement without its last slashes, or nothing, but never nothing
/// at all.
fn replace_prefix(with: &str, matched: &PathMatch) -> Replacement {
    let with = with.trim_end_matches('/');
    match matched {
        // The match of every path takes the one slash that every path begins with.
        PathMatch::Prefix(prefix) if prefix == "/" => Replacement::Prefix(format!("{with}/")),
        PathMatch::Prefix(prefix) if with.is_empty() => {
            Replacement::Regex(substitute(format!("^{}/?", regex::escape(prefix)), "/"))
        }
        // The source lets no other match be beside a replaced prefix.
        PathMatch::Prefix(_)
        | PathMatch::Exact(_)
        | PathMatch::Regex(_)
        | PathMatch::Rpc { .. } => Replacement::Prefix(or_root(with).to_owned()),
    }
}

fn or_root(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn substitute(regex: String, by: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(RegexMatcher { regex, ..Default::default() }),
        // A backslash begins a reference to a group.
        substitution: by.replace('\\', "\\\\"),
    }
}

#[cfg(test)]
mod tests;
