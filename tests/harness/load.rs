//! An open-loop load: requests go out at a steady rate whatever becomes of them, each with a number of its own, and
//! every outcome is recorded. So "0 failed" and "no POST twice" are counted, not estimated. Only when very many are
//! under way does it wait for some to end: a machine that is too slow for the rate is not what is tested.
//!
//! Connections are kept and reused as a usual client does; every tenth request takes a new one, because a mesh that
//! is being changed must serve new connections too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::app::REQUEST_NUMBER;
use super::{App, Kept, request};

/// A request without an answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// More are not under way at a time.
const MOST: usize = 100;
/// Apart by this are the numbers of two loads, so that no two requests of a test have the same.
const APART: u64 = 1_000_000;
/// One in this many goes over a new connection.
const FRESH: u64 = 10;
/// One in this many is a POST.
const POSTS: u64 = 3;

/// A load that runs until it is stopped.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    progress: watch::Receiver<u64>,
    run: JoinHandle<Vec<Outcome>>,
}

/// What became of one request.
#[derive(Clone, Debug)]
struct Outcome {
    number: u64,
    method: Method,
    /// The workload that answered, or what went wrong.
    result: Result<String, String>,
    latency: Duration,
}

/// What became of all requests.
#[derive(Debug)]
pub(crate) struct Tally {
    outcomes: Vec<Outcome>,
}

/// HTTP version of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

impl Load {
    /// GETs and POSTs over HTTP/1.1, `rate` a second.
    pub(crate) fn start(to: SocketAddr, rate: u32) -> Self {
        Self::run(to, rate, Version::Http1, None)
    }

    /// The same to an application that is no [`App`]: it is asked for this path, and all that it says itself is an
    /// answer, to the POSTs too, which it may not know; what a sidecar says in its place is a failure.
    pub(crate) fn start_at(to: SocketAddr, rate: u32, path: &'static str) -> Self {
        Self::run(to, rate, Version::Http1, Some(path))
    }

    /// The same over HTTP/2.
    pub(crate) fn start_http2(to: SocketAddr, rate: u32) -> Self {
        Self::run(to, rate, Version::Http2, None)
    }

    fn run(to: SocketAddr, rate: u32, version: Version, path: Option<&'static str>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ended, progress) = watch::channel(0);
        let client = Arc::new(Client { to, version, path, idle: Mutex::default() });
        let run = tokio::spawn(drive(client, rate, stopped, ended));
        Self { stop, progress, run }
    }

    /// Waits until `more` requests have ended since now.
    pub(crate) async fn passes(&mut self, more: u64) {
        let goal = *self.progress.borrow() + more;
        let passed = self.progress.wait_for(|ended| *ended >= goal);
        super::within("the load goes on", Duration::from_secs(180), passed)
            .await
            .expect("the load runs until it is stopped");
    }

    /// Lets what is under way end, and returns all outcomes.
    pub(crate) async fn stop(self) -> Tally {
        self.stop.send_replace(true);
        Tally { outcomes: self.run.await.expect("a load does not panic") }
    }
}

impl Tally {
    /// Requests made.
    pub(crate) fn count(&self) -> usize {
        self.outcomes.len()
    }

