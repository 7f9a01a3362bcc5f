//! S4, the HTTP/2 bomb, in its variants: requests that cost the sender a byte a header, answers that nobody takes.
//! A connection costs a sidecar 1 MiB at the worst, and many of them together no more than a small sidecar has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Side, mib, pair, stream, warm};
use crate::harness::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Raw,
    WINDOW_UPDATE,
};
use crate::harness::{Act, App, Builder, Mesh};

const REFUSED_STREAM: u32 = 7;
const STREAMS: u32 = 100;
/// RFC 9113 §6.5.2.
const INITIAL_WINDOW: u16 = 4;
/// 0x3e: the newest entry of HPACK's table.
const NEWEST: u8 = 0xbe;

/// One attacker's program.
#[derive(Clone, Copy)]
struct Bomb {
    name: &'static str,
    /// What goes into the table with the first request.
    entry: (&'static str, usize),
    /// How often each other request names it.
    times: usize,
    /// Gives each stream a byte of window now and then.
    drips: bool,
}

const BOMBS: [Bomb; 5] = [
    Bomb { name: "1,600 fields", entry: ("x-bomb", 0), times: 1_600, drips: false },
    Bomb { name: "1,600 crumbs of a cookie", entry: ("cookie", 3), times: 1_600, drips: false },
    Bomb { name: "90 fields of 400 bytes", entry: ("x-bomb", 400), times: 90, drips: false },
    Bomb { name: "90 crumbs of a cookie", entry: ("cookie", 3), times: 90, drips: false },
    Bomb { name: "90 fields, window drip", entry: ("x-bomb", 3), times: 90, drips: true },
];

/// What became of an attacker's streams.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    refused: u32,
    /// By the sidecar, because their answer was not taken.
    reset: u32,
    /// To its end.
    answered: u32,
}

impl Ends {
    fn all(self) -> u32 {
        self.refused + self.reset + self.answered
    }

    fn note(&mut self, frame: &frames::Frame) {
        match (frame.kind, frame.flags & END_STREAM) {
            (RST_STREAM, _) if frame.code() == REFUSED_STREAM => self.refused += 1,
            (RST_STREAM, _) => self.reset += 1,
            (HEADERS | DATA, END_STREAM) => self.answered += 1,
            _ => {}
        }
    }
}

/// A connection that takes no answers, with its requests on their way.
async fn throw(to: SocketAddr, bomb: Bomb) -> Raw {
    try_throw(to, bomb).await.unwrap()
}

async fn try_throw(to: SocketAddr, bomb: Bomb) -> Result<Raw> {
    let mut raw = Raw::connect(to, &[(INITIAL_WINDOW, 0)]).await?;
    let (name, length) = bomb.entry;
    let mut block = frames::get("a");
    block.extend(frames::literal(name, &"y".repeat(length), true));
    raw.put(HEADERS, END_HEADERS | END_STREAM, 1, &block);
    for number in 1..STREAMS {
        let mut block = frames::get("a");
        block.extend(std::iter::repeat_n(NEWEST, bomb.times));
        raw.put(HEADERS, END_HEADERS | END_STREAM, stream(number), &block);
    }
    raw.send().await?;
    Ok(raw)
}

/// Until every stream has ended, or three minutes are over. Pings are answered: the connection is alive.
async fn watch(mut raw: Raw, bomb: Bomb) -> Ends {
    let mut ends = Ends::default();
    let end = Instant::now() + Duration::from_secs(180);
    while Instant::now() < end && ends.all() < STREAMS {
        let mut pings = Vec::new();
        raw.until(Duration::from_millis(200), |frame| {
            ends.note(frame);
            if frame.kind == PING && frame.flags == 0 {
                pings.push(frame.payload.clone());
            }
            ends.all() == STREAMS
        })
        .await;
        for ping in pings {
            raw.put(PING, 1, 0, &ping);
        }
        for number in (0..STREAMS).filter(|_| bomb.drips) {
            raw.put(WINDOW_UPDATE, 0, stream(number), &[0, 0, 0, 1]);
        }
        if raw.send().await.is_err() {
            break;
        }
    }
    ends
}

/// So many attackers at once; the ends of each.
async fn attack(side: &Side, bomb: Bomb, attackers: usize) -> Vec<Ends> {
    let mut connections = Vec::new();
    for _ in 0..attackers {
        connections.push(throw(side.to, bomb).await);
    }
    let watching = connections.into_iter().map(|raw| tokio::spawn(watch(raw, bomb)));
    let watching: Vec<_> = watching.collect();
    let mut ends = Vec::new();
    for watching in watching {
        ends.push(watching.await.unwrap());
    }
    ends
}

