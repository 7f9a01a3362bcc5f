//! Input that two readers could understand differently, in bytes, from both sides: from the application into its
//! sidecar, and from outside into a port that takes plaintext. Behind them stands an application that reads to
//! the letter: it sees exactly one request, or none.

use std::net::SocketAddr;

use http::Method;

use crate::harness::{Mesh, RawApp, ask, http2, request};

async fn mesh() -> (Mesh, RawApp, [SocketAddr; 2]) {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = RawApp::start(mesh.app_address("product-v1")).await.unwrap();
    let sides = [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()];
    (mesh, app, sides)
}

/// What a smuggler would like to be read as a second request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn heads_that_read_two_ways() -> Vec<String> {
    let get = |line: &str, headers: &str| format!("{line}\r\n{headers}\r\n{SMUGGLED}");
    vec![
        get("GET /one HTTP/1.1", ""),
        get("GET /one HTTP/1.1", "Host: a\r\nHost: a\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nHost: b\r\n"),
        get("GET /one HTTP/1.1", "Host:\r\n"),
        get("GET /one HTTP/1.1", "Host: a,b\r\n"),
        get("GET /one HTTP/1.1", "Host: user@a\r\n"),
        get("GET http://a/one HTTP/1.1", "Host: b\r\n"),
        get("GET a:80 HTTP/1.1", "Host: a:80\r\n"),
        get("GET /one#x HTTP/1.1", "Host: a\r\n"),
        get("GET /one?x#y HTTP/1.1", "Host: a\r\n"),
        get("GET /one%00 HTTP/1.1", "Host: a\r\n"),
        get("GET /on\u{e9} HTTP/1.1", "Host: a\r\n"),
        get("get /one HTTP/1.1", "Host: a\r\n"),
        get("G(T /one HTTP/1.1", "Host: a\r\n"),
        get("CONNECT a:80 HTTP/1.1", "Host: a:80\r\n"),
        get("GET * HTTP/1.1", "Host: a\r\n"),
        get("GET  /one HTTP/1.1", "Host: a\r\n"),
        get("GET /one HTTP/1.2", "Host: a\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nX_Forwarded_For: 1.2.3.4\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nx_forwarded-client_cert: By=x\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nWeft_Failure: unprocessed\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nContent_Length: 3\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nConnection: close, X-Forwarded-For\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nX: a\r\n b\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nX : a\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nX: a\0b\r\n"),
        get("GET /one HTTP/1.1", "Host: a\r\nX: a\rb\r\n"),
    ]
}

fn bodies_that_read_two_ways() -> Vec<String> {
    let post = |headers: &str, body: &str| {
        format!("POST /one HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}{SMUGGLED}")
    };
    vec![
        post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"),
        post("Content-Length: 3, 3\r\n", "abc"),
        post("Content-Length: +3\r\n", "abc"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "1;a\nb\r\na\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "1\r\nab0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n"),
        post(
            "Transfer-Encoding: chunked\r\n",
            &format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(20_000)),
        ),
        post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nHost: evil\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "0\r\nContent_Length: 9\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "0\r\nX-Forwarded-For: 9\r\n\r\n"),
    ]
}

