//! What counts as a verified response.

use super::complete;

const BODY: &[u8] = b"four";

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes()
}

#[test]
fn a_response_is_complete_with_its_last_byte_and_not_before() {
    let whole = response("200 OK\r\ncontent-length: 4", "four");
    for cut in 0..whole.len() {
        assert!(!complete(&whole[..cut], BODY).unwrap(), "complete after {cut} bytes");
    }
    assert!(complete(&whole, BODY).unwrap());
}

#[test]
fn anything_but_the_expected_response_is_an_error() {
    let cases = [
        ("another body", response("200 OK\r\ncontent-length: 4", "fuor")),
        ("a byte too many", response("200 OK\r\ncontent-length: 4", "four!")),
        ("another length", response("200 OK\r\ncontent-length: 5", "four")),
        ("no length", response("200 OK\r\ndate: today", "four")),
        ("another status", response("503 Service Unavailable\r\ncontent-length: 4", "four")),
        ("a closing", response("200 OK\r\nconnection: close\r\ncontent-length: 4", "four")),
    ];
    for (name, bytes) in cases {
        assert!(complete(&bytes, BODY).is_err(), "{name} was accepted");
    }
}
