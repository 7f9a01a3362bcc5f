//! What a route makes of URLs: redirects, and rewrites of host and path.

use std::mem::take;

use http::StatusCode;
use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery};
use weft_proto::envoy::matcher::RegexMatchAndSubstitute;
use weft_proto::envoy::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use weft_proto::envoy::route::route_action::HostRewriteSpecifier;
use weft_proto::envoy::route::{RedirectAction, RouteAction};

use super::super::reject::{At, Reject, nothing_else};
use super::super::value::required;
use super::{Table, matcher};
use crate::model::{Host, PathRewrite, Redirect, Rewrite};

/// Takes the rewrite of host and path out of an action; `None` if it has none.
pub(super) fn rewrite(
    route: &mut RouteAction,
    table: &mut Table,
) -> Result<Option<Box<Rewrite>>, Reject> {
    let host = match route.host_rewrite_specifier.take() {
        Some(HostRewriteSpecifier::HostRewriteLiteral(literal)) => Some(host(&literal)?),
        Some(_) => {
            let reason = "only `host_rewrite_literal` is supported";
            return Err(Reject::new("host_rewrite_specifier", reason));
        }
        None => None,
    };
    let path = match (take(&mut route.prefix_rewrite), route.regex_rewrite.take()) {
        (prefix, None) if prefix.is_empty() => None,
        (prefix, None) => Some(PathRewrite::Prefix(target("prefix_rewrite", prefix)?)),
        (prefix, Some(regex)) if prefix.is_empty() => {
            Some(substitution(regex, table).at("regex_rewrite")?)
        }
        _ => return Err(Reject::new("regex_rewrite", "stands beside prefix_rewrite")),
    };
    let nothing = host.is_none() && path.is_none();
    Ok((!nothing).then(|| Box::new(Rewrite { host, path })))
}

/// A literal host, with or without port.
pub(super) fn host(literal: &str) -> Result<Host, Reject> {
    let no_host = || Reject::new("host_rewrite_literal", format!("{literal:?} is not a host"));
    let authority = Authority::try_from(literal).map_err(|_| no_host())?;
    if authority.as_str().contains('@') {
        return Err(no_host());
    }
    Ok(Host { value: HeaderValue::from_str(literal).map_err(|_| no_host())?, authority })
}

/// A pattern that is searched for in the path, and what takes its place: `\\1` is a group, `\\\\` a backslash.
fn substitution(
    mut rewrite: RegexMatchAndSubstitute,
    table: &mut Table,
) -> Result<PathRewrite, Reject> {
    let pattern = required("pattern", &mut rewrite.pattern)?;
    let by = take(&mut rewrite.substitution);
    nothing_else(&rewrite)?;
    // The one that means a whole path, and costs a search to no purpose.
    if pattern.regex == "^/.*$" && !by.contains('\\') {
        return target("substitution", by).map(PathRewrite::Full);
    }
    let regex = matcher::compile_part(pattern, table).at("pattern")?;
    let mut ours = String::with_capacity(by.len());
    let mut letters = by.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('\\', Some('\\')) => ours.push('\\'),
            ('\\', Some(digit))
                if digit.to_digit(10).is_some_and(|n| (n as usize) < regex.captures_len()) =>
            {
                ours.extend(["${", &digit.to_string(), "}"]);
            }
            ('\\', _) => {
                let reason = format!("{by:?} refers to a group that the pattern does not have");
                return Err(Reject::new("substitution", reason));
            }
            ('$', _) => ours.push_str("$$"),
            (other, _) => ours.push(other),
        }
    }
    Ok(PathRewrite::Regex(regex, ours))
}

/// Decodes a redirect.
pub(super) fn redirect(
    mut redirect: RedirectAction,
    table: &mut Table,
) -> Result<Redirect, Reject> {
    let host = Some(take(&mut redirect.host_redirect)).filter(|host| !host.is_empty());
    if let Some(host) = host.as_deref().filter(|host| Authority::try_from(*host).is_err()) {
        return Err(Reject::new("host_redirect", format!("{host:?} is not a host")));
    }
    let port = u16::try_from(take(&mut redirect.port_redirect))
        .map_err(|_| Reject::new("port_redirect", "not a port"))?;
    let scheme = match redirect.scheme_rewrite_specifier.take() {
        Some(SchemeRewriteSpecifier::HttpsRedirect(https)) => https.then(|| "https".to_owned()),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => match scheme.as_str() {
            "http" | "https" => Some(scheme),
            _ => return Err(Reject::new("scheme_redirect", "only http and https are supported")),
        },
        None => None,
    };
    let path = match redirect.path_rewrite_specifier.take() {
        Some(PathRewriteSpecifier::PathRedirect(to)) => {
            Some(PathRewrite::Full(target("path_redirect", to)?))
        }
        Some(PathRewriteSpecifier::PrefixRewrite(to)) => {
            Some(PathRewrite::Prefix(target("prefix_rewrite", to)?))
        }
        Some(PathRewriteSpecifier::RegexRewrite(to)) => {
            Some(substitution(to, table).at("regex_rewrite")?)
        }
        Some(PathRewriteSpecifier::PathRewrite(_)) => {
            return Err(Reject::new("path_rewrite", "not supported by weft-proxy"));
        }
        None => None,
    };
    let status = match RedirectResponseCode::try_from(take(&mut redirect.response_code)) {
        Ok(RedirectResponseCode::MovedPermanently) => StatusCode::MOVED_PERMANENTLY,
        Ok(RedirectResponseCode::Found) => StatusCode::FOUND,
        Ok(RedirectResponseCode::SeeOther) => StatusCode::SEE_OTHER,
        Ok(RedirectResponseCode::TemporaryRedirect) => StatusCode::TEMPORARY_REDIRECT,
        Ok(RedirectResponseCode::PermanentRedirect) => StatusCode::PERMANENT_REDIRECT,
        Err(_) => return Err(Reject::new("response_code", "not supported by weft-proxy")),
    };
    nothing_else(&redirect)?;
    Ok(Redirect { scheme, host, port: Some(port).filter(|port| *port != 0), path, status })
}

fn target(field: &str, path: String) -> Result<String, Reject> {
    if path.starts_with('/') && PathAndQuery::try_from(path.as_str()).is_ok() {
        Ok(path)
    } else {
        Err(Reject::new(field, format!("{path:?} is not an absolute path")))
    }
}
