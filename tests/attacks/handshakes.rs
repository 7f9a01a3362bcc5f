//! S23, handshakes: in pieces, half done by thousands, and none at all. What is begun and not finished costs little and
//! is let go after its time; what is no handshake ends the connection, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use weft_certs::{Leaf, tls};
use weft_proto::alpn;

use super::crowd::{Crowd, client_hello, hello, saying};
use super::{mib, pair};
use crate::harness::{Load, Mesh, TlsClient, eventually, get, raise_file_limit, within};

const HOUR: Duration = Duration::from_secs(3600);
const HALF: usize = 5_000;
const ANSWER: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A stream that writes a byte at a time, each in a packet of its own.
struct Trickle(TcpStream);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn connect(
    mesh: &Mesh,
    to: SocketAddr,
    account: &str,
    leaf: &Leaf,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<Trickle> {
    let authority = mesh.control_plane().authority();
    let config = tls::client_config(Some(leaf), authority.bundle(), &[protocol]).unwrap();
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let id = if account.is_empty() { mesh.control_plane().id() } else { mesh.id(account) };
    let connector = TlsConnector::from(Arc::new(config));
    let connecting = connector.connect(tls::server_name(&id), Trickle(stream));
    within("the handshake", ANSWER, connecting).await.unwrap()
}

/// Handshake and request, byte by byte, to a sidecar's port of each mode and to the control plane's.
#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    for mode in ["STRICT", "PERMISSIVE"] {
        let mesh = pair().mtls(mode).start().await;
        let leaf = mesh.leaf("gateway", HOUR);
        let to = mesh.proxy("product-v1").inbound();
        let mut stream = connect(&mesh, to, "product", &leaf, alpn::HTTP1).await;
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        within("the answer", ANSWER, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        let mut stream = connect(&mesh, mesh.control_plane().address(), "", &leaf, b"h2").await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut settings = [0; 9];
        within("its settings", ANSWER, stream.read_exact(&mut settings)).await.unwrap();
        assert_eq!(settings[3], 4, "{settings:?}");
    }
}

/// The same bytes in records of one byte each: the other reading of "fragmented", which has crashed servers.
fn in_small_records(record: &[u8]) -> Vec<u8> {
    record[5..].iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect()
}

#[tokio::test]
async fn a_handshake_in_records_of_a_byte_hurts_nobody() {
    let mesh = pair().mtls("STRICT").start().await;
    for (to, account) in [
        (mesh.proxy("product-v1").inbound(), "product"),
        (mesh.control_plane().address(), "product"),
    ] {
        let hello = in_small_records(&client_hello(&mesh, account));
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        let mut first = [0];
        within("a record", ANSWER, stream.read_exact(&mut first)).await.unwrap();
        // A handshake goes on, or an alert says why not.
        assert!(matches!(first[0], 22 | 21), "{first:?}");
        assert_alive(&mesh).await;
    }
}