    /// Requests that failed, in words.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = self.outcomes.iter().filter_map(|outcome| {
            let reason = outcome.result.as_ref().err()?;
            let Outcome { number, method, latency, .. } = outcome;
            Some(format!("{method} {number} after {latency:?}: {reason}"))
        });
        failed.collect()
    }

    /// Answers by workload.
    pub(crate) fn by_workload(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for workload in self.outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()) {
            *counts.entry(workload.as_str()).or_default() += 1;
        }
        counts
    }

    /// 99 of 100 requests that succeeded took no longer.
    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// Half of the requests that succeeded took no longer.
    pub(crate) fn p50(&self) -> Duration {
        self.percentile(50)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let served = self.outcomes.iter().filter(|outcome| outcome.result.is_ok());
        let mut latencies: Vec<_> = served.map(|outcome| outcome.latency).collect();
        latencies.sort_unstable();
        latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default()
    }

    /// Nothing failed, and there was something that could have.
    #[track_caller]
    pub(crate) fn assert_no_failures(&self) {
        let failures = self.failures();
        let few = &failures[..failures.len().min(10)];
        assert!(failures.is_empty(), "{} of {}: {few:#?}", failures.len(), self.count());
        assert!(self.count() >= 50, "{} requests prove nothing", self.count());
    }

    /// Every POST that succeeded reached the applications once, and none reached them twice.
    #[track_caller]
    pub(crate) fn assert_posts_arrived_once(&self, apps: &[Arc<App>]) {
        let mut arrivals: BTreeMap<u64, usize> = BTreeMap::new();
        for app in apps {
            for (number, times) in app.arrivals(&Method::POST) {
                *arrivals.entry(number).or_default() += times;
            }
        }
        let twice: Vec<_> = arrivals.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "POSTs that arrived more than once: {twice:?}");
        let posts = self.outcomes.iter().filter(|outcome| outcome.method == Method::POST);
        let mut count = 0;
        for post in posts.filter(|post| post.result.is_ok()) {
            assert!(arrivals.contains_key(&post.number), "{post:?} never arrived");
            count += 1;
        }
        assert!(count >= 10, "{count} POSTs prove nothing");
    }
}

async fn drive(
    client: Arc<Client>,
    rate: u32,
    stopped: watch::Receiver<bool>,
    ended: watch::Sender<u64>,
) -> Vec<Outcome> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut requests = JoinSet::new();
    let mut outcomes = Vec::new();
    let mut number = NEXT.fetch_add(APART, Ordering::Relaxed);
    while !*stopped.borrow() {
        tokio::select! {
            _ = ticks.tick(), if requests.len() < MOST => {
                number += 1;
                let client = Arc::clone(&client);
                requests.spawn(async move { client.one(number).await });
            }
            Some(outcome) = requests.join_next() => {
                outcomes.push(outcome.expect("a request does not panic"));
                ended.send_modify(|ended| *ended += 1);
            }
        }
    }
    outcomes.extend(requests.join_all().await);
    outcomes
}

/// A client with kept connections.
struct Client {
    to: SocketAddr,
    version: Version,
    /// What is asked for where the application is not an [`App`].
    path: Option<&'static str>,
    /// Lock: never held over an await.
    idle: Mutex<Vec<Kept>>,
}

impl Client {
    async fn one(&self, number: u64) -> Outcome {
        let method = if number.is_multiple_of(POSTS) { Method::POST } else { Method::GET };
        let started = Instant::now();
        let result = match timeout(PATIENCE, self.exchange(number, method.clone())).await {
            Ok(result) => result.map_err(|error| format!("{error:#}")),
            Err(_) => Err("no answer in time".to_owned()),
        };
        Outcome { number, method, result, latency: started.elapsed() }
    }

    async fn exchange(&self, number: u64, method: Method) -> Result<String> {
        let mut connection = match self.kept() {
            Some(kept) if !number.is_multiple_of(FRESH) => kept,
            Some(_) | None => self.connect().await.context("connecting")?,
        };
        let text = number.to_string();
        let headers = [("host", "load.test"), (REQUEST_NUMBER, &text)];
        let body = if method == Method::POST { &text } else { "" };
        let path = self.path.map_or_else(|| format!("/load/{number}"), str::to_owned);
        let answer = connection.send(request(method, &path, &headers, body)).await?;
        if self.path.is_some() {
            let said = answer.header("proxy-status");
            ensure!(answer.status.as_u16() < 500 && said.is_empty(), "{}: {said}", answer.status);
            self.keep(connection);
            return Ok(String::new());
        }
        ensure!(answer.status.is_success(), "{}: {}", answer.status, answer.header("proxy-status"));
        let echo = answer.json();
        ensure!(
            echo["body"] == body && echo["headers"][REQUEST_NUMBER] == text,
            "mixed up: {echo}"
        );
        self.keep(connection);
        Ok(answer.workload())
    }

    fn keep(&self, connection: Kept) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    fn kept(&self) -> Option<Kept> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| !kept.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Kept> {
        match self.version {
            Version::Http1 => Kept::http1(self.to).await,
            Version::Http2 => Kept::http2(self.to).await,
        }
    }
}
