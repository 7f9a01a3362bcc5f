//! Ends that mean the whole, and ends that do not, over real sockets.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::telemetry::metrics::{Direction, EdgeKey, Metrics};

struct Scene {
    client: TcpStream,
    server: TcpStream,
    relayed: JoinHandle<Relayed>,
    drain: drain::Trigger,
    metrics: Metrics,
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let opened = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (opened, listener.accept().await.unwrap().0)
}

async fn scene() -> Scene {
    let (client, downstream) = pair().await;
    let (upstream, server) = pair().await;
    let (drain, source) = drain::channel();
    let metrics = Metrics::default();
    let edge = metrics.edge(EdgeKey::unrouted(Direction::Outbound, "db.shop:5432"));
    edge.connection_opened(true);
    let relayed = tokio::spawn(async move {
        let (mut downstream, mut upstream) = (Io::Plain(downstream), Io::Plain(upstream));
        relay(&mut downstream, &mut upstream, &source.watch(), &edge).await
    });
    Scene { client, server, relayed, drain, metrics }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("in time")
}

async fn ending(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut read = Vec::new();
    let end = within(stream.read_to_end(&mut read)).await;
    (read, end.err().map(|error| error.kind()))
}

fn reset(stream: TcpStream) {
    set_reset_on_close(&stream, true);
    drop(stream);
}

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);
const BROKEN: Option<Token> = Some(Token::ConnectionTerminated);

#[tokio::test]
async fn each_side_may_end_first_while_the_other_goes_on() {
    for server_first in [true, false] {
        let Scene { client, server, relayed, drain: _drain, .. } = scene().await;
        let (mut first, mut second) =
            if server_first { (server, client) } else { (client, server) };
        first.write_all(b"all I have to say").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(ending(&mut second).await, (b"all I have to say".to_vec(), None));
        let mut heard = [0; 4];
        for _ in 0..3 {
            second.write_all(b"more").await.unwrap();
            within(first.read_exact(&mut heard)).await.unwrap();
        }
        second.shutdown().await.unwrap();
        assert_eq!(ending(&mut first).await, (Vec::new(), None));
        let (sent, received) = if server_first { (12, 17) } else { (17, 12) };
        assert_eq!(within(relayed).await.unwrap(), Relayed { sent, received, error: None });
    }
}

#[tokio::test]
async fn a_reset_arrives_as_a_reset_and_never_as_an_end() {
    for from_server in [true, false] {
        let Scene { client, server, relayed, drain: _drain, .. } = scene().await;
        let (mut breaker, mut other) =
            if from_server { (server, client) } else { (client, server) };
        breaker.write_all(b"half of it").await.unwrap();
        let mut heard = [0; 10];
        within(other.read_exact(&mut heard)).await.unwrap();
        reset(breaker);
        assert_eq!(ending(&mut other).await, (Vec::new(), RESET));
        assert_eq!(within(relayed).await.unwrap().error, BROKEN);
    }
}

#[tokio::test]
async fn a_reset_after_an_end_is_noticed_too() {
    let Scene { mut client, mut server, relayed, drain: _drain, .. } = scene().await;
    client.shutdown().await.unwrap();
    assert_eq!(ending(&mut server).await, (Vec::new(), None));
    reset(client);
    // The server's own end would not tell: it asks until it cannot write any more.
    assert_eq!(within(relayed).await.unwrap().error, BROKEN);
    within(async { while server.write_all(b"x").await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_drain_that_waits_no_longer_resets_both() {
    let Scene { mut client, mut server, relayed, drain, .. } = scene().await;
    drain.abort();
    assert_eq!(within(relayed).await.unwrap().error, BROKEN);
    assert_eq!(ending(&mut client).await, (Vec::new(), RESET));
    assert_eq!(ending(&mut server).await, (Vec::new(), RESET));
}

#[tokio::test]
async fn a_relay_that_just_stops_resets_both() {
    let Scene { mut client, mut server, relayed, drain: _drain, .. } = scene().await;
    client.write_all(b"x").await.unwrap();
    within(server.read_exact(&mut [0])).await.unwrap();
    relayed.abort();
    assert_eq!(ending(&mut client).await, (Vec::new(), RESET));
    assert_eq!(ending(&mut server).await, (Vec::new(), RESET));
}

#[tokio::test]
async fn bytes_are_counted_while_the_connection_is_open() {
    let Scene { mut client, mut server, relayed, drain: _drain, metrics } = scene().await;
    client.write_all(b"ask").await.unwrap();
    within(server.read_exact(&mut [0; 3])).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    within(client.read_exact(&mut [0; 6])).await.unwrap();
    let counted = async {
        let is = |text: &str, name: &str, value: &str| {
            let mut lines = text.lines().filter(|line| line.starts_with(name));
            lines.any(|line| line.ends_with(&format!(" {value}")))
        };
        loop {
            let text = metrics.encode();
            if is(&text, "weft_tcp_sent_bytes_total", "3")
                && is(&text, "weft_tcp_received_bytes_total", "6")
            {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    let text = within(counted).await;
    assert!(!relayed.is_finished() && text.contains("weft_tcp_connections_open{"), "{text}");
}

#[tokio::test]
async fn a_reader_that_pauses_loses_nothing() {
    const SIZE: usize = 16 << 20;
    let Scene { client, server, relayed, drain: _drain, .. } = scene().await;
    let bytes: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
    let (mut from_client, mut to_server) = client.into_split();
    let (mut from_server, mut to_client) = server.into_split();
    let both = async |stream: &mut tokio::net::tcp::OwnedWriteHalf| {
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let writing = async { tokio::join!(both(&mut to_server), both(&mut to_client)) };
    let reading = async {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        // One direction is not read at all until the other one is over.
        from_server.read_to_end(&mut first).await.unwrap();
        from_client.read_to_end(&mut second).await.unwrap();
        assert!(first == bytes && second == bytes, "{} and {}", first.len(), second.len());
    };
    within(async { tokio::join!(writing, reading) }).await;
    let size = SIZE as u64;
    let whole = Relayed { sent: size, received: size, error: None };
    assert_eq!(within(relayed).await.unwrap(), whole);
}
