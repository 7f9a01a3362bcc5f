//! Idle connections to the application: they go before the application closes them, and a close that is met all the
//! same is nobody's loss but a POST's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Mesh, eventually, http1, request};

/// Answers on each connection as `answers` allows; a request beyond is read and met with the end.
struct Fickle {
    answers: usize,
    headers: &'static str,
    connections: AtomicUsize,
    requests: AtomicUsize,
    posts: AtomicUsize,
}

impl Fickle {
    async fn start(address: SocketAddr, answers: usize, headers: &'static str) -> Arc<Self> {
        let zero = || AtomicUsize::new(0);
        let app = Self { answers, headers, connections: zero(), requests: zero(), posts: zero() };
        let app = Arc::new(app);
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Arc::clone(&app);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.connections.fetch_add(1, Ordering::Relaxed);
                let app = Arc::clone(&server);
                tokio::spawn(async move { app.serve(stream).await.is_ok() });
            }
        });
        app
    }

    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        for answered in 0.. {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.posts.fetch_add(usize::from(head.starts_with(b"POST")), Ordering::Relaxed);
            if answered == self.answers {
                break;
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n", self.headers);
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

const SOON: Duration = Duration::from_secs(60);

/// The passing of this time is what is tested.
async fn idle(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn send(to: SocketAddr, method: Method) -> (u16, String) {
    let answer = http1(to, request(method, "/", &[], "")).await.unwrap();
    (answer.status.as_u16(), answer.header("proxy-status").to_owned())
}

/// Straight into the receiving sidecar, where no calling one could repair anything.
#[tokio::test]
async fn a_close_that_meets_a_request_is_seen_by_a_post_only_and_that_arrives_once() {
    let mesh = Mesh::builder().without_app("product", "http").start().await;
    let app = Fickle::start(mesh.app_address("product-v1"), 1, "").await;
    let to = mesh.proxy("product-v1").inbound();
    assert_eq!(send(to, Method::GET).await.0, 200);
    idle(Duration::from_millis(700)).await;
    assert_eq!(send(to, Method::GET).await.0, 200, "it went out again");
    assert_eq!((app.connections(), app.requests.load(Ordering::Relaxed)), (2, 3));
    let (status, why) = send(to, Method::POST).await;
    assert_eq!(status, 503);
    assert!(why.contains("error=keep_alive_race"), "{why}");
    assert_eq!(app.posts.load(Ordering::Relaxed), 1, "a POST is sent once");
    assert_eq!(send(to, Method::POST).await.0, 200);
}

#[tokio::test]
async fn an_idle_connection_goes_before_the_application_closes_it() {
    let mesh = Mesh::builder().without_app("product", "http").start().await;
    let to = mesh.proxy("product-v1").inbound();
    let app = Fickle::start(mesh.app_address("product-v1"), 100, "Keep-Alive: timeout=1\r\n").await;
    // Once more if the machine stood still so long that the connection was idle.
    let used = eventually("three in a row", SOON, async || {
        let start = Instant::now();
        assert_eq!(send(to, Method::POST).await.0, 200);
        let used = app.connections();
        for _ in 0..2 {
            assert_eq!(send(to, Method::POST).await.0, 200);
        }
        ensure!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
        assert_eq!(app.connections(), used, "one that is in use stays in use");
        Ok(used)
    })
    .await;
    idle(Duration::from_millis(700)).await;
    assert_eq!(send(to, Method::POST).await.0, 200);
    assert_eq!(app.connections(), used + 1, "the old one was too near its end");
}

/// Nothing is said of a timeout; two closes at about the same age tell it.
#[tokio::test]
async fn the_timeout_of_an_application_is_learnt() {
    let mesh = Mesh::builder().without_app("product", "http").start().await;
    let to = mesh.proxy("product-v1").inbound();
    let listener = TcpListener::bind(mesh.app_address("product-v1")).await.unwrap();
    // Whether it was the application that ended a connection.
    let (closed, mut closes) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let closed = closed.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let limit = Duration::from_secs(3);
                let is_own = loop {
                    let read = tokio::time::timeout(limit, stream.read(&mut buffer)).await;
                    let Ok(Ok(1..)) = read else { break read.is_err() };
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                };
                drop(stream);
                // The test may be over.
                let _ = closed.send(is_own).await;
            });
        }
    });
    for _ in 0..2 {
        assert_eq!(send(to, Method::POST).await.0, 200);
        closes.recv().await.unwrap();
    }
    // A machine that stands still lets the application close later, or first: then there is more to learn.
    eventually("3 s less the margin are over", Duration::from_secs(90), async || {
        assert_eq!(send(to, Method::POST).await.0, 200);
        idle(Duration::from_millis(2700)).await;
        assert_eq!(send(to, Method::POST).await.0, 200);
        let is_own = closes.recv().await.context("it listens")?;
        ensure!(!is_own, "the application ended it");
        Ok(())
    })
    .await;
}
