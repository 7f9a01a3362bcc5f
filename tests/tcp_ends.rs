//! How a connection of opaque bytes ends is part of what it says: an end in order stays one, a reset stays one, and
//! nothing that broke off is ever taken for the whole.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Mesh, eventually, within};

/// A connection through both sidecars, and its two ends.
struct Scene {
    mesh: Mesh,
    client: TcpStream,
    server: TcpStream,
}

impl Scene {
    async fn new() -> Self {
        let builder = Mesh::builder().without_app("db", "tcp").caller("gateway").mtls("STRICT");
        let mesh = builder.start().await;
        let listener = TcpListener::bind(mesh.app_address("db-v1")).await.unwrap();
        let client = TcpStream::connect(mesh.entry("gateway", "db")).await.unwrap();
        let accepted = within("the application is called", SOON, listener.accept()).await;
        Self { mesh, client, server: accepted.unwrap().0 }
    }
}

const SOON: Duration = Duration::from_secs(10);

/// What is read until the end, and how it ends: `None` is in order.
async fn ending(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut read = Vec::new();
    let end = within("the connection ends", SOON, stream.read_to_end(&mut read)).await;
    (read, end.err().map(|error| error.kind()))
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"half of it").await.unwrap();
    let mut heard = [0; 10];
    within("what was said is heard", SOON, to.read_exact(&mut heard)).await.unwrap();
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test]
async fn each_side_may_end_first_while_the_other_goes_on() {
    for server_first in [true, false] {
        let Scene { mesh: _mesh, client, server } = Scene::new().await;
        let (mut first, mut second) =
            if server_first { (server, client) } else { (client, server) };
        first.write_all(b"all of it").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(ending(&mut second).await, (b"all of it".to_vec(), None));
        // A megabyte and more, in pieces that are answered by nobody.
        for _ in 0..20 {
            second.write_all(&[7; 64 * 1024]).await.unwrap();
            within("more", SOON, first.read_exact(&mut [0; 64 * 1024])).await.unwrap();
        }
        second.shutdown().await.unwrap();
        assert_eq!(ending(&mut first).await, (Vec::new(), None));
    }
}

#[tokio::test]
async fn a_reset_crosses_both_sidecars_as_a_reset() {
    for from_server in [true, false] {
        let Scene { mesh: _mesh, client, server } = Scene::new().await;
        let (mut breaker, mut other) =
            if from_server { (server, client) } else { (client, server) };
        passes(&mut breaker, &mut other).await;
        reset(breaker);
        assert_eq!(ending(&mut other).await, (Vec::new(), Some(ErrorKind::ConnectionReset)));
    }
}

/// The client has said all it has to say, and then goes away before it has its answer.
#[tokio::test]
async fn a_reset_after_an_end_crosses_too() {
    let Scene { mesh: _mesh, mut client, mut server } = Scene::new().await;
    client.shutdown().await.unwrap();
    assert_eq!(ending(&mut server).await, (Vec::new(), None));
    reset(client);
    // It hears of it without a word of its own.
    eventually("the server is told", SOON, async || {
        ensure!(server.take_error()?.is_some(), "nothing yet");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_sidecar_that_is_killed_leaves_no_end_in_order() {
    for killed in ["gateway", "db-v1"] {
        let Scene { mesh, mut client, mut server } = Scene::new().await;
        passes(&mut server, &mut client).await;
        passes(&mut client, &mut server).await;
        mesh.proxy(killed).process().kill();
        let reset = (Vec::new(), Some(ErrorKind::ConnectionReset));
        assert_eq!(ending(&mut client).await, reset, "{killed}");
        assert_eq!(ending(&mut server).await, reset, "{killed}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_server_with_nothing_to_say() {
    let Scene { mesh, client: _client, server: _server } = Scene::new().await;
    // Its listener is gone since the scene was set.
    let end = match TcpStream::connect(mesh.entry("gateway", "db")).await {
        Ok(mut client) => ending(&mut client).await,
        // It may be over before it is known here that it was begun.
        Err(error) => (Vec::new(), Some(error.kind())),
    };
    assert_eq!(end, (Vec::new(), Some(ErrorKind::ConnectionReset)));
}
