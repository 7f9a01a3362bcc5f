//! `Expect: 100-continue` through both sidecars: the word for a body is the application's and nobody else's.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::frames::{self, DATA, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::harness::{Mesh, head, until, within};

const ASK: &[u8] =
    b"POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client that has asked, and an application that has heard it.
struct Scene {
    mesh: Mesh,
    app: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Scene {
    async fn new() -> Self {
        let builder = Mesh::builder().without_app("product", "http").caller("gateway");
        let mesh = builder.start().await;
        let app = TcpListener::bind(mesh.app_address("product-v1")).await.unwrap();
        let mut client = TcpStream::connect(mesh.entry("gateway", "product")).await.unwrap();
        client.write_all(ASK).await.unwrap();
        let server = heard(&app).await;
        Self { mesh, app, client, server }
    }
}

async fn heard(app: &TcpListener) -> TcpStream {
    let accepted = within("the application is called", Duration::from_secs(10), app.accept()).await;
    let mut server = accepted.unwrap().0;
    let asked = head(&mut server).await.unwrap().to_ascii_lowercase();
    assert!(asked.contains("\r\nexpect: 100-continue\r\n"), "{asked}");
    server
}

/// Nothing is there to read. What is said too early has been said by now: the application has heard the head since.
fn assert_silent(stream: &TcpStream) {
    let read = stream.try_read(&mut [0; 64]);
    assert!(read.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "{read:?}");
}

#[tokio::test]
async fn the_applications_word_comes_back_before_the_body_goes() {
    let Scene { mesh: _mesh, app: _app, mut client, mut server } = Scene::new().await;
    assert_silent(&client);
    server.write_all(GO_ON).await.unwrap();
    let word = head(&mut client).await.unwrap();
    assert!(word.starts_with("HTTP/1.1 100 "), "{word}");
    client.write_all(b"body").await.unwrap();
    assert_eq!(until(&mut server, "body").await.unwrap(), "body");
    server.write_all(OK).await.unwrap();
    let answer = until(&mut client, "ok").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Both connections go on.
    client.write_all(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(head(&mut server).await.unwrap().starts_with("GET /next "));
    server.write_all(OK).await.unwrap();
    until(&mut client, "ok").await.unwrap();
}

#[tokio::test]
async fn a_final_answer_instead_leaves_no_body_anywhere() {
    for status in ["401 Unauthorized", "413 Content Too Large", "417 Expectation Failed"] {
        let Scene { mesh, app, mut client, mut server } = Scene::new().await;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        server.write_all(answer.as_bytes()).await.unwrap();
        let answer = until(&mut client, "no").await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", &status[..3])), "{answer}");
        let mut rest = Vec::new();
        let ended = server.read_to_end(&mut rest);
        within("the connection to the application ends", Duration::from_secs(5), ended)
            .await
            .unwrap();
        assert_eq!(rest, b"", "the client has sent no body");
        // A client that sends the body all the same, and looks like a request in it, is not heard.
        let _ = client.write_all(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut next = TcpStream::connect(mesh.entry("gateway", "product")).await.unwrap();
        next.write_all(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let accepted = within("the next request", Duration::from_secs(10), app.accept()).await;
        let mut server = accepted.unwrap().0;
        let asked = head(&mut server).await.unwrap();
        assert!(asked.starts_with("GET /next "), "{asked}");
        server.write_all(OK).await.unwrap();
        until(&mut next, "ok").await.unwrap();
    }
}

/// RFC 9110 §10.1.1: a client need not wait for ever, and neither need its sidecars.
#[tokio::test]
async fn an_application_that_never_says_the_word_gets_the_body() {
    let Scene { mesh: _mesh, app: _app, mut client, mut server } = Scene::new().await;
    client.write_all(b"body").await.unwrap();
    assert_eq!(until(&mut server, "body").await.unwrap(), "body");
    server.write_all(OK).await.unwrap();
    let answers = until(&mut client, "ok").await.unwrap();
    assert!(answers.contains("HTTP/1.1 200 "), "{answers}");
}

/// HTTP/2 has no word to wait for here: a final answer comes while nothing of the body has gone, and the body passes
/// whenever the client sends it.
#[tokio::test]
async fn over_http2_the_answer_comes_before_the_body_or_after_it() {
    const SOON: Duration = Duration::from_secs(10);
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = TcpListener::bind(mesh.app_address("product-v1")).await.unwrap();
    let mut client = Raw::connect(mesh.entry("gateway", "product"), &[]).await.unwrap();
    let mut head = frames::get("product.shop");
    // POST, which is next to GET in HPACK's table.
    head[0] = 0x83;
    head.extend(frames::literal("expect", "100-continue", false));
    client.put(HEADERS, END_HEADERS, 1, &head);
    client.send().await.unwrap();
    let accepted = within("the application is called", SOON, app.accept()).await;
    let mut server = Raw::accept(accepted.unwrap().0).await.unwrap();
    server.until(SOON, |frame| frame.kind == HEADERS).await;
    server.put(HEADERS, END_HEADERS | END_STREAM, 1, &[0x08, 3, b'4', b'1', b'7']);
    server.send().await.unwrap();
    let frames = client.until(SOON, |frame| frame.kind == HEADERS && frame.stream == 1).await;
    assert!(frames.iter().any(|frame| frame.kind == HEADERS), "{frames:?}");
    client.put(HEADERS, END_HEADERS, 3, &head);
    client.put(DATA, END_STREAM, 3, b"body");
    client.send().await.unwrap();
    let is_last = |frame: &frames::Frame| frame.kind == DATA && frame.flags & END_STREAM != 0;
    let frames = server.until(SOON, is_last).await;
    let data = frames.iter().filter(|frame| frame.kind == DATA).map(|frame| &frame.payload[..]);
    assert_eq!(data.collect::<Vec<_>>().concat(), b"body", "of the second request only");
    server.put(HEADERS, END_HEADERS | END_STREAM, 3, frames::OK);
    server.send().await.unwrap();
    let frames = client.until(SOON, |frame| frame.kind == HEADERS && frame.stream == 3).await;
    assert!(frames.iter().any(|frame| frame.kind == HEADERS), "{frames:?}");
}