/// S8–S12 of the catalogue: answered with 400 and the end of the connection, and the application hears nothing.
#[tokio::test]
async fn what_reads_two_ways_is_refused() {
    let (_mesh, app, sides) = mesh().await;
    let cases = [heads_that_read_two_ways(), bodies_that_read_two_ways()].concat();
    assert_eq!(cases.len(), 49);
    for (to, case) in sides.into_iter().flat_map(|to| cases.iter().map(move |case| (to, case))) {
        let answer = ask(to, case.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{case:?}\ngot {answer:?}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{case:?}\ngot {answer:?}");
    }
    assert_eq!(app.heads(), Vec::<String>::new());
    // A body that turned out to be none was on its way already; it broke off and was no request.
    let broken = |fault: &String| fault.contains("broken off") || fault.contains("early eof");
    assert!(app.faults().iter().all(broken), "{:?}", app.faults());
}

/// Odd, but with one meaning: it arrives once, in canonical form.
#[tokio::test]
async fn what_reads_one_way_arrives_in_canonical_form() {
    let (_mesh, app, sides) = mesh().await;
    let end = "Connection: close\r\n\r\n";
    let cases = [
        (format!("GET /a HTTP/1.1\nHost: a\n{}", end.replace('\r', "")), "GET /a HTTP/1.1"),
        (format!("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n{end}"), "GET /a HTTP/1.1"),
        (format!("GET http://a/b/../c HTTP/1.1\r\nHost: A\r\n{end}"), "GET /c HTTP/1.1"),
        (
            format!("GET //a/%2e%2e/%61?x=/../ HTTP/1.1\r\nHost: a\r\n{end}"),
            "GET /a?x=/../ HTTP/1.1",
        ),
        (format!("GET /u/..;x/admin HTTP/1.1\r\nHost: a\r\n{end}"), "GET /admin HTTP/1.1"),
        (format!("GET /a%2Fb HTTP/1.1\r\nHost: a\r\n{end}"), "GET /a%2Fb HTTP/1.1"),
        (format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{end}"), "OPTIONS * HTTP/1.1"),
        (format!("PURGE /a HTTP/1.1\r\nHost: a\r\n{end}"), "PURGE /a HTTP/1.1"),
        ("GET /a HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(), "GET /a HTTP/1.1"),
        ("GET /a HTTP/1.0\r\n\r\n".to_owned(), "GET /a HTTP/1.1"),
        (
            format!(
                "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{end}3 ;x=y\r\nabc\r\n0\r\n\r\n"
            ),
            "POST /a HTTP/1.1",
        ),
        (
            format!(
                "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{end}{SMUGGLED}",
                SMUGGLED.len()
            ),
            "POST /a HTTP/1.1",
        ),
    ];
    for (to, (case, expected)) in
        sides.into_iter().flat_map(|to| cases.iter().map(move |c| (to, c)))
    {
        let before = app.heads().len();
        let answer = ask(to, case.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(" 200 OK\r\n"), "{case:?}\ngot {answer:?}");
        let heads = &app.heads()[before..];
        let lines: Vec<&str> = heads.iter().filter_map(|head| head.lines().next()).collect();
        assert_eq!(lines, [*expected], "{case:?}");
    }
    assert_eq!(app.faults(), Vec::<String>::new());
}

/// What is left of the connection after a refusal is not read as a request, and what came before it is served.
#[tokio::test]
async fn a_pipeline_ends_at_the_first_bad_request() {
    let (_mesh, app, sides) = mesh().await;
    for (number, to) in sides.into_iter().enumerate() {
        let good = "GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
        let bad = "GET /bad#x HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = ask(to, format!("{good}{good}{bad}{good}").as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.matches(" 200 OK").count(), 2, "{answer}");
        assert_eq!(answer.matches(" 400 ").count(), 1, "{answer}");
        assert_eq!(app.heads().len(), 2 * (number + 1));
    }
}

/// S13: over HTTP/2 the request's own parts can disagree too.
#[tokio::test]
async fn http2_requests_that_read_two_ways_are_refused() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let sides = [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()];
    for to in sides {
        for headers in [
            &[("host", "user@a")][..],
            &[("host", "a"), ("x_forwarded_for", "1.2.3.4")],
            &[("host", "a"), ("weft_failure", "broken")],
        ] {
            let answer = http2(to, request(Method::GET, "/", headers, "")).await.unwrap();
            assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
            assert!(answer.header("proxy-status").contains("http_request_error"), "{answer:?}");
        }
        let lower = Method::from_bytes(b"get").unwrap();
        let answer = http2(to, request(lower, "/", &[], "")).await.unwrap();
        assert_eq!(answer.status, 400);
        let dots = http2(to, request(Method::GET, "/a/%2e%2e//b", &[], "")).await.unwrap();
        assert_eq!(dots.json()["path"], "/b");
    }
    assert_eq!(mesh.app("product-v1").count(), 2);
}
