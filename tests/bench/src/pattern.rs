//! The bytes that the application sends and the load generator expects, one by one. Pseudo-random, so that a proxy
//! which repeats, drops or reorders a buffer cannot pass by chance.

use anyhow::{Result, ensure};
use bytes::Bytes;

/// Bytes in every response body.
pub(crate) const BODY_BYTES: usize = 1024;

/// Path that answers with [`body`].
pub(crate) const PATH: &str = "/1k";

/// Bytes of a gRPC message, which comes back as it went.
const MESSAGE_BYTES: usize = 256;

/// Bytes of an opaque round trip.
const WORD_BYTES: usize = 128;

/// After so many bytes a stream repeats. No multiple of a power of two, so that it does so at another place of every
/// buffer.
const BLOCK_BYTES: usize = 65_521;

/// The body of every response.
pub(crate) fn body() -> Bytes {
    bytes(BODY_BYTES)
}

/// A gRPC message.
pub(crate) fn message() -> Bytes {
    bytes(MESSAGE_BYTES)
}

/// What goes there and back on an opaque connection.
pub(crate) fn word() -> Bytes {
    bytes(WORD_BYTES)
}

/// The same bytes in every process (xorshift64 from a fixed seed).
fn bytes(length: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

/// A long stream of bytes: where it stands, for whoever sends or checks it.
#[derive(Debug)]
pub(crate) struct Stream {
    block: Bytes,
    at: usize,
    left: u64,
}

impl Stream {
    /// A stream of `length` bytes.
    pub(crate) fn new(length: u64) -> Self {
        Self { block: bytes(BLOCK_BYTES), at: 0, left: length }
    }

    /// The next bytes to send, none at the end; [`Self::advance`] says how many were.
    pub(crate) fn next(&self) -> &[u8] {
        let rest = &self.block[self.at..];
        &rest[..rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))]
    }

    /// So many bytes of [`Self::next`] are sent.
    pub(crate) fn advance(&mut self, sent: usize) {
        self.at = (self.at + sent) % BLOCK_BYTES;
        self.left -= sent as u64;
    }

    /// Bytes that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// An error if `received` is not what comes next.
    pub(crate) fn check(&mut self, mut received: &[u8]) -> Result<()> {
        while !received.is_empty() {
            let next = self.next();
            let length = next.len().min(received.len());
            ensure!(length > 0, "{} bytes after the end of a stream", received.len());
            let (now, later) = received.split_at(length);
            ensure!(now == &next[..length], "a stream differs {} bytes before its end", self.left);
            self.advance(length);
            received = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
