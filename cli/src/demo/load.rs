//! The load generator: a plain client outside the mesh, at a steady rate whatever the answers are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Bound: requests open at a time; beyond it a turn is skipped, and counted.
const MAX_OPEN: usize = 128;
const TIMEOUT: Duration = Duration::from_secs(10);

/// One round of requests: the first six already touch every edge of the shop.
const ROUND: [(&str, &str); 10] = [
    ("GET", "/products"),
    ("POST", "/checkout"),
    ("GET", "/me"),
    ("GET", "/products"),
    ("GET", "/products"),
    ("POST", "/checkout"),
    ("GET", "/products"),
    ("GET", "/products"),
    ("POST", "/checkout"),
    ("GET", "/products"),
];

/// The kinds of request, for people.
pub(super) const KINDS: &str = "GET /products, GET /me, POST /checkout";

type Http = Client<HttpConnector, Full<Bytes>>;

/// What the clients saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Requests sent.
    pub(super) sent: u64,
    /// Answers below 500.
    pub(super) good: u64,
    /// Answers of 500 and above.
    pub(super) failed: u64,
    /// Requests without an answer: refused, broken off, or too late.
    pub(super) unanswered: u64,
    /// Requests that were due but not sent, because too many were open.
    pub(super) skipped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    good: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    skipped: AtomicU64,
}

/// A running load generator.
#[derive(Debug)]
pub(super) struct Load {
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts it: `rate` requests a second, none for 0.
    pub(super) fn start(front: SocketAddr, rate: u32) -> Self {
        let counters = Arc::new(Counters::default());
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        if rate > 0 {
            let generator = generate(
                front,
                Duration::from_secs(1) / rate,
                Arc::clone(&counters),
                stop.subscribe(),
            );
            tasks.spawn(generator);
        }
        Self { counters, stop, tasks }
    }

    /// Sends no more, waits for the answers that are due, and tells the counts.
    pub(super) async fn stop(mut self) -> Counts {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.counters.counts()
    }
}

impl Counters {
    fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            sent: read(&self.sent),
            good: read(&self.good),
            failed: read(&self.failed),
            unanswered: read(&self.unanswered),
            skipped: read(&self.skipped),
        }
    }
}

async fn generate(
    front: SocketAddr,
    every: Duration,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let client = client();
    let open = Arc::new(Semaphore::new(MAX_OPEN));
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for (method, path) in ROUND.into_iter().cycle() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stopped(&mut stop) => break,
        }
        while requests.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&open).try_acquire_owned() else {
            counters.skipped.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        counters.sent.fetch_add(1, Ordering::Relaxed);
        let (counters, client) = (Arc::clone(&counters), client.clone());
        requests.spawn(async move {
            let status = send(&client, method, &format!("http://{front}{path}")).await;
            let counter = match status {
                Ok(status) if status < 500 => &counters.good,
                Ok(_) => &counters.failed,
                Err(_) => &counters.unanswered,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            drop(permit);
        });
    }
    while requests.join_next().await.is_some() {}
}

/// Sends one request, reads the answer to its end and returns its status.
async fn send(client: &Http, method: &str, url: &str) -> Result<u16> {
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(url)
        .header(header::USER_AGENT, concat!("weft-demo/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::default())?;
    let exchange = async {
        let answer = client.request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        anyhow::Ok(status)
    };
    tokio::time::timeout(TIMEOUT, exchange).await?
}

/// Asks `http://ADDRESS/health` and fails unless the answer is good.
///
/// # Errors
/// No answer, or not a good one.
pub(super) async fn is_healthy(address: SocketAddr) -> Result<()> {
    match send(&client(), "GET", &format!("http://{address}/health")).await? {
        200 => Ok(()),
        status => bail!("/health of {address} answers {status}"),
    }
}

fn client() -> Http {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(10))
        .build_http()
}

/// Returns when the generator is to stop, or its owner is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
