//! `Expect: 100-continue` through both sidecars: the word for a body is the application's and nobody else's.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
