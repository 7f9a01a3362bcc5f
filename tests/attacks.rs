//! Attacks, by the numbers of a catalogue (S1–S30): what they cost at their worst is bounded, and said. Here those on
//! HTTP/2 and by slow senders (S1–S6, S18, S19), from the application's side and from outside; another client is served
//! meanwhile and after. The others have files of their own.

mod admin;
mod bombs;
mod control_plane;
mod crowd;
mod descriptors;
mod handshakes;
mod header_rules;
mod hosts;
mod nesting;
mod paths;
mod small_memory;
mod telemetry;
mod tls_surface;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw,
    WINDOW_UPDATE,
};
use crate::harness::{Act, Builder, Mesh, Sidecar, ask, eventually, get, http2, request, within};

/// On a machine that has other things to do.
const SOON: Duration = Duration::from_secs(60);
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The sidecar that is attacked, from each side.
struct Side {
    name: &'static str,
    to: SocketAddr,
    sidecar: std::sync::Arc<Sidecar>,
    rss: u64,
    started: Instant,
}

impl Side {
    fn of(mesh: &Mesh) -> [Self; 2] {
        let side = |name, to, workload| {
            let sidecar = mesh.proxy(workload);
            sidecar.forget_peak();
            let rss = sidecar.rss();
            Self { name, to, sidecar, rss, started: Instant::now() }
        };
        [
            side("outbound", mesh.entry("gateway", "product"), "gateway"),
            side("inbound", mesh.proxy("product-v1").inbound(), "product-v1"),
        ]
    }

