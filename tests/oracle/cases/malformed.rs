//! Requests that two readers could take differently. Both proxies must refuse them or make of them the same one
//! request; only status, end of the connection, and what the upstream saw are compared.

use crate::oracle::case::{Case, Group, Step};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    // A group each: they take their time to end, and then side by side.
    let agreed = AGREED.into_iter().map(|(name, bytes)| Case::new(name, Step::raw(bytes)));
    let stricter = STRICTER.into_iter().map(|(name, reason, bytes)| {
        Case::new(name, Step::raw(bytes).answers(400)).differs(reason)
    });
    let group = |(index, case)| Group::new(format!("malformed-{index}"), "a").cases([case]);
    agreed.chain(stricter).enumerate().map(group).collect()
}

const AGREED: [(&str, &str); 13] = [
    ("sound", "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nconnection: close\r\n\r\n"),
    ("no Host", "GET / HTTP/1.1\r\nx-oracle: $ID\r\n\r\n"),
    (
        "absolute target",
        "GET http://a/x HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nconnection: close\r\n\r\n",
    ),
    (
        "Content-Length twice",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    ),
    (
        "Content-Length and chunked",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "negative length",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ncontent-length: -1\r\n\r\n",
    ),
    (
        "a length that is no number",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ncontent-length: 0x1\r\n\r\nx",
    ),
    ("space before the colon", "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nx-a : 1\r\n\r\n"),
    ("a name that is none", "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nx a: 1\r\n\r\n"),
    ("no name", "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\n: 1\r\n\r\n"),
    ("NUL in a value", "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nx-a: 1\x002\r\n\r\n"),
    ("HTTP/1.0", "GET / HTTP/1.0\r\nhost: a\r\nx-oracle: $ID\r\n\r\n"),
    (
        "bad chunk",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    ),
];

/// What weft-proxy answers 400 to, why, and how it is written.
const STRICTER: [(&str, &str, &str); 8] = [
    (
        "Host twice",
        "two hosts are two requests (RFC 9112 §3.2: 400), Envoy joins them with a comma",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nx-oracle: $ID\r\n\r\n",
    ),
    (
        "absolute target, another Host",
        "the application might believe the Host that the route did not, Envoy believes the target",
        "GET http://a/x HTTP/1.1\r\nhost: b\r\nx-oracle: $ID\r\nconnection: close\r\n\r\n",
    ),
    (
        "unknown coding",
        "one status for every Transfer-Encoding that is not exactly chunked, Envoy says 501",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked not last",
        "a request whose end cannot be known is malformed (RFC 9112 §6.3: 400), Envoy says 501",
        "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    (
        "folded header",
        "folding is obsolete and read in two ways (RFC 9112 §5.2 allows 400), Envoy unfolds",
        "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nx-a: 1\r\n 2\r\n\r\n",
    ),
    (
        "CR in a value",
        "a bare CR ends a line for some (RFC 9112 §2.2), Envoy leaves it out",
        "GET / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nx-a: 1\r2\r\n\r\n",
    ),
    (
        "HTTP/3.0",
        "this is not what is spoken here, Envoy takes it for HTTP/1.1",
        "GET / HTTP/3.0\r\nhost: a\r\nx-oracle: $ID\r\n\r\n",
    ),
    (
        "CONNECT",
        "CONNECT is refused as such, Envoy finds no route for it",
        "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nx-oracle: $ID\r\n\r\n",
    ),
];
