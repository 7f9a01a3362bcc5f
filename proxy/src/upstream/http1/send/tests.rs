//! What is on the wire, to the byte.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;

use bytes::Bytes;
use http::Request;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::Sending;
use crate::body::Body;
use crate::io::Io;

async fn pair() -> (Io, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Io::Plain(near.unwrap()), far.unwrap().0)
}

async fn written(request: Request<Body>) -> String {
    let (mut io, mut far) = pair().await;
    let (parts, body) = request.into_parts();
    let mut sending = Sending::new(parts, body);
    assert!(sending.is_untouched());
    poll_fn(|context| sending.poll(&mut io, context)).await.unwrap();
    assert!(sending.is_done() && !sending.is_untouched());
    drop(io);
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_head_alone() {
    let request = Request::get("/a?b=c").header("host", "shop").header("x-a", "1");
    assert_eq!(
        written(request.body(Body::Empty).unwrap()).await,
        "GET /a?b=c HTTP/1.1\r\nhost: shop\r\nx-a: 1\r\n\r\n"
    );
}

#[tokio::test]
async fn an_absent_host_is_the_targets() {
    let request = Request::get("http://shop:8080/").body(Body::Empty).unwrap();
    assert_eq!(written(request).await, "GET / HTTP/1.1\r\nhost: shop:8080\r\n\r\n");
}

#[tokio::test]
async fn the_framing_is_the_bodys_own() {
    let lies = |method: &str| {
        Request::builder()
            .method(method)
            .uri("/")
            .header("host", "a")
            .header("content-length", "77")
            .header("transfer-encoding", "gzip")
    };
    let full = Body::Full(Bytes::from_static(b"hello"));
    assert_eq!(
        written(lies("POST").body(full).unwrap()).await,
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
    );
    assert_eq!(
        written(lies("GET").body(Body::Empty).unwrap()).await,
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
    );
    let request = Request::put("/").header("host", "a").body(Body::Empty).unwrap();
    assert_eq!(written(request).await, "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
}

#[tokio::test]
async fn what_has_not_left_comes_back() {
    let (_io, _far) = pair().await;
    let request = Request::get("/again").header("x-a", "1").body(Body::Empty).unwrap();
    let (parts, body) = request.into_parts();
    let again = Sending::new(parts, body).take_unsent().unwrap();
    assert_eq!(again.uri().path(), "/again");
    assert_eq!(again.headers()["x-a"], "1");
}
