//! Responses that the proxy makes itself. Called by `outbound` and `inbound` at their border, where an
//! [`Error`] becomes what the client sees; nowhere else.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Response, StatusCode};

use crate::body::Body;
use crate::error::{Error, Token};
use crate::model::Fallback;
use crate::upstream::Version;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Is this a gRPC request? It then gets its errors as `grpc-status`, not as an HTTP status.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| rest.is_empty() || matches!(rest[0], b'+' | b';'))
}

/// The answer to a request that could not be served. After a malformed one on an HTTP/1 connection nobody can be
/// sure where the next one begins, so that connection ends.
#[must_use]
pub fn failed(error: &Error, grpc: bool, version: Version) -> Response<Body> {
    let mut response = if grpc { grpc_failed(error) } else { http_failed(error) };
    let headers = response.headers_mut();
    headers.insert(PROXY_STATUS, error.proxy_status());
    if error.token() == Token::RequestError && version == Version::Http1 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers.extend(error.headers().iter().cloned());
    response
}

fn http_failed(error: &Error) -> Response<Body> {
    let text = Bytes::from(format!("weft: {error}\n"));
    let mut response = Response::new(Body::Full(text.clone()));
    *response.status_mut() = error.token().status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    response
}

/// Trailers-only (gRPC over HTTP/2, "Responses").
fn grpc_failed(error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(grpc_status(error.token())));
    let message: String = format!("weft: {error}")
        .chars()
        .map(|c| if matches!(c, ' '..='~') && c != '%' { c } else { '?' })
        .collect();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// gRPC's status codes by number: 4 DEADLINE_EXCEEDED, 7 PERMISSION_DENIED, 8 RESOURCE_EXHAUSTED,
/// 12 UNIMPLEMENTED, 13 INTERNAL, 14 UNAVAILABLE.
pub(crate) fn grpc_status(token: Token) -> u16 {
    match token {
        Token::RouteNotFound => 12,
        Token::RequestDenied | Token::UpgradeRefused => 7,
        Token::RateLimited => 8,
        Token::ResponseTimeout => 4,
        Token::RequestError | Token::InternalError | Token::ResponseError => 13,
        Token::DownstreamClosed
        | Token::BackendInvalid
        | Token::ConfigurationMissing
        | Token::IdentityUnavailable
        | Token::IdentityDenied
        | Token::PeerDenied
        | Token::DestinationUnavailable
        | Token::ConnectionRefused
        | Token::ConnectionTimeout
        | Token::ConnectionLimitReached
        | Token::RequestLimitReached
        | Token::PendingLimitReached
        | Token::MemoryLimitReached
        | Token::TlsCertificateError
        | Token::TlsProtocolError
        | Token::ConnectionTerminated
        | Token::KeepAliveRace
        | Token::RequestRefused
        | Token::ResponseIncomplete
        | Token::ApplicationUnreachable => 14,
    }
}

/// The answer that a policy has for where nothing can serve, because of `error`.
#[must_use]
pub fn fallback(fallback: &Fallback, error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::Full(fallback.body.clone()));
    *response.status_mut() = fallback.status;
    *response.headers_mut() = fallback.headers.clone();
    response.headers_mut().insert(PROXY_STATUS, error.proxy_status());
    response
}

/// The end of a gRPC response whose time is over.
#[must_use]
pub fn too_late() -> HeaderMap {
    let status = HeaderValue::from(grpc_status(Token::ResponseTimeout));
    let message = HeaderValue::from_static("weft: the call's time is over");
    HeaderMap::from_iter([(GRPC_STATUS, status), (GRPC_MESSAGE, message)])
}

/// A redirect.
///
/// # Errors
/// If the location is no valid header value; the control plane lets none through.
pub fn redirect(status: StatusCode, location: &str) -> Result<Response<Body>, Error> {
    let location = HeaderValue::try_from(location)
        .map_err(|_| Error::new(Token::InternalError, "the redirect's location is malformed"))?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A bare status, as a route asks for it; a gRPC client is told in its own words, by the mapping of gRPC's
/// `http-grpc-status-mapping`.
#[must_use]
pub fn bare(status: StatusCode, grpc: bool) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    if !grpc {
        *response.status_mut() = status;
        return response;
    }
    let code: u16 = match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    response
}

#[cfg(test)]
mod tests;
