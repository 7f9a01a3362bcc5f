//! What becomes of a path, text for text as Envoy does it. Used by redirects, and by [`apply`] on a request's way
//! to a backend.

use std::borrow::Cow;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Uri, Version};

use crate::error::{Error, Token};
use crate::model::{Host, PathMatch, PathRewrite};

/// Changes host and path of a request that is in canonical form ([`crate::canonical`]).
///
/// # Errors
/// If what a pattern made of the path is none; nothing of the request is sent then.
pub fn apply<B>(
    host: Option<&Host>,
    rewrite: Option<&PathRewrite>,
    matched: &PathMatch,
    request: &mut Request<B>,
) -> Result<(), Error> {
    let is_http2 = request.version() == Version::HTTP_2;
    if let Some(host) = host.filter(|_| !is_http2) {
        request.headers_mut().insert(HOST, host.value.clone());
    }
    let target = match rewrite {
        Some(rewrite) => Some(target(rewrite, matched, request.uri())?),
        None => None,
    };
    if target.is_none() && (host.is_none() || !is_http2) {
        return Ok(());
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(host) = host.filter(|_| is_http2) {
        parts.authority = Some(host.authority.clone());
    }
    parts.path_and_query = target.or(parts.path_and_query);
    *request.uri_mut() = Uri::from_parts(parts)
        .map_err(|_| Error::new(Token::InternalError, "the rewritten URL is none"))?;
    Ok(())
}

fn target(rewrite: &PathRewrite, matched: &PathMatch, uri: &Uri) -> Result<PathAndQuery, Error> {
    let path = path(rewrite, matched, uri.path());
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path.as_ref()),
    };
    // A fragment or query that a pattern brings about would be read as such by the next one.
    target.ok().filter(|target| path.starts_with('/') && target.path() == path).ok_or_else(|| {
        Error::new(Token::InternalError, format!("{path:?}, as rewritten, is not a path"))
    })
}

/// The path that takes the place of `path`, which `matched` has matched.
pub(super) fn path<'p>(
    rewrite: &'p PathRewrite,
    matched: &PathMatch,
    path: &'p str,
) -> Cow<'p, str> {
    match rewrite {
        PathRewrite::Full(full) => full.into(),
        PathRewrite::Prefix(with) => {
            let taken = match matched {
                PathMatch::Any => 1,
                PathMatch::Prefix(prefix) => prefix.len(),
                PathMatch::Exact(_) | PathMatch::Regex(_) => path.len(),
            };
            format!("{with}{}", path.get(taken..).unwrap_or_default()).into()
        }
        PathRewrite::Regex(pattern, by) => pattern.replace_all(path, by.as_str()),
    }
}

#[cfg(test)]
mod tests;
