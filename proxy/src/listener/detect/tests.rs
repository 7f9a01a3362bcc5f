//! First bytes, one beginning at a time.

use super::{First, claims_no_http, judge};

#[test]
fn whole_beginnings() {
    let cases: &[(&[u8], First)] = &[
        (b"GET / HTTP/1.1\r\n", First::Http1),
        (b"OPTIONS * HTTP/1.1\r\n", First::Http1),
        (b"PROPFIND /x HTTP/1.1\r\n", First::Http1),
        (b"GET http://a/ HTTP/1.1\r\n", First::Http1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", First::Http2),
        (&[22, 3, 1, 2, 0, 1], First::Tls),
        (&[22, 9], First::Other),
        (b"SSH-2.0-OpenSSH\r\n", First::Other),
        (b"get / HTTP/1.1", First::Other),
        (b"*1\r\n$4\r\nPING\r\n", First::Other),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", First::Other),
        (b"HELO mail.example.com", First::Other),
        (b"AAAAAAAAAAAAAAAAAAAAAAAAAA", First::Other),
    ];
    for (bytes, expected) in cases {
        assert_eq!(judge(bytes), Some(*expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_answer_never_changes_with_more_bytes() {
    for whole in [
        &b"GET / HTTP/1.1"[..],
        b"PRI * HTTP/2.0\r\n",
        b"PROPFIND /x ",
        b"USER anonymous",
        // Found by fuzzing.
        b"APRIZZZZZZZZZZZZZZZZZZZZZ A*",
        b"ZZZZZZZZZZZZZZZZZZZZZ /",
        b"ZZZZZZZZZZZZZZZZZZZZZZ /",
    ] {
        let mut answer = None;
        for end in 0..=whole.len() {
            let now = judge(&whole[..end]);
            assert!(answer.is_none() || now == answer, "{:?}", &whole[..end]);
            answer = now;
        }
        assert!(answer.is_some());
    }
}

#[test]
fn who_claims_to_speak_http() {
    for line in ["SSH-2.0-OpenSSH\r\n", "INVALID CONNECTION PREFACE\r\n\r\n", "GET /old\r\n"] {
        assert!(claims_no_http(line.as_bytes()), "{line:?}");
    }
    for line in [
        "get / HTTP/1.1\r\n",
        "GET foo HTTP/9.9\n",
        "GET / HTTP/1.1",
        "INVALID",
        "",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "\n",
    ] {
        assert!(!claims_no_http(line.as_bytes()), "{line:?}");
    }
}
