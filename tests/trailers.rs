//! Trailers through both sidecars, both ways, in chunks of HTTP/1.1 and over HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::harness::{Mesh, RawApp, ask, head, until, within};

const CHUNKED: &str =
    "POST /up HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn chunked(trailers: &str) -> (Mesh, TcpListener, TcpStream) {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = TcpListener::bind(mesh.app_address("product-v1")).await.unwrap();
    let mut client = TcpStream::connect(mesh.entry("gateway", "product")).await.unwrap();
    let request = format!("{CHUNKED}5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n{trailers}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    (mesh, app, client)
}

async fn accepted(app: &TcpListener) -> TcpStream {
    within("the application is called", Duration::from_secs(10), app.accept()).await.unwrap().0
}

#[tokio::test]
async fn chunks_and_their_trailers_pass_both_ways() {
    let (_mesh, app, mut client) = chunked("x-checksum: abc\r\n").await;
    let mut server = accepted(&app).await;
    let asked = head(&mut server).await.unwrap().to_ascii_lowercase();
    assert!(asked.contains("\r\ntransfer-encoding: chunked\r\n"), "{asked}");
    assert!(asked.contains("\r\nte: trailers\r\n"), "{asked}");
    let body = until(&mut server, "0\r\nx-checksum: abc\r\n\r\n").await.unwrap();
    assert!(body.contains("hello\r\n") && !body.contains("x=y"), "{body}");
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, set-cookie\r\n\r\n\
        3\r\nfoo\r\n0\r\nx-sum: 7\r\nset-cookie: a=b\r\nx-unsaid: 1\r\n\r\n";
    server.write_all(answer.as_bytes()).await.unwrap();
    let answer = head(&mut client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let body = until(&mut client, "\r\n\r\n").await.unwrap().to_ascii_lowercase();
    assert!(body.contains("foo\r\n0\r\n") && body.ends_with("x-sum: 7\r\n\r\n"), "{body}");
    assert!(!body.contains("set-cookie") && !body.contains("x-unsaid"), "{body}");
    // Both connections go on behind the trailers.
    client.write_all(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let next = head(&mut server).await.unwrap();
    assert!(next.starts_with("GET /next "), "{next}");
}

#[tokio::test]
async fn a_request_with_a_forbidden_trailer_never_becomes_whole() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = RawApp::start(mesh.app_address("product-v1")).await.unwrap();
    let entry = mesh.entry("gateway", "product");
    for forbidden in ["content-length: 9", "x_forwarded_for: 10.0.0.1", "cookie: a=b"] {
        let request = format!("{CHUNKED}5\r\nhello\r\n0\r\n{forbidden}\r\n\r\n");
        let answer = ask(entry, request.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{forbidden}: {answer}");
    }
    assert_eq!(app.heads(), Vec::<String>::new(), "what came whole");
    let request = format!("{CHUNKED}5\r\nhello\r\n0\r\nx-fine: 1\r\n\r\n");
    let mut client = TcpStream::connect(entry).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = head(&mut client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(app.heads().len(), 1);
}

type Frames = tokio_stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>;

fn body(data: &'static str, trailers: HeaderMap) -> StreamBody<Frames> {
    let frames =
        vec![Ok(Frame::data(Bytes::from_static(data.as_bytes()))), Ok(Frame::trailers(trailers))];
    StreamBody::new(tokio_stream::iter(frames))
}

/// An application of HTTP/2 that answers with the request's trailers as its own, and one that none may send.
async fn echo(address: SocketAddr) -> AbortHandle {
    let listener = TcpListener::bind(address).await.unwrap();
    let serve = async |request: Request<Incoming>| {
        let collected = request.into_body().collect().await.expect("it comes whole");
        let mut trailers = collected.trailers().cloned().unwrap_or_default();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("set-cookie", HeaderValue::from_static("a=b"));
        Ok::<_, Infallible>(Response::new(body("answer", trailers)))
    };
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The sidecar's leaving is no failure.
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(serve))
                    .await;
            });
        }
    });
    server.abort_handle()
}

#[tokio::test]
async fn trailers_of_http2_pass_both_ways() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = echo(mesh.app_address("product-v1")).await;
    let stream = TcpStream::connect(mesh.entry("gateway", "product")).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.expect("it is HTTP/2");
    let connection = tokio::spawn(connection);
    for content_type in ["application/grpc", "text/plain"] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("abc"));
        let request = Request::post("http://product.shop/x").header("content-type", content_type);
        let request = request.header("te", "trailers").body(body("question", trailers)).unwrap();
        let sent = within("an answer", Duration::from_secs(10), sender.send_request(request));
        let answer = sent.await.unwrap().into_body().collect().await.unwrap();
        let trailers = answer.trailers().cloned().unwrap_or_default();
        assert_eq!(trailers["x-checksum"], "abc", "{content_type}");
        assert_eq!(trailers["grpc-status"], "0", "{content_type}");
        assert!(!trailers.contains_key("set-cookie"), "{content_type}");
        assert_eq!(answer.to_bytes(), "answer");
    }
    connection.abort();
    app.abort();
}
