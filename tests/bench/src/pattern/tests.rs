//! A stream is accepted as it was sent, in pieces of any size, and not otherwise.

use super::*;

fn sent(length: u64) -> Vec<u8> {
    let (mut stream, mut bytes) = (Stream::new(length), Vec::new());
    while stream.left() > 0 {
        let next = stream.next().to_vec();
        stream.advance(next.len());
        bytes.extend(next);
    }
    bytes
}

#[test]
fn what_was_sent_is_accepted_in_any_pieces() {
    let bytes = sent(200_000);
    assert_eq!(bytes.len(), 200_000);
    for piece in [1, 1000, 65_521, 65_522, 200_000] {
        let mut stream = Stream::new(200_000);
        for part in bytes.chunks(piece) {
            stream.check(part).unwrap();
        }
        assert_eq!(stream.left(), 0);
    }
}

#[test]
fn nothing_else_is() {
    let bytes = sent(200_000);
    let refused = |bytes: &[u8]| assert!(Stream::new(200_000).check(bytes).is_err());
    let mut other = bytes.clone();
    other[150_000] ^= 1;
    refused(&other);
    let mut swapped = bytes.clone();
    swapped[..32_768].rotate_left(16_384);
    refused(&swapped);
    let mut repeated = bytes.clone();
    repeated.copy_within(0..16_384, 16_384);
    refused(&repeated);
    refused(&[&bytes[..], b"x"].concat());
}
