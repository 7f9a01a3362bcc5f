//! Tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::Method;
use proptest::prelude::*;

use super::{Coding, MAX_HEAD, parse};

/// Status, coding, and whether the connection may be used again; or the complaint.
fn read(method: &Method, text: &str) -> String {
    let mut bytes = BytesMut::from(text);
    match parse(&mut bytes, method) {
        Ok(None) => "more".to_owned(),
        Err(malformed) => format!("refused: {}", malformed.0),
        Ok(Some(head)) => {
            let body = match head.body {
                Coding::Empty => "empty".to_owned(),
                Coding::Length(length) => format!("{length}"),
                Coding::Chunked(_) => "chunked".to_owned(),
                Coding::UntilClose => "until close".to_owned(),
            };
            let keep = if head.keep_alive { "keep" } else { "close" };
            format!("{} {body} {keep} +{}", head.status.as_u16(), bytes.len())
        }
    }
}

#[test]
fn heads() {
    let get = |fields: &str| read(&Method::GET, &format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
    for (fields, expected) in [
        ("content-length: 5\r\n", "200 5 keep +0"),
        ("Content-Length: 0\r\n", "200 empty keep +0"),
        ("content-length: 5\r\ncontent-length: 5\r\n", "200 5 keep +0"),
        ("content-length: 5\r\ncontent-length: 6\r\n", "refused: two different content-lengths"),
        ("content-length: +5\r\n", "refused: content-length cannot be read"),
        ("content-length: 5, 5\r\n", "refused: content-length cannot be read"),
        ("content-length: 99999999999999999999\r\n", "refused: content-length cannot be read"),
        ("transfer-encoding: Chunked\r\n", "200 chunked keep +0"),
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "200 chunked close +0"),
        ("transfer-encoding: gzip, chunked\r\n", "refused: a transfer-encoding other than chunked"),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "refused: a transfer-encoding other than chunked",
        ),
        ("", "200 until close close +0"),
        ("connection: close\r\ncontent-length: 5\r\n", "200 5 close +0"),
        ("connection: x, Close\r\ncontent-length: 5\r\n", "200 5 close +0"),
        ("bad name: x\r\n", "refused: the head cannot be read"),
        ("a : x\r\n", "refused: the head cannot be read"),
    ] {
        assert_eq!(get(fields), expected, "{fields:?}");
    }
}

#[test]
fn what_has_no_body() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(read(&Method::HEAD, text), "200 empty keep +0");
    for (status, expected) in [
        (204, "204 empty keep +0"),
        (304, "304 empty keep +0"),
        (100, "100 empty keep +0"),
        (205, "205 5 keep +0"),
    ] {
        let text = format!("HTTP/1.1 {status} x\r\ncontent-length: 5\r\n\r\n");
        assert_eq!(read(&Method::GET, &text), expected);
    }
}

#[test]
fn old_servers() {
    let text = "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(read(&Method::GET, text), "200 5 close +0");
    let text = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(read(&Method::GET, text), "200 5 keep +0");
    let text = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(read(&Method::GET, text), "refused: a transfer-encoding other than chunked");
    assert_eq!(read(&Method::GET, "SSH-2.0-x\r\n"), "refused: the head cannot be read");
}

#[test]
fn a_head_has_bounds() {
    let endless = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(MAX_HEAD));
    assert_eq!(read(&Method::GET, &endless), "refused: the head is too large");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(129));
    assert_eq!(read(&Method::GET, &many), "refused: the head is too large");
}

#[test]
fn headers_are_whole_and_the_body_stays() {
    let text = "HTTP/1.1 201 Created\r\nX-One:  a b \r\nset-cookie: 1\r\nset-cookie: 2\r\ncontent-length: 3\r\n\r\nabc";
    let mut bytes = BytesMut::from(text);
    let head = parse(&mut bytes, &Method::GET).unwrap().unwrap();
    assert_eq!(head.headers["x-one"], "a b");
    let cookies: Vec<_> = head.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["1", "2"]);
    assert_eq!(&bytes[..], b"abc");
}

proptest! {
    #[test]
    fn a_part_of_a_head_is_waited_for(cut in 0_usize..67) {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-header: value of header\r\n\r\n";
        let expected = if cut < text.len() { "more" } else { "200 5 keep +0" };
        prop_assert_eq!(read(&Method::GET, &text[..cut.min(text.len())]), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(&mut BytesMut::from(&bytes[..]), &Method::GET);
    }
}
