//! Heads among bodies, in pieces of every size.

use super::{BOTH, FINDINGS, FRAGMENT, Scan, TWICE};

type Found = Option<(u64, usize)>;

/// The same bytes at once and in pieces of each small size must give the same answer.
#[track_caller]
fn scan(bytes: &[u8]) -> (Found, bool) {
    let mut whole = Scan::default();
    let answer = (whole.read(bytes), whole.is_in_head());
    for size in 1..80 {
        let mut scan = Scan::default();
        let found = bytes.chunks(size).filter_map(|piece| scan.read(piece)).next();
        assert_eq!((found, scan.is_in_head()), answer, "in pieces of {size}");
    }
    answer
}

#[test]
fn findings() {
    let cases: &[(&[u8], Found)] = &[
        (b"GET / HTTP/1.1\r\nHost: #\r\n\r\n", None),
        (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", Some((0, FRAGMENT))),
        (b"GET / HTTP/1.1\nHost: a\n\nGET /#a HTTP/1.1\n", Some((1, FRAGMENT))),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\nGET /?#a HTTP/1.1\r\n", Some((1, FRAGMENT))),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET /# H\nGET / HTTP/1.1\r\n", None),
        (b"POST / HTTP/1.1\r\ncontent-length:1\r\n\r\n#GET /# HTTP/1.1\r\n", Some((1, FRAGMENT))),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n", Some((0, BOTH))),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nContent-length: 3\r\n", Some((0, BOTH))),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n", Some((0, TWICE))),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7;#x\r\nGET /# \r\n0\r\nA: #\r\n\r\nGET /# HTTP/1.1\r\n",
            Some((1, FRAGMENT)),
        ),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n", None),
    ];
    for (bytes, expected) in cases {
        assert_eq!(scan(bytes).0, *expected, "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(FINDINGS.len(), 3);
}

#[test]
fn a_fragment_far_down_a_long_target() {
    let long = format!("GET /{}#x HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(500));
    assert_eq!(scan(long.as_bytes()).0, Some((0, FRAGMENT)));
}

#[test]
fn in_a_head_or_not() {
    for (bytes, expected) in [
        (&b""[..], false),
        (b"\r\n", false),
        (b"G", true),
        (b"GET / HTTP/1.1\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", false),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabG", true),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", false),
    ] {
        assert_eq!(scan(bytes).1, expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_upgrade_is_the_end_of_heads() {
    let mut scan = Scan::default();
    scan.read(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    scan.written(b"HTTP/1.1 101 Switching Protocols\r\n");
    assert_eq!(scan.read(b"binary"), None);
    assert!(!scan.is_in_head());
    let mut plain = Scan::default();
    plain.read(b"GET / HTTP/1.1\r\n\r\n");
    plain.written(b"HTTP/1.1 101 Switching Protocols\r\n");
    plain.read(b"GE");
    assert!(plain.is_in_head());
}
