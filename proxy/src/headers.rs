//! Headers that the mesh itself reads, writes or must not let through. Used by `outbound` and `inbound` on
//! every request and response.

use http::header::{CONNECTION, HeaderName, HeaderValue, TE, UPGRADE};
use http::{HeaderMap, Response};

/// On a response between sidecars: the request failed, and how. Written by the receiving sidecar, believed by
/// the calling one only over mutual TLS, and never passed on to an application by either.
pub const FAILURE: HeaderName = HeaderName::from_static("weft-failure");

/// The peer's identity for the application, in Envoy's format.
pub const FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// On a request between sidecars whose trace is sampled: the path pattern of the rule that it met, by which the receiving
/// sidecar names its span. Written by the calling sidecar, believed over mutual TLS only, and never passed on to an
/// application by either.
pub const ROUTE: HeaderName = HeaderName::from_static("weft-route");

/// What [`FAILURE`] can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The application never saw the request.
    Unprocessed,
    /// The connection to the application broke before it answered.
    Broken,
    /// The application failed after calls of its own that were tried often enough: trying it again would only
    /// multiply them.
    Exhausted,
}

impl Mark {
    /// As written.
    #[must_use]
    pub fn to_value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Unprocessed => "unprocessed",
            Self::Broken => "broken",
            Self::Exhausted => "exhausted",
        })
    }
}

/// Takes the mark off a response. Off every response, also one whose sender is not believed.
pub fn take_mark<B>(response: &mut Response<B>) -> Option<Mark> {
    // Order: `contains_key` first; `remove` on a map without the key costs about the same, but a response
    // without the mark is every response but a few.
    if !response.headers().contains_key(FAILURE) {
        return None;
    }
    match response.headers_mut().remove(FAILURE)?.as_bytes() {
        b"unprocessed" => Some(Mark::Unprocessed),
        b"broken" => Some(Mark::Broken),
        b"exhausted" => Some(Mark::Exhausted),
        _ => None,
    }
}

/// Tells the other sidecar of the route, or tells nothing of one that it was told before.
pub fn tell_route(headers: &mut HeaderMap, route: Option<&str>) {
    match route.map(HeaderValue::from_str) {
        Some(Ok(route)) => drop(headers.insert(ROUTE, route)),
        _ => drop(take_route(headers)),
    }
}

/// Takes the route off a request. Off every request, also one whose sender is not believed.
pub fn take_route(headers: &mut HeaderMap) -> Option<HeaderValue> {
    // Order: as with the mark, nearly no request has one.
    if !headers.contains_key(ROUTE) {
        return None;
    }
    headers.remove(ROUTE)
}

/// Hop-by-hop headers (RFC 9110 §7.6.1) besides those that `Connection` lists. `transfer-encoding` is
/// hyper's affair: it reads the framing and writes its own.
const HOP_BY_HOP: [HeaderName; 3] =
    [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection"), UPGRADE];

/// Removes what concerns one connection only, whether `Connection` lists it or not.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let listed: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        headers.remove(CONNECTION);
        let names = listed.iter().flat_map(|list| list.to_str().unwrap_or_default().split(','));
        for name in names {
            // A name that is none removes nothing; `te` is judged below.
            if let Ok(name) = HeaderName::try_from(name.trim())
                && name != TE
            {
                headers.remove(name);
            }
        }
    }
    for name in &HOP_BY_HOP {
        if headers.contains_key(name) {
            headers.remove(name);
        }
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
}

/// Removes what only the mesh may say, from a request that comes from an application or from outside.
pub fn remove_trusted(headers: &mut HeaderMap) {
    for name in [FORWARDED_CLIENT_CERT, FAILURE, ROUTE] {
        if headers.contains_key(&name) {
            headers.remove(name);
        }
    }
}

/// A value that no other request will have. HTTP/2 is told not to put it into the table of its connection, where it
/// would take the place of values that come again (RFC 7541 §6.2.3; h2 knows no weaker way to say so).
pub fn unique(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
