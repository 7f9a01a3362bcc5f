//! Anything that is not HTTP travels as opaque bytes inside mutual TLS.

use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Builder, Mesh, TcpApp, eventually, exchange, within};

fn database() -> Builder {
    Mesh::builder().without_app("db", "tcp").caller("gateway").mtls("STRICT")
}

#[tokio::test]
async fn opaque_bytes_pass_both_sidecars_and_half_close_does_too() {
    let mesh = database().start().await;
    let _app = TcpApp::reversing(mesh.app_address("db-v1")).await.unwrap();
    let entry = mesh.entry("gateway", "db");
    // The application answers only after it has seen our end.
    assert_eq!(
        exchange(entry, b"\x01\x02GET / HTTP/1.1").await.unwrap(),
        b"1.1/PTTH / TEG\x02\x01"
    );
    let large: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let mut answer = exchange(entry, &large).await.unwrap();
    answer.reverse();
    assert!(answer == large, "{} of {} bytes", answer.len(), large.len());
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let mesh = database().start().await;
    let _app = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let mut stream = TcpStream::connect(mesh.entry("gateway", "db")).await.unwrap();
    let mut greeting = vec![0; TcpApp::GREETING.len()];
    within("the greeting", Duration::from_secs(2), stream.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(greeting, TcpApp::GREETING);
    stream.write_all(b"HELO").await.unwrap();
    let mut echo = [0; 4];
    within("the echo", Duration::from_secs(2), stream.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"HELO");
}

#[tokio::test]
async fn an_opaque_port_in_strict_mode_takes_no_plaintext() {
    let mesh = database().start().await;
    let _app = TcpApp::reversing(mesh.app_address("db-v1")).await.unwrap();
    let received = exchange(mesh.proxy("db-v1").inbound(), b"abc").await.unwrap_or_default();
    assert!(!received.ends_with(b"cba"), "{received:?}");
}

#[tokio::test]
async fn connections_are_counted() {
    let mesh = database().start().await;
    let _app = TcpApp::reversing(mesh.app_address("db-v1")).await.unwrap();
    exchange(mesh.entry("gateway", "db"), b"12345").await.unwrap();
    for (workload, direction) in [("gateway", "outbound"), ("db-v1", "inbound")] {
        let labels = [format!("direction=\"{direction}\"")];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        eventually("the connection is counted", Duration::from_secs(5), async || {
            let sidecar = mesh.proxy(workload);
            let opened = sidecar.metric("weft_tcp_connections_opened_total", &labels).await?;
            let closed = sidecar.metric("weft_tcp_connections_closed_total", &labels).await?;
            let sent = sidecar.metric("weft_tcp_sent_bytes_total", &labels).await?;
            ensure!((opened, closed, sent) == (1.0, 1.0, 5.0), "{opened} {closed} {sent}");
            Ok(())
        })
        .await;
    }
}
