//! What a connection carries, from its first bytes. They are looked at, not taken.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::upstream::Version;

/// First bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// A request line of HTTP/1.
    Http1,
    /// The connection preface of HTTP/2.
    Http2,
    /// A TLS handshake record.
    Tls,
    /// Something else, or the client left.
    Other,
    /// Nothing within the time given.
    Silent,
}

/// How long a client that may have to hear the server first is waited for. Whoever speaks later is heard all the same,
/// but the server may speak meanwhile.
pub(crate) const SILENCE: Duration = Duration::from_millis(5);
/// How long one is waited for that must speak first.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);
/// Longest method that is looked for, with its space.
const MAX_METHOD: usize = 24;
/// A method that is not over by then is none.
const LONGEST: usize = MAX_METHOD - 2;
/// How far a first line is looked at.
const MAX_LINE: usize = 256;
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// Pause before looking again at a beginning that is still open.
const AGAIN: Duration = Duration::from_millis(2);

/// Waits for the first bytes and judges them; `patience` bounds the wait.
///
/// # Errors
/// If the connection fails.
pub async fn detect(stream: &TcpStream, patience: Duration) -> io::Result<First> {
    let deadline = Instant::now() + patience;
    let mut bytes = [0; MAX_METHOD];
    let mut seen = 0;
    loop {
        let Ok(peeked) = timeout_at(deadline, stream.peek(&mut bytes)).await else {
            return Ok(if seen == 0 { First::Silent } else { First::Other });
        };
        let count = peeked?;
        match judge(&bytes[..count]) {
            Some(first) => return Ok(first),
            // The peer has sent all it will, or has gone on sending nothing.
            None if count == 0 => return Ok(First::Other),
            None => {
                seen = count;
                tokio::time::sleep(AGAIN).await;
            }
        }
        if Instant::now() >= deadline {
            return Ok(First::Other);
        }
    }
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Requests.
    Http(Version),
    /// Bytes that nobody here understands.
    Opaque,
    /// Nothing yet: the client is silent, and perhaps the server speaks first.
    Nothing,
}

/// Tells what a plaintext connection carries whose client has to speak first: on a port that is declared as HTTP, and on
/// one of which nothing is known, because its clients can then be told what is wrong.
///
/// # Errors
/// If the connection fails, or its client speaks no HTTP.
pub async fn carried(stream: &TcpStream) -> io::Result<Carried> {
    Ok(match detect(stream, PATIENCE).await? {
        First::Http2 => Carried::Http(Version::Http2),
        First::Http1 => Carried::Http(Version::Http1),
        First::Other if is_no_http(stream).await? => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks no HTTP"));
        }
        // Declared as HTTP: hyper answers what is none with 400.
        First::Other | First::Tls | First::Silent => Carried::Http(Version::Http1),
    })
}

impl First {
    /// What it is on a port that may carry anything; `None` if that is not known yet.
    #[must_use]
    pub fn carried(self) -> Option<Carried> {
        match self {
            Self::Http1 => Some(Carried::Http(Version::Http1)),
            Self::Http2 => Some(Carried::Http(Version::Http2)),
            Self::Tls | Self::Other => Some(Carried::Opaque),
            Self::Silent => None,
        }
    }
}

/// Whoever does not even claim to speak HTTP would not understand an answer of HTTP either.
async fn is_no_http(stream: &TcpStream) -> io::Result<bool> {
    let mut bytes = [0; MAX_LINE];
    let count = stream.peek(&mut bytes).await?;
    let is_none = claims_no_http(&bytes[..count]);
    if is_none {
        // Taken, so that the connection ends in order: the system resets one with bytes that nobody has read.
        let _ = stream.try_read(&mut bytes);
    }
    Ok(is_none)
}

/// A whole first line that names no version of HTTP. Empty lines before it do not count (RFC 9112 §2.2).
pub(crate) fn claims_no_http(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let end = bytes.iter().position(|byte| *byte == b'\n');
    end.is_some_and(|end| !bytes[..end].windows(5).any(|word| word == b"HTTP/"))
}

/// `None`: more bytes are needed. Bytes are only ever added, so an answer is final.
pub(crate) fn judge(bytes: &[u8]) -> Option<First> {
    if bytes.is_empty() {
        return None;
    }
    // RFC 8446 §5.1: a record of type handshake (22), legacy version 3.x.
    if bytes[0] == 22 {
        return (bytes.len() >= 2).then(|| if bytes[1] == 3 { First::Tls } else { First::Other });
    }
    if bytes.starts_with(PREFACE) {
        return Some(First::Http2);
    }
    if PREFACE.starts_with(bytes) {
        return None;
    }
    // RFC 9110 §9.1: methods are upper case by convention; anything else is left opaque.
    match bytes.iter().position(|byte| !(byte.is_ascii_uppercase() || *byte == b'-')) {
        // Longer ones were called something else before they ended.
        Some(end @ 3..LONGEST) if bytes[end] == b' ' => match bytes.get(end + 1) {
            // origin-form, absolute-form, asterisk-form.
            Some(b'/' | b'h' | b'H' | b'*') => Some(First::Http1),
            Some(_) => Some(First::Other),
            None => None,
        },
        Some(_) => Some(First::Other),
        None => (bytes.len() >= LONGEST).then_some(First::Other),
    }
}

#[cfg(test)]
mod tests;
