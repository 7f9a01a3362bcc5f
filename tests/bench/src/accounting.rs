//! `weft-bench accounting`: what it costs a sidecar to count a request, in one thread.
//!
//! The first row is what counting cost before it knew of methods, statuses and versions: one histogram an edge. The others
//! are edges that see one kind of request, or several in turn; and one for which there is no room.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

use anyhow::Result;
use comfy_table::Table;
use http::{Method, Version};
use weft_proto::latency;
use weft_proxy::telemetry::conventions::Verb;
use weft_proxy::telemetry::metrics::{Direction, Edge, EdgeKey, Metrics, Observation};

use crate::access::{println_table, time};

/// Kinds of requests in turn.
const KINDS: [u16; 3] = [1, 8, 32];

/// Prints a table.
pub(crate) fn run() -> Result<()> {
    let mut table = Table::new();
    table.set_header(["requests of an edge", "count, ns"]);
    let before = Before::default();
    let mut micros = 0;
    let nanos = time(|| {
        micros = (micros + 37) % 20_000;
        before.observe(black_box(micros));
    });
    table.add_row(["no kinds, as before".to_owned(), format!("{nanos:.1}")]);
    for kinds in KINDS {
        let nanos = cost(&Edge::alone(Direction::Outbound), kinds);
        table.add_row([format!("of {kinds} kinds in turn"), format!("{nanos:.1}")]);
    }
    let none = Metrics::with_series(std::time::SystemTime::now(), 0);
    let edge = none.edge(EdgeKey::unrouted(Direction::Outbound, "product.shop:8080"));
    table.add_row(["one without room".to_owned(), format!("{:.1}", cost(&edge, 1))]);
    println_table(&table);
    Ok(())
}

/// With all that becomes of a request's head at its end.
fn cost(edge: &Edge, kinds: u16) -> f64 {
    let (method, mut number, mut micros) = (Method::GET, 0, 0);
    time(|| {
        number = (number + 1) % kinds;
        micros = (micros + 37) % 20_000;
        edge.observe(&Observation {
            method: Verb::of(black_box(&method)),
            version: Version::HTTP_11,
            grpc: false,
            status: 200 + black_box(number),
            grpc_status: None,
            duration: Duration::from_micros(micros),
            retries: 0,
            mtls: true,
            error: None,
            fallback: false,
        });
    })
}

/// The counters of an edge as they were.
struct Before {
    requests: AtomicU64,
    durations: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    latency: [AtomicU64; latency::BUCKETS],
}

const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

impl Default for Before {
    fn default() -> Self {
        let (requests, micros) = (AtomicU64::new(0), AtomicU64::new(0));
        let latency = [const { AtomicU64::new(0) }; latency::BUCKETS];
        Self { requests, durations: Default::default(), micros, latency }
    }
}

impl Before {
    fn observe(&self, micros: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.durations[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
        self.latency[latency::index(micros)].fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Release);
    }
}
