//! How gRPC frames a message on a stream: a byte that says whether it is compressed, its length in four bytes, and
//! itself. Used by the application and by the load generator.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes before a message.
const PREFIX: usize = 5;

/// A message with its prefix.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX + message.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).expect("messages here are small"));
    bytes.put_slice(message);
    bytes.freeze()
}

/// Is it one whole message that is not compressed, and nothing else?
pub(crate) fn is_one_message(bytes: &[u8]) -> bool {
    let Some((prefix, message)) = bytes.split_first_chunk::<PREFIX>() else { return false };
    let [compressed, length @ ..] = *prefix;
    compressed == 0 && u32::from_be_bytes(length) as usize == message.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_and_nothing_else() {
        let framed = frame(b"abc");
        assert_eq!(framed, b"\0\0\0\0\x03abc".as_slice());
        assert!(is_one_message(&framed));
        assert!(is_one_message(&frame(b"")));
        for other in
            [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x03ab", b"\0\0\0\0\x03abcd", b"\x01\0\0\0\x03abc"]
        {
            assert!(!is_one_message(other), "{other:?}");
        }
    }
}
