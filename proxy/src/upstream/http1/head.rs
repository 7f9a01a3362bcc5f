//! The head of a response (RFC 9112 §4, §6.3). Called by `exchange` only; pure.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::Malformed;
use super::chunked::Chunked;

/// Bound of a head in bytes.
pub(super) const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;

/// A response head and what follows from it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Coding,
    /// The connection can carry another request after this response.
    pub(super) keep_alive: bool,
}

/// How the end of a body is found.
#[derive(Debug)]
pub(super) enum Coding {
    /// There is none.
    Empty,
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// It ends with the connection.
    UntilClose,
}

/// Takes a head from the front of `bytes`, if it is whole. `method` is the request's.
pub(super) fn parse(bytes: &mut BytesMut, method: &Method) -> Result<Option<Head>, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, &bytes[..], &mut fields);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Malformed("the head is too large"));
        }
        Err(_) => return Err(Malformed("the head cannot be read")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("the status cannot be read"))?;
    let version = if response.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut headers = headers(&bytes[..length], response.headers)?;
    bytes.advance(length);
    let close =
        says(&headers, "close") || (version == Version::HTTP_10 && !says(&headers, "keep-alive"));
    let (body, clean) = coding(status, version, &headers, method)?;
    if matches!(body, Coding::Chunked(_)) {
        // What is passed on must not be framed by a length that the chunks overrule.
        headers.remove(CONTENT_LENGTH);
    }
    let keep_alive = !close && clean && !matches!(body, Coding::UntilClose);
    Ok(Some(Head { status, version, headers, body, keep_alive }))
}

/// One copy of the head carries all values, so that they do not hold the read buffer.
fn headers(head: &[u8], fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let bad = Malformed("a header cannot be read");
    let block = Bytes::copy_from_slice(head);
    let mut headers = HeaderMap::with_capacity(fields.len() + 2);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad)?;
        // Both lie in `head`, so the difference is the value's place in it.
        let start = field.value.as_ptr() as usize - head.as_ptr() as usize;
        let value = block.slice(start..start + field.value.len());
        headers.append(name, HeaderValue::from_maybe_shared(value).map_err(|_| bad)?);
    }
    Ok(headers)
}

/// RFC 9112 §6.3. The second value: nothing about the framing is doubtful.
fn coding(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    method: &Method,
) -> Result<(Coding, bool), Malformed> {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if *method == Method::HEAD || status.is_informational() || bodiless {
        return Ok((Coding::Empty, true));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(first) = codings.next() {
        let chunked = first.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        if !chunked || version != Version::HTTP_11 {
            return Err(Malformed("a transfer-encoding other than chunked"));
        }
        let alone = !headers.contains_key(CONTENT_LENGTH);
        return Ok((Coding::Chunked(Chunked::default()), alone));
    }
    match length(headers)? {
        None => Ok((Coding::UntilClose, true)),
        Some(0) => Ok((Coding::Empty, true)),
        Some(length) => Ok((Coding::Length(length), true)),
    }
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let bad = Malformed("content-length cannot be read");
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.as_bytes();
        // A parser would take a sign as well.
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(bad);
        }
        let one = value.to_str().ok().and_then(|text| text.parse::<u64>().ok()).ok_or(bad)?;
        if length.is_some_and(|other| other != one) {
            return Err(Malformed("two different content-lengths"));
        }
        length = Some(one);
    }
    Ok(length)
}

fn says(headers: &HeaderMap, option: &str) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    })
}

#[cfg(test)]
mod tests;
