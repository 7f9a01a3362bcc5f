//! The chunked coding, read piece by piece (RFC 9112 §7.1). Called by `receive` only; pure: bytes in, bytes out.
//!
//! Strict where leniency has let messages be read in two ways: data ends with CRLF and nothing else, sizes are
//! plain hexadecimal, and a line that does not end within [`MAX_LINE`] is refused.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::Malformed;

/// Bound of a chunk's first line, extensions included: nobody needs them, and they have been used to hide bytes.
const MAX_LINE: usize = 256;
/// Bound of all trailers together.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;

/// A decoder somewhere in a body.
#[derive(Debug, Default)]
pub(super) enum Chunked {
    /// Before a chunk's size.
    #[default]
    Size,
    /// So many bytes of data are left of this chunk.
    Data(u64),
    /// Before the CRLF after the data.
    DataEnd,
    /// Before the trailers or their absence.
    Trailers,
    /// Behind it all.
    Done,
}

/// What a step made of the bytes that are there.
#[derive(Debug)]
pub(super) enum Piece {
    /// Data, never empty.
    Data(Bytes),
    /// Trailers, never empty; the body has ended.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// More bytes are needed.
    More,
}

impl Chunked {
    /// Takes what can be taken from the front of `bytes`.
    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Piece, Malformed> {
        loop {
            match self {
                Self::Size => match size(bytes)? {
                    None => return Ok(Piece::More),
                    Some(0) => *self = Self::Trailers,
                    Some(size) => *self = Self::Data(size),
                },
                Self::Data(left) => {
                    if bytes.is_empty() {
                        return Ok(Piece::More);
                    }
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= count as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Piece::Data(bytes.split_to(count).freeze()));
                }
                Self::DataEnd => match bytes.get(..2) {
                    Some(b"\r\n") => {
                        bytes.advance(2);
                        *self = Self::Size;
                    }
                    None if bytes.is_empty() || bytes[0] == b'\r' => return Ok(Piece::More),
                    _ => return Err(Malformed("a chunk is longer than it says")),
                },
                Self::Trailers => {
                    let Some(trailers) = trailers(bytes)? else { return Ok(Piece::More) };
                    *self = Self::Done;
                    let none = trailers.is_empty();
                    return Ok(if none { Piece::End } else { Piece::Trailers(trailers) });
                }
                Self::Done => return Ok(Piece::End),
            }
        }
    }

    /// Is it behind the end?
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

fn size(bytes: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    let bad = Malformed("a chunk's size cannot be read");
    let Some(end) = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(bad) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(bad)?;
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    // Sixteen digits are a u64; from_str_radix would take a sign as well.
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(bad);
    }
    let size = std::str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    bytes.advance(end + 1);
    size.map(Some).ok_or(bad)
}

fn trailers(bytes: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    let bad = Malformed("the trailers cannot be read");
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let (length, fields) = match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_TRAILERS => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(bad),
    };
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad)?;
        map.append(name, HeaderValue::from_bytes(field.value).map_err(|_| bad)?);
    }
    bytes.advance(length);
    Ok(Some(map))
}

#[cfg(test)]
mod tests;
