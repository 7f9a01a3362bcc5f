//! Large bodies stream: what they cost a sidecar in memory does not depend on their length, and a reader that stops
//! stops the sender.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Mesh, within};

const MIB: u64 = 1 << 20;
const PIECE: usize = 64 * 1024;

/// Reads a request's body to its end and answers with as many bytes as `x-bytes` says.
async fn app(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that goes away is its own affair.
            tokio::spawn(async move { serve(stream).await.is_ok() });
        }
    });
    Ok(())
}

async fn serve(mut stream: TcpStream) -> Result<()> {
    loop {
        let head = head(&mut stream).await?;
        let mut left = value(&head, "content-length");
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let count = stream.read(&mut piece[..most]).await?;
            ensure!(count > 0, "broken off");
            left -= count as u64;
        }
        let mut owed = value(&head, "x-bytes");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {owed}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        while owed > 0 {
            let count = usize::try_from(owed).unwrap_or(PIECE).min(PIECE);
            stream.write_all(&piece[..count]).await?;
            owed -= count as u64;
        }
    }
}

async fn head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

fn value(head: &str, name: &str) -> u64 {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Sends `up` bytes, then takes `down`; `look` is called now and then.
async fn transfer(to: SocketAddr, up: u64, down: u64, look: &mut impl FnMut()) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    let request =
        format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {up}\r\nx-bytes: {down}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut piece = vec![7; PIECE];
    for number in 0..up / PIECE as u64 {
        stream.write_all(&piece).await?;
        if number.is_multiple_of(64) {
            look();
        }
    }
    let head = head(&mut stream).await?;
    ensure!(head.starts_with("http/1.1 200"), "{head}");
    let mut left = down;
    let mut looked = left;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let count = stream.read(&mut piece[..most]).await?;
        ensure!(count > 0, "{left} bytes are missing");
        left -= count as u64;
        if looked - left > 4 * MIB {
            looked = left;
            look();
        }
    }
    Ok(())
}

/// Both ways, and both sidecars; they have carried a little before.
async fn carries(bytes: u64, time: Duration) {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    app(mesh.app_address("product-v1")).await.unwrap();
    let to = mesh.entry("gateway", "product");
    let sidecars = ["gateway", "product-v1"].map(|workload| mesh.proxy(workload));
    for _ in 0..4 {
        transfer(to, 2 * MIB, 2 * MIB, &mut || ()).await.unwrap();
    }
    let before = sidecars.each_ref().map(|sidecar| sidecar.rss());
    let mut most = before;
    let mut look = || {
        for (most, sidecar) in most.iter_mut().zip(&sidecars) {
            *most = sidecar.rss().max(*most);
        }
    };
    let started = std::time::Instant::now();
    within("the transfer", time, transfer(to, bytes, bytes, &mut look)).await.unwrap();
    for ((most, before), name) in most.iter().zip(before).zip(["outbound", "inbound"]) {
        let grown = most - before;
        eprintln!(
            "{} MiB up and down: {name} {} KiB more, {:?}",
            bytes / MIB,
            grown / 1024,
            started.elapsed()
        );
        assert!(grown <= MIB, "{name}: {grown} bytes more");
    }
}

#[tokio::test]
async fn a_body_of_64_mib_costs_no_memory() {
    carries(64 * MIB, Duration::from_secs(300)).await;
}

#[tokio::test]
#[ignore = "long: tests/run --all"]
async fn a_body_of_2_gib_costs_no_memory() {
    carries(2048 * MIB, Duration::from_secs(900)).await;
}

/// Nobody reads the response: what is on its way is bounded, and the sender waits.
#[tokio::test]
async fn a_reader_that_stops_stops_the_sender() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    app(mesh.app_address("product-v1")).await.unwrap();
    let to = mesh.entry("gateway", "product");
    let sidecars = ["gateway", "product-v1"].map(|workload| mesh.proxy(workload));
    transfer(to, 2 * MIB, 2 * MIB, &mut || ()).await.unwrap();
    let before = sidecars.each_ref().map(|sidecar| sidecar.rss());
    let mut stopped = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: a\r\nx-bytes: 1000000000\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        head(&mut stream).await.unwrap();
        stopped.push(stream);
    }
    // Others are served while these stand still.
    transfer(to, 8 * MIB, 8 * MIB, &mut || ()).await.unwrap();
    for (sidecar, before) in sidecars.iter().zip(before) {
        let grown = sidecar.rss().saturating_sub(before);
        eprintln!("8 readers that stopped: {} KiB more", grown / 1024);
        assert!(grown <= 8 * MIB, "{grown} bytes more");
    }
}
