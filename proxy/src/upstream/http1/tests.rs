//! Whole exchanges with a scripted server over a real socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::body::Body;
use crate::cluster::Endpoint;
use crate::error::{Replay, Token};
use crate::model::EndpointSpec;
use crate::overload::Overload;
use crate::testing::stop_the_clock;
use crate::upstream::{Failure, ResponseBody, Upstream, Version};

/// Far above what any of this takes, so that a slow machine does not fail it.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server for which the test speaks, and the way to it.
struct Scene {
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    upstream: Upstream,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spec = EndpointSpec { address, workload: "app.test".into(), identity: None, weight: 1 };
        let endpoint = Arc::new(Endpoint::new(spec, 1));
        Self {
            listener,
            endpoint,
            upstream: Upstream {
                worker: 0,
                tls: Arc::default(),
                own: None,
                overload: Overload::default(),
            },
        }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<ResponseBody>, Failure> {
        let sent = self.upstream.send(None, &self.endpoint, Version::Http1, DEADLINE, request);
        Box::pin(sent).await.map(|sent| sent.response)
    }

    async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }
}

/// Both ends of a dialogue, which must not wait for each other for ever.
async fn within<S, C>(server: impl Future<Output = S>, client: impl Future<Output = C>) -> (S, C) {
    let both = async { tokio::join!(server, client) };
    tokio::time::timeout(DEADLINE, both).await.expect("the dialogue ends")
}

fn get() -> Request<Body> {
    Request::get("/").header("host", "a").body(Body::Empty).unwrap()
}

/// Reads from the test's end up to and including `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// The rest of a body.
async fn rest(mut body: ResponseBody) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|context| body.poll_frame(context)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        all.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    assert!(body.is_end_stream());
    Ok(all)
}

/// Until a connection to that port of this machine has been closed from there.
fn until_the_system_has_the_end(port: u16) {
    let (peer, begun) = (format!("0100007F:{port:04X}"), Instant::now());
    let is_closed = |line: &str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next() == Some(&peer) && fields.next() == Some("08")
    };
    while !std::fs::read_to_string("/proc/self/net/tcp").unwrap().lines().any(is_closed) {
        assert!(begun.elapsed() < DEADLINE, "it is not closed");
    }
}

