//! Tables, and the property that the pieces in which bytes arrive do not matter.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use proptest::prelude::*;

use super::{Chunked, MAX_LINE, Piece};
use crate::upstream::http1::Malformed;

/// Body, trailers as text, and what is left behind the end; `None` if it has not ended.
type Read = Option<(Vec<u8>, Vec<String>, Vec<u8>)>;

/// Decodes what arrives in the given pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, Malformed> {
    let (mut decoder, mut bytes) = (Chunked::default(), BytesMut::new());
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut bytes)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Trailers(map) => {
                    let line = |(name, value): (_, &http::HeaderValue)| {
                        format!("{name}: {}", value.to_str().unwrap())
                    };
                    trailers.extend(map.iter().map(line));
                }
                Piece::End => break,
                Piece::More => break,
            }
            if decoder.is_done() {
                break;
            }
        }
    }
    Ok(decoder.is_done().then(|| (body, trailers, bytes.to_vec())))
}

fn whole(text: &str) -> Result<Read, Malformed> {
    read([text.as_bytes()])
}

#[test]
fn what_is_right_is_read() {
    let ok = |body: &str, trailers: &[&str], rest: &str| {
        let trailers = trailers.iter().map(|&line| line.to_owned()).collect();
        Ok(Some((body.as_bytes().to_vec(), trailers, rest.as_bytes().to_vec())))
    };
    assert_eq!(whole("0\r\n\r\n"), ok("", &[], ""));
    assert_eq!(whole("5\r\nhello\r\n0\r\n\r\n"), ok("hello", &[], ""));
    assert_eq!(
        whole("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
        ok("01234567890123456789", &[], "")
    );
    assert_eq!(whole("2;name=\"v\"\r\nab\r\n000\r\n\r\nHTTP"), ok("ab", &[], "HTTP"));
    assert_eq!(whole("1 \r\na\r\n0\r\ngrpc-status: 0\r\n\r\n"), ok("a", &["grpc-status: 0"], ""));
    assert_eq!(whole("5\r\nhel"), Ok(None));
    assert_eq!(whole("5\r\nhello\r"), Ok(None));
    assert_eq!(whole("0\r\n"), Ok(None));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(MAX_LINE));
    let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(65));
    for bad in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\n",
        "10000000000000000\r\n",
        "5;\rx\nhello\r\n0\r\n\r\n",
        "0\r\nbad header: x\r\n\r\n",
        &long,
        &many,
    ] {
        // A line that is not whole yet may only be waited for if nothing of it is wrong.
        assert!(whole(bad).is_err(), "{bad:?} was read as {:?}", whole(bad));
    }
}

proptest! {
    #[test]
    fn the_pieces_do_not_matter(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        trailer in any::<bool>(),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(if trailer { b"0\r\na: b\r\n\r\n" } else { b"0\r\n\r\n" });
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
        places.extend([0, wire.len()]);
        places.sort_unstable();
        let pieces = places.windows(2).map(|pair| &wire[pair[0]..pair[1]]);
        let (body, trailers, rest) = read(pieces).unwrap().unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(trailers.len(), usize::from(trailer));
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = read([&bytes[..]]);
    }
}
