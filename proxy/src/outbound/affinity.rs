//! Session affinity: a cookie that this proxy makes and that names the endpoint to come back to. The same cookie as
//! that of Envoy's `stateful_session` filter, so that a session goes on whichever of the two a client meets.
//!
//! The cookie is a hint of the client's, never believed further than this: the endpoint that it names is used if it
//! is one of the destination's and usable; else another is chosen and a new cookie set. Retries go elsewhere.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderValue, SET_COOKIE};
use http::{HeaderMap, Request};
use prost::Message as _;

use crate::cluster;
use crate::model::SessionAffinity;
use crate::record::Answer;

/// What the cookie holds, in Base64.
#[derive(Clone, PartialEq, prost::Message)]
struct Content {
    /// `10.0.0.7:8080`.
    #[prost(string, tag = "1")]
    address: String,
    /// Seconds since the Unix epoch; 0 never.
    #[prost(int64, tag = "2")]
    expires: i64,
}

/// The session of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    settings: &'a SessionAffinity,
    /// Where its cookie says that it belongs.
    pub(super) wanted: Option<SocketAddr>,
}

impl<'a> Session<'a> {
    /// `None` if there are no sessions, or the cookie does not concern the request's path.
    pub(super) fn of<B>(
        settings: Option<&'a SessionAffinity>,
        request: &Request<B>,
    ) -> Option<Self> {
        let settings = settings?;
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        if !concerns(&settings.path, path) {
            return None;
        }
        let value = cluster::cookie(request.headers(), &settings.cookie);
        let wanted = value.and_then(|value| read(value, SystemTime::now()));
        Some(Self { settings, wanted })
    }

    /// Tells the client to come back to this endpoint, unless it knows.
    fn keep(&self, endpoint: SocketAddr, response: &mut HeaderMap) {
        if self.wanted != Some(endpoint) {
            let cookie = write(self.settings, endpoint, SystemTime::now());
            // It consists of what the control plane checked and of what is written here.
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.append(SET_COOKIE, cookie);
            }
        }
    }
}

/// Tells the client where its session goes on.
pub(super) fn keep(session: Option<Session<'_>>, answer: &mut Answer) {
    if let Some(session) = session {
        let endpoint = answer.in_flight.endpoint().spec.address;
        session.keep(endpoint, answer.response.headers_mut());
    }
}

/// RFC 6265 §5.1.4, with the query as Envoy has it.
fn concerns(cookie: &str, path: &str) -> bool {
    if cookie.is_empty() || cookie == "/" {
        return true;
    }
    path.strip_prefix(cookie).is_some_and(|rest| {
        cookie.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?', '#'])
    })
}

fn read(value: &str, now: SystemTime) -> Option<SocketAddr> {
    let bytes = STANDARD.decode(value).ok()?;
    // Compat: before 1.27 Envoy's cookie held the bare address.
    if let Some(bare) = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()) {
        return Some(bare);
    }
    let content = Content::decode(bytes.as_slice()).ok()?;
    let is_over = content.expires != 0 && content.expires < seconds(now);
    content.address.parse().ok().filter(|_| !is_over)
}

fn write(settings: &SessionAffinity, endpoint: SocketAddr, now: SystemTime) -> String {
    let expires = settings.ttl.map_or(0, |ttl| seconds(now + ttl));
    let content = Content { address: endpoint.to_string(), expires };
    let mut cookie =
        format!("{}=\"{}\"", settings.cookie, STANDARD.encode(content.encode_to_vec()));
    if let Some(ttl) = settings.ttl {
        cookie += &format!("; Max-Age={}", ttl.as_secs());
    }
    if !settings.path.is_empty() {
        cookie += &format!("; Path={}", settings.path);
    }
    cookie + "; HttpOnly"
}

fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