/// Neither side has ended, or panicked in a task; others are served.
async fn assert_alive(mesh: &Mesh) {
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
    mesh.control_plane().process().pid().unwrap();
    for log in [mesh.proxy("product-v1").process().log(), mesh.control_plane().process().log()] {
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// 5,000 handshakes that stop at each place where one can: what they cost, how soon it is given back, and how others
/// are served meanwhile.
#[tokio::test]
async fn half_handshakes_are_cheap_and_let_go() {
    raise_file_limit();
    let mesh = pair().mtls("STRICT").start().await;
    let hello = client_hello(&mesh, "product");
    let authority = mesh.control_plane().authority();
    let leaf = mesh.leaf("gateway", HOUR);
    let client = TlsClient::new(Some(&leaf), authority.bundle(), &mesh.id("product"));
    let mut load = Load::start(mesh.entry("gateway", "product"), 50);
    load.passes(50).await;
    for (what, words) in [
        ("nothing", &hello[..0]),
        ("half a ClientHello", &hello[..hello.len() / 2]),
        ("a ClientHello", &hello[..]),
    ] {
        half_done(&mesh, &client, what, words).await;
    }
    let tally = load.stop().await;
    eprintln!(
        "S23 load meanwhile: {} requests, p50 {:?}, p99 {:?}",
        tally.count(),
        tally.p50(),
        tally.p99()
    );
    tally.assert_no_failures();
}

/// As many as that with these words, until the last is let go.
async fn half_done(mesh: &Mesh, client: &TlsClient, what: &str, words: &[u8]) {
    let sidecar = mesh.proxy("product-v1");
    let to = sidecar.inbound();
    sidecar.forget_peak();
    let (before, files) = (sidecar.rss(), sidecar.open_files());
    let crowd = Crowd::gather(to, HALF, 1, &saying(words));
    let mut slowest = Duration::ZERO;
    let started = Instant::now();
    let mut full = None;
    // Good handshakes meanwhile; the last look is when nobody is held any more.
    while crowd.ended() < HALF {
        let knocked = Instant::now();
        let knock = client.knock(to).await;
        assert!(knock.is_let_in(), "{what}: {knock:?}");
        slowest = slowest.max(knocked.elapsed());
        if crowd.connected() == HALF {
            full.get_or_insert_with(Instant::now);
        }
        assert!(
            started.elapsed() < Duration::from_secs(180),
            "{} of {HALF} are let go",
            crowd.ended()
        );
    }
    let most = crowd.most();
    let let_go = full.map(|full| full.elapsed()).unwrap_or_default();
    eventually("sockets are closed", Duration::from_secs(5), async || {
        // The load keeps more connections when it was slowed down.
        ensure!(sidecar.open_files() <= files + HALF / 10, "{} of {files}", sidecar.open_files());
        Result::Ok(())
    })
    .await;
    let grown = sidecar.peak().saturating_sub(before);
    let each = grown / u64::try_from(most.max(1)).unwrap();
    eprintln!(
        "S23 {HALF} × {what}: {most} at once, {:.1} MiB, {each} bytes each; the last is let go after {let_go:?}; slowest good handshake {slowest:?}",
        mib(grown)
    );
    assert!(most >= HALF / 2, "{most} at once prove nothing");
    assert!(each <= 20 << 10, "{what}: {each} bytes");
    // Ten seconds, and what a machine that stands still now and then needs to see it.
    assert!(let_go < Duration::from_secs(60), "{what}: {let_go:?}");
}

/// The same to the control plane: a thousand are under way at a time, and who comes to the point waits for seconds only.
#[tokio::test]
async fn half_handshakes_keep_nobody_from_the_control_plane() {
    raise_file_limit();
    let mesh = pair().absent_caller("web").start().await;
    let control_plane = mesh.control_plane();
    let process = control_plane.process();
    process.forget_peak();
    let before = process.rss();
    let words = saying(hello(&mesh, "product", b"h2"));
    let crowd = Crowd::gather(control_plane.address(), HALF, 2, &words);
    eventually("they are there", Duration::from_secs(30), async || {
        ensure!(crowd.connected() > HALF / 2, "{}", crowd.connected());
        Result::Ok(())
    })
    .await;
    let leaf = mesh.leaf("web", HOUR);
    let (mut slowest, mut tries) = (Duration::ZERO, 0);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let asked = Instant::now();
        for leaf in [Some(&leaf), None] {
            let connecting = crate::harness::control_channel(control_plane, leaf);
            // A backlog that is full drops what comes, and the kernel tries again after a second.
            let connecting = Box::pin(connecting);
            within("a new connection", Duration::from_secs(90), connecting).await.unwrap();
            tries += 1;
        }
        slowest = slowest.max(asked.elapsed());
    }
    let grown = mib(process.peak().saturating_sub(before));
    eprintln!(
        "S23 control plane under {} half handshakes: {tries} connections of others, the slowest two after {slowest:?}; {grown:.1} MiB more",
        crowd.connected()
    );
    assert!(grown <= 60.0, "{grown} MiB");
    assert_alive(&mesh).await;
}

/// What begins a connection and is no handshake.
fn garbage(hello: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let record = |kind: u8, length: u16, body: &[u8]| {
        [&[kind, 3, 3][..], &length.to_be_bytes(), body].concat()
    };
    let after = |bytes: Vec<u8>| [hello, &bytes].concat();
    let huge = [1, 0xff, 0xff, 0xff];
    vec![
        ("a record of 65,535 bytes", record(22, 65_535, &[1; 20_000])),
        ("application data", record(23, 100, &[0; 100])),
        ("an alert", record(21, 2, &[2, 80])),
        ("close_notify", record(21, 2, &[1, 0])),
        ("a thousand empty records", record(22, 0, &[]).repeat(1_000)),
        ("a thousand empty records of data", after(record(23, 0, &[]).repeat(1_000))),
        ("a thousand change_cipher_spec", after(record(20, 1, &[1]).repeat(1_000))),
        (
            "a message of 16 MiB",
            [record(22, 4, &huge), record(22, 16_000, &[0; 16_000]).repeat(20)].concat(),
        ),
        ("an unknown kind of record", record(99, 5, b"hello")),
        ("SSLv2", [&[0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10][..], &[7; 37]].concat()),
        ("TLS 1.0's version in a broken hello", record(22, 100, &[1, 0, 0, 96, 3, 1])),
        ("plaintext", REQUEST.to_vec()),
        ("HTTP/2 in plaintext", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        (
            "random bytes",
            (0..5_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect(),
        ),
        ("two hellos", [hello, hello].concat()),
        ("a hello and garbage", after(vec![0xff; 500])),
        ("a hello and close_notify", after(record(21, 2, &[1, 0]))),
        ("a hello and a fatal alert", after(record(21, 2, &[2, 40]))),
        ("half a hello and garbage", [&hello[..hello.len() / 2], &[0xff; 600]].concat()),
    ]
}

/// Says what is no handshake, until the connection ends.
async fn tell(to: SocketAddr, (what, garbage): (&'static str, &'static str), bytes: Vec<u8>) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // It may end before all is said.
    let _ = stream.write_all(&bytes).await;
    let started = Instant::now();
    let mut answer = Vec::new();
    let ended = within(garbage, Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    // What a server says before it knows: its own hello, or an alert.
    assert!(matches!(answer.first(), None | Some(20..=23)), "{what}, {garbage}: {answer:?}");
    eprintln!(
        "S23 {what}: {garbage}: {} bytes, {ended:?} after {:?}",
        answer.len(),
        started.elapsed()
    );
}

/// Each to a STRICT port and to the control plane's; the connection ends within the time of a handshake.
#[tokio::test]
async fn what_is_no_handshake_ends_the_connection() {
    let mesh = pair().mtls("STRICT").start().await;
    let hello = client_hello(&mesh, "product");
    let before = mesh.app("product-v1").count();
    // All at once: most of them wait for their time to be over.
    let mut told = JoinSet::new();
    for (to, what) in [
        (mesh.proxy("product-v1").inbound(), "sidecar"),
        (mesh.control_plane().address(), "control plane"),
    ] {
        for (garbage, bytes) in garbage(&hello) {
            told.spawn(tell(to, (what, garbage), bytes));
        }
    }
    while let Some(ended) = told.join_next().await {
        ended.expect("the connection ends");
    }
    assert_eq!(mesh.app("product-v1").count(), before);
    assert_alive(&mesh).await;
}

/// The ways in which a connection of TLS can end.
#[tokio::test]
async fn ends_are_what_they_say() {
    let mesh = pair().mtls("STRICT").start().await;
    let (app, leaf) = (mesh.app("product-v1"), mesh.leaf("gateway", HOUR));
    let to = mesh.proxy("product-v1").inbound();
    // Says it will say no more, and is answered all the same, or not at all; nothing is left of it.
    let before = app.count();
    let mut stream = connect(&mesh, to, "product", &leaf, alpn::HTTP1).await;
    stream.write_all(REQUEST).await.unwrap();
    // It may have been answered, and ended, before.
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within("the end", ANSWER, stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert!(app.count() - before <= 1);
    // A body that is cut off by the end of the connection, with a word of farewell and without: never a whole request.
    for farewell in [true, false] {
        let whole = app.bodies().len();
        let mut stream = connect(&mesh, to, "product", &leaf, alpn::HTTP1).await;
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
        stream.write_all(head).await.unwrap();
        if farewell {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        let chunked =
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let mut stream = connect(&mesh, to, "product", &leaf, alpn::HTTP1).await;
        stream.write_all(chunked).await.unwrap();
        if farewell {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        assert_alive(&mesh).await;
        // The request of `assert_alive` is whole.
        assert_eq!(app.bodies().len(), whole + 1, "farewell {farewell}");
    }
    // Data after the farewell are not read.
    let before = app.count();
    let mut stream = connect(&mesh, to, "product", &leaf, alpn::HTTP1).await;
    stream.get_mut().1.send_close_notify();
    let _ = stream.write_all(REQUEST).await;
    let mut answer = Vec::new();
    let _ = within("the end", ANSWER, stream.read_to_end(&mut answer)).await;
    assert_eq!((answer.len(), app.count()), (0, before));
    assert_alive(&mesh).await;
}
