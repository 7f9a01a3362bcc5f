//! What the fuzz targets in `tests/fuzz` call, one function each: whatever the bytes, nothing panics, and what must
//! hold holds. Compiled for them and for the tests, which replay their corpora; nothing else may call it.

mod relayed;
mod spiffe;

pub use relayed::relayed;
pub use spiffe::spiffe;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};
use weft_proto::google::Any;

use crate::canonical as form;
use crate::listener::{First, judge, offers_mesh};
use crate::telemetry::trace::read_context;
use crate::xds::{Kind, decodes};

/// A request's target and headers, line by line: canonical once is canonical for ever, and the path has no dots.
pub fn canonical(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let version = match bytes.first() {
        Some(0..64) => Version::HTTP_10,
        Some(64..96) => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    let target = lines.next().unwrap_or_default();
    let Ok(uri) = Uri::try_from(target.get(1..).unwrap_or_default()) else { return };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    for line in lines.take(32) {
        let (name, value) = line.split_at(line.iter().position(|b| *b == b':').unwrap_or(0));
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value.strip_prefix(b":").unwrap_or_default()),
        ) {
            request.headers_mut().append(name, value);
        }
    }
    if form::canonicalise(&mut request, "product.shop:8080").is_err() {
        return;
    }
    let once = (request.uri().clone(), request.headers().clone());
    assert!(form::canonicalise(&mut request, "other").is_ok(), "{once:?}");
    assert_eq!((request.uri(), request.headers()), (&once.0, &once.1));
    let path = request.uri().path();
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    assert!(!path.split('/').any(dots) && !path.contains("//"), "{path}");
    assert!(!form::host(&request).bytes().any(|byte| byte.is_ascii_uppercase()));
}

/// The first byte is the type, the rest a resource: it is decoded, or there is a reason.
pub fn xds(bytes: &[u8]) {
    let Some((first, value)) = bytes.split_first() else { return };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    let any = Any { type_url: kind.type_url().to_owned(), value: value.to_vec() };
    if let Err(reason) = decodes(kind, &any) {
        assert!(!reason.is_empty());
    }
}

/// What the control plane says in a resource of this type is taken.
pub fn accepted(type_url: &str, value: &[u8]) {
    let kind = Kind::ALL.into_iter().find(|kind| kind.type_url() == type_url);
    let any = Any { type_url: type_url.to_owned(), value: value.to_vec() };
    if let Some(kind) = kind {
        assert_eq!(decodes(kind, &any), Ok(()), "{type_url}");
    }
}

/// The first flight of a TLS client as it arrives; the first byte says in pieces of which size. What it offers never changes
/// when more of it is there, and who offers a protocol of the mesh was taken for TLS.
pub fn handshake(bytes: &[u8]) {
    let Some((size, flight)) = bytes.split_first() else { return };
    // Each piece is looked at from the beginning, as `is_mesh` does.
    let flight = &flight[..flight.len().min(2048)];
    let mut answer = None;
    for end in (0..flight.len()).step_by(usize::from(*size).max(1)).chain([flight.len()]) {
        let now = offers_mesh(&flight[..end]);
        assert!(answer.is_none() || now == answer, "{:?}", &flight[..end]);
        answer = now;
    }
    assert!(answer != Some(true) || judge(flight) == Some(First::Tls), "{flight:?}");
}

/// The first bytes of a connection: an answer never changes when more of them are there.
pub fn detect(bytes: &[u8]) {
    let mut answer = None;
    for end in 0..=bytes.len().min(64) {
        let now = judge(&bytes[..end]);
        assert!(answer.is_none() || now == answer, "{:?}", &bytes[..end]);
        answer = now;
    }
}

/// Trace headers, line by line in the order of the formats: what is read can be written, and read again the same.
pub fn traceparent(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let names = ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"];
    for (name, line) in names.into_iter().zip(bytes.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(name, value);
        }
    }
    if let Some(ids) = read_context(&headers) {
        let mut again = HeaderMap::new();
        let (trace, span) = ids;
        let text = format!("00-{trace}-{span}-00");
        again.insert(
            "traceparent",
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")),
        );
        assert_eq!(read_context(&again).as_ref().map(|ids| &ids.0), Some(&trace));
    }
}

#[cfg(test)]
mod tests;
