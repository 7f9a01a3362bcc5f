//! Both places over real sockets: what they answer, and what they refuse.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::{AdminSource, Answer, ConfigPart, SOCKET, Socket};
use crate::testing::stop_the_clock;

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Source {
    ready: AtomicBool,
    drains: AtomicUsize,
}

impl AdminSource for Source {
    fn missing(&self) -> Vec<String> {
        let missing = ["no certificate".to_owned(), "no configuration for a.b:80 yet".to_owned()];
        if self.ready.load(Relaxed) { vec![] } else { missing.into() }
    }

    fn metrics(&self) -> String {
        "weft_draining 0\n".into()
    }

    fn config(&self, part: ConfigPart) -> Value {
        json!([format!("{part:?}")])
    }

    fn stats(&self) -> Value {
        json!({ "workers": 2 })
    }

    fn drain(&self) -> Answer {
        self.drains.fetch_add(1, Relaxed);
        Box::pin(async { json!({ "drained": true }) })
    }
}

struct Places {
    source: Arc<Source>,
    health: std::net::SocketAddr,
    socket: PathBuf,
    dir: tempfile::TempDir,
}

fn places() -> Places {
    let source = Arc::new(Source::default());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let socket = Socket::bind(&path).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let health = listener.local_addr().unwrap();
    tokio::spawn(super::serve_health(listener, source.clone()));
    tokio::spawn(super::serve_socket(socket, source.clone()));
    Places { source, health, socket: path, dir }
}

/// Sends bytes and reads to the end of the connection.
async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &str) -> String {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Status and body.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
) -> (u16, String) {
    let answer = say(stream, &request(method, path)).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

impl Places {
    async fn tcp(&self, method: &str, path: &str) -> (u16, String) {
        ask(TcpStream::connect(self.health).await.unwrap(), method, path).await
    }

    async fn unix(&self, method: &str, path: &str) -> (u16, String) {
        ask(UnixStream::connect(&self.socket).await.unwrap(), method, path).await
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let places = places();
    let missing = "no certificate\nno configuration for a.b:80 yet\n";
    assert_eq!(places.tcp("GET", "/ready").await, (503, missing.into()));
    assert_eq!(places.unix("GET", "/ready").await, (503, missing.into()));
    assert_eq!(places.tcp("GET", "/live").await, (200, "live\n".into()));
    places.source.ready.store(true, Relaxed);
    assert_eq!(places.tcp("GET", "/ready").await, (200, "ready\n".into()));
    assert_eq!(places.tcp("HEAD", "/ready").await, (200, String::new()));
    assert_eq!(places.tcp("GET", "/metrics").await, (200, "weft_draining 0\n".into()));
}

#[tokio::test]
async fn the_socket_shows_everything() {
    let places = places();
    for (path, expected) in [
        ("/v1/config/routes", json!(["Routes"])),
        ("/v1/config/clusters", json!(["Clusters"])),
        ("/v1/config/endpoints", json!(["Endpoints"])),
        ("/v1/config/certificate", json!(["Certificate"])),
        ("/v1/config/listeners", json!(["Listeners"])),
        ("/v1/config/listeners?x=1", json!(["Listeners"])),
        ("/v1/stats", json!({ "workers": 2 })),
        ("/v1/version", json!({ "name": "weft-proxy", "version": env!("CARGO_PKG_VERSION") })),
    ] {
        let (status, body) = places.unix("GET", path).await;
        assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(expected)), "{path}");
    }
    assert_eq!(places.unix("GET", "/metrics").await.0, 200);
}

#[tokio::test]
async fn a_drain_is_asked_for_by_post_on_the_socket_only() {
    let places = places();
    assert_eq!(places.unix("GET", "/v1/drain").await.0, 405);
    assert_eq!(places.tcp("POST", "/v1/drain").await.0, 404);
    assert_eq!(places.source.drains.load(Relaxed), 0);
    assert_eq!(super::drain(&places.socket).await.unwrap(), json!({ "drained": true }));
    assert_eq!(places.source.drains.load(Relaxed), 1);
    let nowhere = super::drain(&places.dir.path().join("nothing")).await.unwrap_err();
    assert!(nowhere.to_string().contains("nothing"), "{nowhere}");
}

#[tokio::test]
async fn tcp_has_nothing_to_change_and_no_configuration() {
    let places = places();
    for endpoint in SOCKET.iter().filter(|endpoint| endpoint.path.starts_with("/v1/")) {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            assert_eq!(
                places.tcp(method, endpoint.path).await.0,
                404,
                "{method} {}",
                endpoint.path
            );
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(places.tcp(method, "/ready").await.0, 405, "{method}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_told_the_known_ones() {
    let places = places();
    let (status, body) = places.unix("GET", "/v1/nothing").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 404);
    assert_eq!(body["known"].as_array().unwrap().len(), SOCKET.len());
    assert!(body["error"].as_str().unwrap().starts_with("there is no /v1/nothing; there are GET"));
    let (_, body) = places.tcp("GET", "/").await;
    assert!(!body.contains("/v1/"), "TCP does not tell of the socket: {body}");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let places = places();
    let head = "POST /v1/drain HTTP/1.1\r\nhost: x\r\ncontent-length: ";
    for (size, status) in [(64 << 10, "200"), ((64 << 10) + 1, "413")] {
        let stream = UnixStream::connect(&places.socket).await.unwrap();
        let answer = say(stream, &format!("{head}{size}\r\n\r\n{}", "x".repeat(size))).await;
        assert_eq!(answer.split(' ').nth(1), Some(status));
    }
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_lock_others_out() {
    stop_the_clock();
    let places = places();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(places.health).await.unwrap());
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(places.tcp("GET", "/live").await.0, 200);
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody had to be given up first");
}

#[tokio::test]
async fn the_socket_is_ours_alone_and_replaces_a_dead_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "as a process leaves it that was killed");
    let socket = Socket::bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Socket::bind(&path).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AddrInUse, "{second}");
    drop(socket);
    assert!(!path.exists());
    std::fs::File::create(&path).unwrap().write_all(b"precious").unwrap();
    assert!(Socket::bind(&path).unwrap_err().to_string().contains("no socket"));
    assert_eq!(read(&path), "precious");
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}
