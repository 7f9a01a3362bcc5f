//! WebSockets pass both sidecars; other upgrades do not.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::harness::{Mesh, RawApp, ask, eventually, head, within};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Grants every upgrade; then echoes, after a greeting of its own.
async fn echo(address: SocketAddr) -> Result<AbortHandle> {
    let listener = TcpListener::bind(address).await?;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that goes away is its own affair.
            tokio::spawn(async move { switch(stream).await.is_ok() });
        }
    });
    Ok(server.abort_handle())
}

async fn switch(mut stream: TcpStream) -> Result<()> {
    let head = head(&mut stream).await?;
    let head = head.to_ascii_lowercase();
    ensure!(
        head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n")
    );
    ensure!(head.contains("sec-websocket-key: dghl"));
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello";
    stream.write_all(answer).await?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(stream.shutdown().await?)
}

#[tokio::test]
async fn a_websocket_passes_both_sidecars() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let server = echo(mesh.app_address("product-v1")).await.unwrap();
    for to in [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()] {
        let talk = async {
            let mut stream = TcpStream::connect(to).await?;
            stream.write_all(ASK.as_bytes()).await?;
            let head = head(&mut stream).await?;
            ensure!(head.starts_with("HTTP/1.1 101 "), "{head}");
            let lower = head.to_ascii_lowercase();
            ensure!(lower.contains("\r\nupgrade: websocket\r\n"), "{head}");
            ensure!(lower.contains("\r\nsec-websocket-accept: x\r\n"), "{head}");
            let mut greeting = [0; 5];
            stream.read_exact(&mut greeting).await?;
            ensure!(&greeting == b"hello");
            // Frames look like nothing; heads are not looked for any more.
            for size in [1_usize, 9, 70_000] {
                let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
                stream.write_all(&bytes).await?;
                let mut back = vec![0; size];
                stream.read_exact(&mut back).await?;
                ensure!(back == bytes, "{size} bytes come back");
            }
            stream.shutdown().await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            ensure!(rest.is_empty());
            Ok(())
        };
        within("the talk", Duration::from_secs(10), talk).await.unwrap();
    }
    eventually("it is counted when it has ended", Duration::from_secs(5), async || {
        let labels = ["direction=\"outbound\"", "code=\"1"];
        let text = mesh.proxy("gateway").metrics().await?;
        let count = mesh.proxy("gateway").metric("weft_requests_total", &labels[..1]).await?;
        ensure!(count == 1.0, "{count} {text}");
        Ok(())
    })
    .await;
    // As long as it may be asked for; its caller may still ask for anything else.
    let mut stream = TcpStream::connect(mesh.entry("gateway", "product")).await.unwrap();
    stream.write_all(ASK.as_bytes()).await.unwrap();
    within("the greeting", Duration::from_secs(10), head(&mut stream)).await.unwrap();
    mesh.write("access.yaml", "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: silence, namespace: shop}\nspec: {action: DENY, rules: [{to: [{paths: [{value: /chat}]}]}]}\n");
    let mut rest = Vec::new();
    // Reset or closed, it is over.
    let _ = within("its end", Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    server.abort();
}

/// S11: what follows the head goes nowhere before the other side agrees; if it does not, it is the next request.
#[tokio::test]
async fn nothing_is_tunnelled_before_the_other_side_agrees() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = RawApp::start(mesh.app_address("product-v1")).await.unwrap();
    let next = "GET /next HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n";
    for (number, to) in [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()]
        .into_iter()
        .enumerate()
    {
        let answer = ask(to, format!("{ASK}{next}").as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 400 ").count(), 1, "the next one is judged: {answer}");
        assert_eq!(app.heads().len(), number + 1);
    }
    assert_eq!(app.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn other_upgrades_are_refused_and_h2c_is_ignored() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let app = RawApp::start(mesh.app_address("product-v1")).await.unwrap();
    for to in [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()] {
        let with = |protocol: &str| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
            )
        };
        let refused = ask(to, with("TLS/1.2").as_bytes()).await.unwrap();
        let refused = String::from_utf8_lossy(&refused);
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
        assert!(refused.contains("upgrade_refused"), "{refused}");
        let ignored = ask(to, with("h2c").as_bytes()).await.unwrap();
        assert!(ignored.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&ignored));
    }
    let heads = app.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads.iter().all(|head| !head.to_ascii_lowercase().contains("upgrade")), "{heads:?}");
}
