//! One canonical form of a request, made once, before anything else looks at it: what routing and policy judge
//! is what is forwarded. Called by `outbound` and `inbound` for every request; it refuses what two readers
//! could understand differently (RFC 9110, RFC 9112 §3.2, §6.1, §11.2).
//!
//! What an HTTP/1.1 head says twice or in an odd way is gone when hyper hands the request over (a fragment, a
//! Content-Length beside Transfer-Encoding): `listener::heads` looks at the bytes for that.

mod authority;
mod names;

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};
use weft_policy::normalise;

use crate::error::{Error, Token};

pub use names::{is_forbidden_trailer, remove_forbidden_trailers};

/// What is wrong with a request by its bytes; put among its extensions by `listener::heads`.
#[derive(Clone, Copy, Debug)]
pub struct Malformed(pub &'static str);

/// Brings the request into canonical form: origin-form and one `Host` for HTTP/1, authority in the URI for
/// HTTP/2, a normal path. An HTTP/1.0 request becomes one of HTTP/1.1, for `default_host` if it names none.
///
/// # Errors
/// [`Token::RequestError`] with what is wrong.
pub fn canonicalise<B>(request: &mut Request<B>, default_host: &str) -> Result<(), Error> {
    check(request).map_err(malformed)?;
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next().cloned(), hosts.next().is_some());
    if second {
        return Err(malformed("more than one Host header"));
    }
    match (request.version(), request.uri().authority().cloned(), host) {
        (Version::HTTP_2, Some(authority), host) => {
            if host.is_some_and(|host| !is_same(&host, &authority)) {
                return Err(malformed("Host differs from :authority"));
            }
            authority::check(authority.as_str()).map_err(malformed)?;
            request.headers_mut().remove(HOST);
        }
        (Version::HTTP_2, None, Some(host)) => set_authority(request, &host)?,
        (Version::HTTP_2, None, None) => return Err(malformed("neither :authority nor Host")),
        (_, Some(authority), host) => to_origin_form(request, &authority, host.as_ref())?,
        (Version::HTTP_10, None, None) => {
            let host = HeaderValue::from_str(default_host)
                .map_err(|_| malformed("no Host header, and no default"))?;
            request.headers_mut().insert(HOST, host);
        }
        (_, None, None) => return Err(malformed("no Host header")),
        (_, None, Some(host)) => {
            let host = host.to_str().map_err(|_| malformed("malformed Host"))?;
            authority::check(host).map_err(malformed)?;
        }
    }
    if request.version() == Version::HTTP_10 {
        *request.version_mut() = Version::HTTP_11;
    }
    to_normal_path(request)
}

/// What needs nothing but a look.
fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    if let Some(Malformed(what)) = request.extensions().get() {
        return Err(what);
    }
    let method = request.method();
    if *method == Method::CONNECT {
        return Err("CONNECT is not served");
    }
    // Methods are case-sensitive (RFC 9110 §9.1), but not every application knows: `get` may be GET to it,
    // though no rule for GET has matched.
    if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err("a method in lower case");
    }
    let uri = request.uri();
    if uri.path() == "*" && *method != Method::OPTIONS {
        return Err("the target `*` is for OPTIONS only");
    }
    // `GET host:80`: a target without a path is CONNECT's.
    if uri.authority().is_some() && uri.scheme().is_none() {
        return Err("a target without a path");
    }
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err("the target is no http or https URL");
    }
    let headers = request.headers();
    names::check(headers)?;
    if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err("more than one Content-Length");
    }
    check_codings(headers)
}

/// hyper has decoded the body by these already, and takes every list that ends in `chunked`.
fn check_codings(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| coding != "chunked") || codings.next().is_some() {
        return Err("Transfer-Encoding is not exactly `chunked`");
    }
    Ok(())
}

/// The host that routes are matched with: in lower case, without port and without a final dot.
#[must_use]
pub fn host<B>(request: &Request<B>) -> Cow<'_, str> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default(),
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

fn is_same(host: &HeaderValue, authority: &Authority) -> bool {
    host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
}

fn set_authority<B>(request: &mut Request<B>, host: &HeaderValue) -> Result<(), Error> {
    let authority =
        Authority::try_from(host.as_bytes()).map_err(|_| malformed("malformed Host"))?;
    authority::check(authority.as_str()).map_err(malformed)?;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(authority);
    parts.scheme.get_or_insert(Scheme::HTTP);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| malformed("malformed target"))?;
    request.headers_mut().remove(HOST);
    Ok(())
}

/// RFC 9112 §3.2.2: the authority of an absolute target counts; a `Host` that says something else is refused,
/// because the application might believe it.
fn to_origin_form<B>(
    request: &mut Request<B>,
    authority: &Authority,
    host: Option<&HeaderValue>,
) -> Result<(), Error> {
    if host.is_some_and(|host| !is_same(host, authority)) {
        return Err(malformed("Host differs from the request target"));
    }
    if host.is_none() && request.version() == Version::HTTP_11 {
        return Err(malformed("no Host header"));
    }
    authority::check(authority.as_str()).map_err(malformed)?;
    let value =
        HeaderValue::from_str(authority.as_str()).map_err(|_| malformed("malformed target"))?;
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, value);
    Ok(())
}

fn to_normal_path<B>(request: &mut Request<B>) -> Result<(), Error> {
    let uri = request.uri();
    if uri.path() == "*" {
        return Ok(());
    }
    let Some(mut target) = normalise(uri.path()).map_err(malformed)? else { return Ok(()) };
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query =
        Some(PathAndQuery::try_from(target).map_err(|_| malformed("malformed path"))?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| malformed("malformed target"))?;
    Ok(())
}

fn malformed(what: &str) -> Error {
    Error::new(Token::RequestError, what)
}

#[cfg(test)]
mod tests;
