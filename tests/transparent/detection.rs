//! How a protocol is told on a port of which nothing is declared, without anybody waiting for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{CLIENT, WEB, caller, serve, web};
use crate::harness::{PodNetwork, TcpApp, loud, within};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n";

/// The time from connecting to the first byte of the server's banner.
async fn banner(to: SocketAddr) -> Result<Duration> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(to).await?;
    let mut greeting = vec![0; TcpApp::GREETING.len()];
    stream.read_exact(&mut greeting).await?;
    anyhow::ensure!(greeting == TcpApp::GREETING, "{greeting:?}");
    stream.write_all(b"HELO").await?;
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await?;
    anyhow::ensure!(&echo == b"HELO", "{echo:?}");
    Ok(started.elapsed())
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_at_once() {
    let Some(mesh) = web("").start("banner").await else { return };
    let web = mesh.pod("web");
    let address = web.v4(8080);
    let _app = web.on(TcpApp::greeting(address)).await.unwrap();
    let service = PodNetwork::service_v4(WEB, 80);
    let mut times = Vec::new();
    // In the mesh, and from outside in plaintext; the first contact is one of them.
    for (pod, to) in [(mesh.pod("client"), service), (mesh.outside(), address)] {
        for _ in 0..20 {
            times.push(
                within("a banner", Duration::from_secs(5), pod.on(banner(to))).await.unwrap(),
            );
        }
    }
    let (first, worst) = (times[0], times.iter().max().unwrap());
    loud(&format!("connect to banner and echo: first contact {first:?}, worst {worst:?} of 40"));
}

/// Counts its connections, and those on which nothing ever came.
async fn counting(address: SocketAddr) -> Result<(Arc<AtomicUsize>, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind(address).await?;
    let counts = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (all, empty) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            all.fetch_add(1, SeqCst);
            let empty = Arc::clone(&empty);
            tokio::spawn(async move {
                if answer(stream).await == 0 {
                    empty.fetch_add(1, SeqCst);
                }
            });
        }
    });
    Ok(counts)
}

/// Answers whatever comes in one piece: a request as HTTP does, anything else with itself. Returns how often.
async fn answer(mut stream: TcpStream) -> usize {
    let mut bytes = [0; 1024];
    for number in 0.. {
        let Ok(count @ 1..) = stream.read(&mut bytes).await else { return number };
        let answer: &[u8] = match bytes.starts_with(b"GET ") {
            true => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            false => &bytes[..count],
        };
        if stream.write_all(answer).await.is_err() {
            return number + 1;
        }
    }
    0
}

#[tokio::test]
async fn no_server_sees_a_connection_that_is_given_up() {
    let Some(mesh) = web("").start("given up").await else { return };
    let web = mesh.pod("web");
    let address = web.v4(8080);
    let (all, empty) = web.on(counting(address)).await.unwrap();
    let service = PodNetwork::service_v4(WEB, 80);
    for (pod, to) in [(mesh.pod("client"), service), (mesh.outside(), address)] {
        for delay in [0, 0, 2, 4, 8, 30] {
            for words in [REQUEST, b"\x01\x02\x03"] {
                let ask = async move {
                    let mut stream = TcpStream::connect(to).await?;
                    // What is tried is a client that is slow by so much; nothing is waited for.
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    stream.write_all(words).await?;
                    let mut answer = [0; 1024];
                    let count = stream.read(&mut answer).await?;
                    anyhow::Ok(answer[..count].to_vec())
                };
                let answer =
                    within("an answer", Duration::from_secs(5), pod.on(ask)).await.unwrap();
                let good = if words == REQUEST { &b"HTTP/1.1 200"[..] } else { words };
                assert!(answer.starts_with(good), "{delay} ms: {answer:?}");
            }
        }
    }
    assert!(all.load(SeqCst) >= 12, "{all:?}");
    assert_eq!(empty.load(SeqCst), 0, "of {all:?} connections");
}

#[tokio::test]
async fn http_stays_http_however_late_its_client_speaks() {
    let Some(mesh) = web("").start("late").await else { return };
    let app = serve(mesh.pod("web"), 8080).await.unwrap();
    let to = PodNetwork::service_v4(WEB, 80);
    for delay in [0, 10, 100] {
        let ask = async move {
            let mut stream = TcpStream::connect(to).await?;
            tokio::time::sleep(Duration::from_millis(delay)).await;
            stream.write_all(REQUEST).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = within("an answer", Duration::from_secs(5), mesh.pod("client").on(ask)).await;
        assert!(answer.unwrap().starts_with(b"HTTP/1.1 200"), "{delay}");
        // Only who reads requests can say that.
        assert_eq!(caller(&app), CLIENT, "{delay}");
    }
}