    /// Prints what it cost; fails if that is over `limit` MiB.
    async fn costs(&self, attack: &str, limit: f64) {
        let grown = mib(self.sidecar.peak().saturating_sub(self.rss));
        let time = self.started.elapsed();
        eprintln!("{attack:<34} {:<8} {grown:6.2} MiB more, {time:?}", self.name);
        assert!(grown <= limit, "{attack} on {}: {grown} MiB of {limit}", self.name);
        assert_eq!(get(self.to, "/").await.unwrap().status, 200, "others are served");
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn pair() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway")
}

/// Connections of both sidecars are warm, so that growth is the attack's.
async fn warm(mesh: &Mesh) -> [Side; 2] {
    for to in [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()] {
        for _ in 0..20 {
            assert_eq!(get(to, "/").await.unwrap().status, 200);
            let answer = http2(to, request(Method::GET, "/", &[], "")).await.unwrap();
            assert_eq!(answer.status, 200);
        }
    }
    Side::of(mesh)
}

fn stream(number: u32) -> u32 {
    2 * number + 1
}

/// S1 and S2: requests that are reset by the client, or that make us reset them.
#[tokio::test]
async fn resets_end_the_connection() {
    let mesh = pair().start().await;
    let app = mesh.app("product-v1");
    type Attack = (&'static str, fn(&mut Raw, u32));
    let attacks: [Attack; 3] = [
        ("S1 rapid reset", |raw, id| {
            raw.put(HEADERS, END_HEADERS | END_STREAM, id, &frames::get("a"));
            raw.put(RST_STREAM, 0, id, &[0, 0, 0, 8]);
        }),
        ("S2 reset by WINDOW_UPDATE 0", |raw, id| {
            raw.put(HEADERS, END_HEADERS, id, &frames::get("a"));
            raw.put(WINDOW_UPDATE, 0, id, &[0, 0, 0, 0]);
        }),
        ("S2 reset by DATA after the end", |raw, id| {
            raw.put(HEADERS, END_HEADERS | END_STREAM, id, &frames::get("a"));
            raw.put(DATA, 0, id, b"x");
        }),
    ];
    for (attack, put) in attacks {
        for side in warm(&mesh).await {
            let before = app.count();
            let mut raw = Raw::connect(side.to, &[]).await.unwrap();
            for round in 0..200 {
                for number in 0..100 {
                    put(&mut raw, stream(round * 100 + number));
                }
                if raw.send().await.is_err() {
                    break;
                }
            }
            let last = raw.until(SOON, |frame| frame.kind == GOAWAY).await;
            let code = last.last().filter(|frame| frame.kind == GOAWAY).map(frames::Frame::code);
            // Without a GOAWAY that could be read the connection has ended all the same.
            assert!(
                code.is_none_or(|code| code == ENHANCE_YOUR_CALM || code == 5 || code == 1),
                "{code:?}"
            );
            within("it ends", Duration::from_secs(5), async { while raw.next().await.is_ok() {} })
                .await;
            let seen = app.count() - before;
            assert!(seen <= 2_100, "{attack}: the application saw {seen} of 20000");
            side.costs(attack, 6.0).await;
        }
    }
}

/// S3: a header block that never ends.
#[tokio::test]
async fn an_endless_header_block_ends_the_connection() {
    let mesh = pair().start().await;
    for side in warm(&mesh).await {
        let mut raw = Raw::connect(side.to, &[]).await.unwrap();
        raw.put(HEADERS, 0, 1, &frames::get("a"));
        let piece = frames::literal("x", &"y".repeat(8_000), false);
        while raw.written < 64 << 20 {
            raw.put(CONTINUATION, 0, 1, &piece);
            if raw.send().await.is_err() {
                break;
            }
        }
        // Written is what the sockets took, too.
        assert!(raw.written < 8 << 20, "{} bytes were taken", raw.written);
        side.costs("S3 CONTINUATION flood", 2.0).await;
    }
}

/// S6: nothing is taken of a response, or too little; an answer that has nothing to say is left alone.
#[tokio::test]
async fn a_stream_that_takes_nothing_is_reset_and_one_that_waits_is_not() {
    let mesh = pair().proxy_args(&["--http2-stall-timeout", "1s"]).start().await;
    let app = mesh.app("product-v1");
    for side in warm(&mesh).await {
        for window in [0, 1, 20] {
            app.script(|_| Act::Echo);
            let mut raw = Raw::connect(side.to, &[(4, window)]).await.unwrap();
            raw.put(HEADERS, END_HEADERS | END_STREAM, 1, &frames::get("a"));
            raw.send().await.unwrap();
            let is_reset = |frame: &frames::Frame| frame.kind == RST_STREAM && frame.stream == 1;
            let seen = raw.until(SOON, is_reset).await;
            let last = seen.last().filter(|frame| is_reset(frame)).map(frames::Frame::code);
            assert_eq!(last, Some(CANCEL), "{}: window {window}: {seen:?}", side.name);
        }
        // Begins an answer and says no more; three times the limit is waited.
        app.script(|_| Act::Stay);
        let mut raw = Raw::connect(side.to, &[]).await.unwrap();
        raw.put(HEADERS, END_HEADERS | END_STREAM, 1, &frames::get("a"));
        raw.send().await.unwrap();
        let seen = raw.until(SOON, |frame| frame.kind == DATA).await;
        assert!(seen.iter().any(|frame| frame.kind == DATA), "{seen:?}");
        let seen = raw.until(Duration::from_secs(3), |frame| frame.kind == RST_STREAM).await;
        assert!(seen.iter().all(|frame| frame.kind != RST_STREAM), "{seen:?}");
        app.script(|_| Act::Echo);
        side.costs("S6 zero window", 6.0).await;
    }
}

/// S5: frames that cost nothing to send.
#[tokio::test]
async fn floods_of_empty_frames_are_bounded() {
    let mesh = pair().start().await;
    for side in warm(&mesh).await {
        let mut raw = Raw::connect(side.to, &[]).await.unwrap();
        raw.put(HEADERS, END_HEADERS, 1, &frames::get("a"));
        for _ in 0..100 {
            for _ in 0..500 {
                raw.put(DATA, 0, 1, &[]);
                raw.put(PING, 0, 0, &[0; 8]);
            }
            if raw.send().await.is_err() {
                break;
            }
        }
        eprintln!("S5: {} bytes were taken", raw.written);
        side.costs("S5 empty DATA and PING", 8.0).await;
    }
}

/// S18: heads that never end hold a connection for their time and no longer; an idle connection is not cut.
#[tokio::test]
async fn slow_heads_are_cut_and_idle_connections_are_not() {
    let mesh = pair().proxy_args(&["--http-head-timeout", "1s"]).start().await;
    for side in warm(&mesh).await {
        let mut idle = TcpStream::connect(side.to).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        idle.read_exact(&mut answer).await.unwrap();
        let mut slow = Vec::new();
        for _ in 0..300 {
            let mut stream = TcpStream::connect(side.to).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
            slow.push(stream);
        }
        let cut = async {
            for stream in &mut slow {
                // A byte now and then does not help.
                let _ = stream.write_all(b"x").await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            }
        };
        within("all are cut", Duration::from_secs(8), cut).await;
        let mut rest = [0; 4096];
        idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut all = Vec::new();
        while let Ok(count @ 1..) = idle.read(&mut rest).await {
            all.extend_from_slice(&rest[..count]);
        }
        let all = String::from_utf8_lossy(&all);
        assert!(all.contains("HTTP/1.1 200 "), "the idle one is served again: {all}");
        side.costs("S18 300 slow heads", 12.0).await;
    }
}

/// Is a POST with trailers so long answered with 200, on a connection that goes on?
async fn with_trailers(to: SocketAddr, length: usize) -> bool {
    let mut raw = Raw::connect(to, &[]).await.unwrap();
    let mut block = frames::get("a");
    // 0x83: POST.
    block[0] = 0x83;
    raw.put(HEADERS, END_HEADERS, 1, &block);
    raw.put(DATA, 0, 1, b"x");
    let trailers = frames::literal("x-large", &"y".repeat(length), false);
    let mut pieces = trailers.chunks(16_000);
    raw.put(HEADERS, END_STREAM, 1, pieces.next().unwrap());
    for piece in pieces {
        raw.put(CONTINUATION, 0, 1, piece);
    }
    raw.put(CONTINUATION, END_HEADERS, 1, &[]);
    raw.send().await.unwrap();
    let is_end = |frame: &frames::Frame| {
        matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY)
            && (frame.stream == 1 || frame.kind == GOAWAY)
    };
    let seen = raw.until(SOON, is_end).await;
    let end = seen.last().filter(|frame| is_end(frame)).expect("it is answered or refused");
    assert_ne!(end.kind, GOAWAY, "the connection goes on");
    // 0x88: 200.
    end.kind == HEADERS && end.payload.first() == Some(&0x88)
}

/// S19: what is too large is said to be, and costs nothing.
#[tokio::test]
async fn large_heads_are_refused() {
    let mesh = pair().start().await;
    for side in warm(&mesh).await {
        let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
        let cases = [
            (
                format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)),
                &["414", "431"][..],
            ),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(66_000)), &["431"]),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), &["431"]),
        ];
        for (case, expected) in cases {
            let answer = ask(side.to, case.as_bytes()).await.unwrap();
            let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
            assert!(expected.contains(&&*status), "{status} for {}…", &case[..40]);
        }
        let value = "x".repeat(60_000);
        let large = request(Method::GET, "/", &[("x-large", &value)], "");
        assert_eq!(http2(side.to, large).await.unwrap().status, 200, "a block of 60 KB passes");
        let value = "x".repeat(70_000);
        let too_large = http2(side.to, request(Method::GET, "/", &[("x-large", &value)], "")).await;
        assert!(too_large.is_err() || too_large.unwrap().status == 431);
        for length in [20_000, 60_000] {
            let arrived = with_trailers(side.to, length).await;
            assert!(arrived, "{}: trailers of {length} bytes", side.name);
        }
        side.costs("S19 large heads", 6.0).await;
    }
    eventually("both are idle", Duration::from_secs(5), async || {
        for workload in ["gateway", "product-v1"] {
            ensure!(mesh.proxy(workload).readiness().await.is_ok());
        }
        Result::Ok(())
    })
    .await;
}
