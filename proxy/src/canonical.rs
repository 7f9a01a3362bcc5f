//! One canonical form of a request, made once, before anything else looks at it: what routing and policy judge
//! is what is forwarded. Called by `outbound` and `inbound` for every request; it refuses what two readers
//! could understand differently (RFC 9110, RFC 9112 §3.2, §11.2).

use std::borrow::Cow;

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri, Version};

use crate::error::{Error, Token};

/// Brings the request into canonical form: origin-form and one `Host` for HTTP/1, authority in the URI for
/// HTTP/2.
///
/// # Errors
/// [`Token::RequestError`] with what is wrong.
pub fn canonicalise<B>(request: &mut Request<B>) -> Result<(), Error> {
    if request.method() == Method::CONNECT {
        return Err(malformed("CONNECT is not served"));
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next().cloned(), hosts.next().is_some());
    if second {
        return Err(malformed("more than one Host header"));
    }
    match (request.version(), request.uri().authority().cloned(), host) {
        (Version::HTTP_2, Some(authority), host) => {
            if host.is_some_and(|host| host != authority.as_str()) {
                return Err(malformed("Host differs from :authority"));
            }
            request.headers_mut().remove(HOST);
        }
        (Version::HTTP_2, None, Some(host)) => set_authority(request, &host)?,
        (Version::HTTP_2, None, None) => return Err(malformed("neither :authority nor Host")),
        (_, Some(authority), host) => to_origin_form(request, &authority, host.as_ref())?,
        (Version::HTTP_11, None, None) => return Err(malformed("no Host header")),
        (_, None, _) => {}
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

fn set_authority<B>(request: &mut Request<B>, host: &HeaderValue) -> Result<(), Error> {
    let authority =
        Authority::try_from(host.as_bytes()).map_err(|_| malformed("malformed Host"))?;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(authority);
    parts.scheme.get_or_insert(http::uri::Scheme::HTTP);
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
    if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
    {
        return Err(malformed("Host differs from the request target"));
    }
    let value =
        HeaderValue::from_str(authority.as_str()).map_err(|_| malformed("malformed target"))?;
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, value);
    Ok(())
}

fn malformed(what: &str) -> Error {
    Error::new(Token::RequestError, what)
}

#[cfg(test)]
mod tests;