/// The other end has had many turns, and has sent nothing.
async fn assert_silent(stream: &TcpStream) {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let read = stream.try_read(&mut [0]);
    assert!(read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{read:?}");
}

const HEAD: &str = "\r\n\r\n";

#[tokio::test]
async fn a_connection_is_used_again_once_the_body_has_ended() {
    let scene = Scene::new().await;
    let server = async {
        let mut stream = scene.accept().await;
        for body in [
            "content-length: 5\r\n\r\nhello",
            "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "content-length: 0\r\n\r\n",
        ] {
            read_until(&mut stream, HEAD).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{body}").as_bytes()).await.unwrap();
        }
        stream
    };
    let client = async {
        let mut bodies = Vec::new();
        for _ in 0..3 {
            let response = scene.send(get()).await.unwrap();
            bodies.push(rest(response.into_body()).await.unwrap());
        }
        bodies
    };
    let (_stream, bodies) = within(server, client).await;
    assert_eq!(bodies, [&b"hello"[..], b"hello", b""]);
}

#[tokio::test]
async fn interim_responses_are_not_the_answer() {
    let scene = Scene::new().await;
    let server = async {
        let mut stream = scene.accept().await;
        read_until(&mut stream, HEAD).await;
        let text = "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    };
    let (_stream, response) = within(server, scene.send(get())).await;
    assert_eq!(response.unwrap().status(), 204);
}

#[tokio::test]
async fn what_nobody_asked_for_ends_the_connection() {
    let scene = Scene::new().await;
    let server = async {
        let mut first = scene.accept().await;
        read_until(&mut first, HEAD).await;
        let two = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb";
        first.write_all(two.as_bytes()).await.unwrap();
        let mut second = scene.accept().await;
        read_until(&mut second, HEAD).await;
        second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nc").await.unwrap();
        (first, second)
    };
    let client = async {
        let first = rest(scene.send(get()).await.unwrap().into_body()).await.unwrap();
        let second = rest(scene.send(get()).await.unwrap().into_body()).await.unwrap();
        (first, second)
    };
    let (_streams, bodies) = within(server, client).await;
    assert_eq!(bodies, (b"a".to_vec(), b"c".to_vec()));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let scene = Scene::new().await;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (mut first, response) = tokio::join!(
        async {
            let mut stream = scene.accept().await;
            read_until(&mut stream, HEAD).await;
            stream.write_all(answer).await.unwrap();
            stream
        },
        scene.send(get())
    );
    assert_eq!(response.unwrap().status(), 200);
    first.shutdown().await.unwrap();
    // The runtime hears of nothing meanwhile; only the system knows.
    until_the_system_has_the_end(scene.listener.local_addr().unwrap().port());
    let post = Request::post("/").header("host", "a").body(Body::Full(Bytes::from_static(b"x")));
    let server = async {
        let mut stream = scene.accept().await;
        let text = read_until(&mut stream, "x").await;
        stream.write_all(answer).await.unwrap();
        (stream, text)
    };
    let ((_stream, text), response) = within(server, scene.send(post.unwrap())).await;
    assert_eq!(response.unwrap().status(), 200);
    assert!(text.starts_with("POST / HTTP/1.1\r\n"), "{text}");
}

#[tokio::test]
async fn failures_say_what_can_have_happened() {
    for (answer, token) in [
        ("", Token::ConnectionTerminated),
        ("HTTP/1.1 200", Token::ConnectionTerminated),
        ("220 smtp ready\r\n", Token::ResponseError),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", Token::ResponseError),
    ] {
        let scene = Scene::new().await;
        let server = async {
            let mut stream = scene.accept().await;
            read_until(&mut stream, HEAD).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let ((), result) = within(server, scene.send(get())).await;
        let failure = result.unwrap_err();
        assert_eq!(failure.error.token(), token, "{answer:?}");
        // In plaintext nothing proves that the request was not read.
        assert_ne!(failure.error.replay(), Replay::Safe, "{answer:?}");
        assert!(failure.request.is_none());
    }
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    for answer in [
        "content-length: 5\r\n\r\nhel",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
    ] {
        let scene = Scene::new().await;
        let server = async {
            let mut stream = scene.accept().await;
            read_until(&mut stream, HEAD).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
        };
        let ((), response) = within(server, scene.send(get())).await;
        assert!(rest(response.unwrap().into_body()).await.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let scene = Scene::new().await;
    let server = async {
        let mut stream = scene.accept().await;
        read_until(&mut stream, HEAD).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
    };
    let ((), response) = within(server, scene.send(get())).await;
    assert_eq!(rest(response.unwrap().into_body()).await.unwrap(), b"hello");
}

/// A server that answers before it has read the request, and reads on while its response is read.
#[tokio::test]
async fn a_response_may_come_before_the_request_has_left() {
    const SIZE: usize = 8 << 20;
    let scene = Scene::new().await;
    let server = async {
        let mut stream = scene.accept().await;
        read_until(&mut stream, HEAD).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let mut read = 0;
        let mut buffer = vec![0; 64 * 1024];
        while read < SIZE {
            read += stream.read(&mut buffer).await.unwrap();
        }
        stream
            .write_all(format!("{:x}\r\n{read}\r\n0\r\n\r\n", read.to_string().len()).as_bytes())
            .await
            .unwrap();
        stream
    };
    let client = async {
        let body = Body::Full(Bytes::from(vec![7; SIZE]));
        let request = Request::post("/").header("host", "a").body(body).unwrap();
        rest(scene.send(request).await.unwrap().into_body()).await.unwrap()
    };
    let (_stream, body) = within(server, client).await;
    assert_eq!(body, SIZE.to_string().as_bytes());
}

/// Every request in flight holds one of these.
#[tokio::test]
async fn the_future_of_a_request_is_small() {
    let scene = Scene::new().await;
    let sent = scene.upstream.send(None, &scene.endpoint, Version::Http1, DEADLINE, get());
    let size = size_of_val(&sent);
    assert!(size <= 2048, "{size} bytes");
}

fn expecting() -> Request<Body> {
    let request = Request::post("/").header("host", "a").header("expect", "100-continue");
    request.body(Body::Full(Bytes::from_static(b"body"))).unwrap()
}

#[tokio::test]
async fn a_body_waits_for_the_servers_word() {
    stop_the_clock();
    let scene = Scene::new().await;
    let server = async {
        let mut stream = scene.accept().await;
        read_until(&mut stream, HEAD).await;
        // What is no word for the body frees nothing of it.
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.unwrap();
        assert_silent(&stream).await;
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        assert_eq!(read_until(&mut stream, "body").await, "body");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream
    };
    let (_stream, response) = within(server, scene.send(expecting())).await;
    assert_eq!(response.unwrap().status(), 200);
    assert!(scene.endpoint.pools[0].take_idle().is_some(), "the connection is as good as any");
}

#[tokio::test]
async fn a_refusal_instead_of_the_word_ends_the_connection() {
    stop_the_clock();
    let (scene, refused) = (Scene::new().await, Notify::new());
    let server = async {
        let mut stream = scene.accept().await;
        read_until(&mut stream, HEAD).await;
        let refusal = b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        // For longer than a body waits that may still be wanted.
        refused.notified().await;
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_silent(&stream).await;
        stream.write_all(b"no").await.unwrap();
        let mut more = Vec::new();
        stream.read_to_end(&mut more).await.unwrap();
        more
    };
    let client = async {
        let response = scene.send(expecting()).await.unwrap();
        assert_eq!(response.status(), 417);
        refused.notify_one();
        rest(response.into_body()).await.unwrap()
    };
    let (more, said) = within(server, client).await;
    assert_eq!(said, b"no");
    assert_eq!(more, b"", "no body, and no other request");
    assert!(scene.endpoint.pools[0].take_idle().is_none());
}

#[tokio::test]
async fn a_server_that_never_says_the_word_gets_the_body() {
    let scene = Scene::new().await;
    let server = async {
        let mut stream = scene.accept().await;
        read_until(&mut stream, "body").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    };
    let ((), response) = within(server, scene.send(expecting())).await;
    assert_eq!(response.unwrap().status(), 200);
}