/// The application under the bomb. It does not echo what is large: answers of megabytes that nobody takes would stop
/// the connection between the sidecars, which is another matter.
fn bombed(mesh: &Mesh, bomb: Bomb) -> Arc<App> {
    let app = mesh.app("product-v1");
    let large = bomb.entry.1 > 100;
    app.script(move |seen| {
        if large && seen.headers.contains_key(bomb.entry.0) { Act::Stay } else { Act::Echo }
    });
    app
}

fn hasty() -> Builder {
    pair().proxy_args(&["--http2-stall-timeout", "2s"])
}

/// Twenty attackers hold 20 MiB at the worst; their streams are refused, answered, or reset when they stall.
#[tokio::test]
async fn a_connection_holds_a_mebibyte_at_the_worst() {
    for bomb in BOMBS {
        let mesh = hasty().start().await;
        let app = bombed(&mesh, bomb);
        for side in warm(&mesh).await {
            let before = app.count();
            let all = attack(&side, bomb, 20).await;
            let seen = app.count() - before;
            eprintln!("S4 {}: the first: {:?}; {seen} requests arrived", bomb.name, all[0]);
            for ends in all {
                assert_eq!(ends.all(), STREAMS, "{}: all of them end: {ends:?}", bomb.name);
                assert!(bomb.times > 100 || ends.reset > 0, "stalled ones are reset: {ends:?}");
                assert!(bomb.times < 100 || ends.answered >= 99, "many fields are 431: {ends:?}");
            }
            assert!(bomb.times < 100 || seen <= 20, "many fields never arrive: {seen}");
            side.costs(&format!("S4 20 of {}", bomb.name), 20.0).await;
        }
    }
}

/// Headers of 60 KB, letter by letter, for an application that never answers: what is held is the budget, and the
/// buffers of 20 connections.
#[tokio::test]
async fn headers_are_held_up_to_a_budget() {
    let mesh = hasty().start().await;
    let app = mesh.app("product-v1");
    for side in warm(&mesh).await {
        app.script(|seen| if seen.headers.contains_key("x-held") { Act::Hang } else { Act::Echo });
        let mut held = Vec::new();
        for _ in 0..20 {
            let mut raw = Raw::connect(side.to, &[]).await.unwrap();
            for number in 0..STREAMS {
                raw.put(HEADERS, END_STREAM, stream(number), &frames::get("a"));
                for part in 0..4 {
                    let flags = if part == 3 { END_HEADERS } else { 0 };
                    let block = frames::literal("x-held", &"y".repeat(15_000), false);
                    raw.put(CONTINUATION, flags, stream(number), &block);
                }
                raw.send().await.unwrap();
            }
            held.push(raw);
        }
        for raw in &mut held {
            let mut ends = Ends::default();
            raw.until(Duration::from_secs(60), |frame| {
                ends.note(frame);
                ends.all() >= 83
            })
            .await;
            // A slow machine sees some of the held ones end, which makes room for others.
            assert!(ends.all() >= 83 && ends.refused >= 50, "17 of 60 KB are held: {ends:?}");
        }
        side.costs("S4 20 of held headers", 22.0).await;
    }
}

/// What two hundred attackers may cost, MiB. Built for use a sidecar idles at 12 and stays below 64; unoptimised its
/// futures are larger.
const OF_TWO_HUNDRED: f64 = if cfg!(debug_assertions) { 64.0 } else { 52.0 };

/// Two hundred of each, with the default limits but for the time.
#[tokio::test]
#[ignore = "long; run by tests/run --all"]
async fn two_hundred_attackers_leave_a_small_sidecar_alive() {
    for bomb in BOMBS {
        let mesh = hasty().start().await;
        bombed(&mesh, bomb);
        for side in warm(&mesh).await {
            let all = attack(&side, bomb, 200).await;
            let ended: u32 = all.iter().map(|ends| ends.all()).sum();
            let peak = mib(side.sidecar.peak());
            eprintln!("S4 200 of {}: {ended} of 20000 ended; peak {peak:.1} MiB", bomb.name);
            side.costs(&format!("S4 200 of {}", bomb.name), OF_TWO_HUNDRED).await;
        }
    }
}

/// Bombs of every kind on new connections, a few at a time, for so long; how many.
pub(super) async fn rain(to: SocketAddr, time: Duration) -> usize {
    let end = Instant::now() + time;
    let mut thrown = 0;
    let mut held = std::collections::VecDeque::new();
    while Instant::now() < end {
        let bomb = BOMBS[thrown % BOMBS.len()];
        // One that is turned away has cost nothing.
        if let Ok(Ok(raw)) = tokio::time::timeout(Duration::from_secs(1), try_throw(to, bomb)).await
        {
            thrown += 1;
            held.push_back(raw);
        }
        if held.len() > 100 {
            held.pop_front();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    thrown
}
