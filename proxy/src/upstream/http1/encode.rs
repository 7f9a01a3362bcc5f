//! A request as HTTP/1.1 writes it (RFC 9112 §3, §7.1). Called by `exchange` only; pure.
//!
//! Framing is decided here and nowhere else, from what the body itself says: whatever `content-length` and
//! `transfer-encoding` the request came with do not travel, so that a message can never be framed twice.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, request};
use http_body::Body as _;

use crate::body::Body;

/// How a body is delimited on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    /// So many bytes, still to come.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// What a chunk ends with.
pub(super) const CRLF: &[u8] = b"\r\n";

/// Writes the request line and the headers.
pub(super) fn head(parts: &request::Parts, body: &Body, out: &mut BytesMut) -> Framing {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    out.reserve(64 + target.len() + 48 * parts.headers.len());
    out.put_slice(parts.method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    if let (None, Some(authority)) = (parts.headers.get(HOST), parts.uri.authority()) {
        line(out, HOST.as_str(), authority.as_str().as_bytes());
    }
    for (name, value) in &parts.headers {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            line(out, name.as_str(), value.as_bytes());
        }
    }
    let framing = framing(body);
    match framing {
        Framing::Empty if says_its_length(parts) => out.put_slice(b"content-length: 0\r\n"),
        Framing::Empty => {}
        Framing::Length(length) => {
            // Writing to memory does not fail.
            let _ = write!(out, "content-length: {length}\r\n");
        }
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.put_slice(CRLF);
    framing
}

fn framing(body: &Body) -> Framing {
    if body.is_end_stream() {
        return Framing::Empty;
    }
    body.size_hint().exact().map_or(Framing::Chunked, Framing::Length)
}

/// RFC 9110 §8.6: a method that anticipates content says that there is none.
fn says_its_length(parts: &request::Parts) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method)
        || parts.headers.contains_key(CONTENT_LENGTH)
}

/// What goes before the data of a chunk.
pub(super) fn chunk_size(length: usize, out: &mut BytesMut) {
    let _ = write!(out, "{length:X}\r\n");
}

/// What goes after the last chunk.
pub(super) fn last_chunk(trailers: Option<&HeaderMap>, out: &mut BytesMut) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        line(out, name.as_str(), value.as_bytes());
    }
    out.put_slice(CRLF);
}

fn line(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(CRLF);
}
