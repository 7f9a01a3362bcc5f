//! The load generator: makes the requests of a cell, verifies every response whole, and times them. It shares
//! two cores with what it measures, so it does little: request bytes made beforehand, one thread and no locks
//! in a closed loop, blocking threads with exact timers at a fixed rate.

mod closed;
mod grpc;
mod http1;
mod http2;
mod rate;
pub(crate) mod tcp;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::cell::{Load, Protocol};
use crate::pattern;
use crate::process::{Probe, Sample};

/// How long a response may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Host or `:authority`.
    pub(crate) host: String,
    pub(crate) protocol: Protocol,
}

/// What came of one run of a load.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Wall time of the load.
    pub(crate) elapsed: Duration,
    /// CPU time that was spent between the first request and the last response.
    pub(crate) cpu: Sample,
    pub(crate) tally: Tally,
}

/// Requests that ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Latency of each verified response, in nanoseconds. Bound: the responses that fit into a cell's seconds.
    pub(crate) latencies: Vec<u32>,
    /// Bytes that bulk carried.
    pub(crate) bytes: u64,
    /// What went wrong. Bound: one a stream, as a stream ends with its first error.
    pub(crate) errors: Vec<String>,
}

impl Tally {
    fn answered(&mut self, latency: Duration) {
        self.latencies.push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
    }

    fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.bytes += other.bytes;
        self.errors.extend(other.errors);
    }

    /// The latency in microseconds below which the share `quantile` of all responses lies; `None` without any.
    /// Sorts, so it comes after the load.
    pub(crate) fn quantiles<const N: usize>(&mut self, quantiles: [f64; N]) -> Option<[f64; N]> {
        self.latencies.sort_unstable();
        let last = self.latencies.len().checked_sub(1)?;
        Some(quantiles.map(|quantile| {
            let index = (quantile * last as f64).ceil() as usize;
            f64::from(self.latencies[index.min(last)]) / 1000.0
        }))
    }
}

/// Runs a load for `duration`, connecting beforehand; blocks the calling thread.
pub(crate) fn run(
    target: &Target,
    load: Load,
    duration: Duration,
    probe: &Probe,
) -> Result<Outcome> {
    match load {
        Load::Closed { connections, streams } => {
            let shape = closed::Shape { connections, streams, fresh: false, duration };
            runtime()?.block_on(closed::run(target, shape, probe))
        }
        Load::Fresh { connections } => {
            let shape = closed::Shape { connections, streams: 1, fresh: true, duration };
            runtime()?.block_on(closed::run(target, shape, probe))
        }
        Load::Bulk(direction) => runtime()?.block_on(tcp::bulk(target, direction, duration, probe)),
        Load::Rate { per_second, connections } => {
            let schedule = rate::Schedule { per_second, connections, duration };
            rate::run(target, &schedule, probe)
        }
    }
}

/// One verified request, on a connection of its own.
pub(crate) async fn once(target: &Target) -> Result<()> {
    let body = pattern::body();
    let exchange = async {
        match target.protocol {
            Protocol::Http1 => {
                let request = http1::request(&target.host);
                http1::Connection::open(target.address).await?.exchange(&request, &body).await
            }
            Protocol::Http2 => http2::Stream::open(target).await?.exchange(&body).await,
            Protocol::Grpc => grpc::Channel::open(target).await?.exchange().await,
            Protocol::Tcp => tcp::fresh(target.address, &pattern::word()).await,
        }
    };
    timeout(PATIENCE, exchange).await.context("no response in time")?
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
