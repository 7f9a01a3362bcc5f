//! The body that the application sends and the load generator expects, byte for byte. Pseudo-random, so that a
//! proxy which repeats, drops or reorders a buffer cannot pass by chance.

use bytes::Bytes;

/// Bytes in every response body.
pub(crate) const BODY_BYTES: usize = 1024;

/// Path that answers with [`body`].
pub(crate) const PATH: &str = "/1k";

/// The same [`BODY_BYTES`] bytes in every process (xorshift64 from a fixed seed).
pub(crate) fn body() -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(BODY_BYTES);
    while bytes.len() < BODY_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(BODY_BYTES);
    Bytes::from(bytes)
}
