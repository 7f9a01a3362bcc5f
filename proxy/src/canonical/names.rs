//! Names of headers: which of them only the mesh may say, what imitates one of them, and what may stand in
//! trailers.

use http::HeaderMap;
use http::header::CONNECTION;

/// Headers that a sidecar or an application believes because a proxy is supposed to have written them.
const TRUSTED: [&str; 8] = [
    "content-length",
    "forwarded",
    "host",
    "proxy-status",
    "transfer-encoding",
    "x-real-ip",
    "x-request-id",
    "traceparent",
];
const TRUSTED_PREFIXES: [&str; 4] = ["weft-", "x-forwarded-", "x-envoy-", "x-b3-"];

/// RFC 9110 §6.5.1: what must not come after the body, because whoever merged it would see another request than
/// the one that was judged. gRPC's trailing metadata has names of its own, so this is a list of what is forbidden.
const FORBIDDEN_TRAILERS: [&str; 31] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// Refuses names that imitate a trusted one (`x_forwarded_for`: many applications cannot tell it from the real
/// one), and a `Connection` that would have a trusted header removed on the way.
///
/// # Errors
/// With what is wrong.
pub(super) fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    for name in headers.keys() {
        let name = name.as_str();
        if name.as_bytes().contains(&b'_') && is_trusted(&name.replace('_', "-")) {
            return Err("a header with `_` imitates one that is trusted");
        }
    }
    for value in headers.get_all(CONNECTION) {
        let listed = value.to_str().map_err(|_| "malformed Connection")?;
        let mut names = listed.split(',').map(str::trim);
        if names.any(|name| is_trusted(&name.to_ascii_lowercase())) {
            return Err("Connection lists a header that must arrive");
        }
    }
    Ok(())
}

/// May only the mesh say this? `name` is in lower case.
fn is_trusted(name: &str) -> bool {
    TRUSTED.contains(&name) || TRUSTED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Must not be a trailer. `name` is in lower case.
#[must_use]
pub fn is_forbidden_trailer(name: &str) -> bool {
    FORBIDDEN_TRAILERS.binary_search(&name).is_ok()
        || is_trusted(name)
        || (name.contains('_') && {
            let dashed = name.replace('_', "-");
            FORBIDDEN_TRAILERS.binary_search(&dashed.as_str()).is_ok() || is_trusted(&dashed)
        })
}

/// Takes what must not be a trailer out of a response's.
pub fn remove_forbidden_trailers(trailers: &mut HeaderMap) {
    let forbidden = trailers.keys().filter(|name| is_forbidden_trailer(name.as_str()));
    for name in forbidden.cloned().collect::<Vec<_>>() {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::{FORBIDDEN_TRAILERS, is_forbidden_trailer};

    #[test]
    fn trailers() {
        assert!(FORBIDDEN_TRAILERS.is_sorted(), "it is searched");
        for good in ["grpc-status", "grpc-message", "x-checksum", "server-timing", "etag", "a_b"] {
            assert!(!is_forbidden_trailer(good), "{good}");
        }
        for bad in ["host", "te", "content_length", "x-forwarded-for", "weft-failure", "cookie"] {
            assert!(is_forbidden_trailer(bad), "{bad}");
        }
    }
}
