//! Closed loop: one thread drives all connections, each stream sends its next request when the last is
//! answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Outcome, PATIENCE, Tally, Target, http1, http2};
use crate::cell::Protocol;
use crate::pattern;
use crate::process::Probe;

/// How many, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) connections: usize,
    pub(super) streams: usize,
    pub(super) duration: Duration,
}

/// One stream of requests: a connection of its own, or a share of one.
enum Stream {
    Http1(http1::Connection),
    Http2(http2::Stream),
}

/// Connects all, then lets all run until the time is over.
pub(super) async fn run(target: &Target, shape: Shape, probe: &Probe) -> Result<Outcome> {
    let mut streams = Vec::with_capacity(shape.connections * shape.streams);
    for _ in 0..shape.connections {
        match target.protocol {
            Protocol::Http1 => {
                streams.push(Stream::Http1(http1::Connection::open(target.address).await?));
            }
            Protocol::Http2 => {
                let stream = http2::Stream::open(target).await?;
                streams.extend((0..shape.streams).map(|_| Stream::Http2(stream.clone())));
            }
        }
    }
    let request = http1::request(&target.host);
    let body = pattern::body();
    let before = probe.sample()?;
    let started = Instant::now();
    let end = started + shape.duration;
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(stream.requests(end, request.clone(), body.clone()));
    }
    let mut tally = Tally::default();
    // Order: connections live until the CPU time is read, so that closing them is not counted.
    let mut ended = Vec::with_capacity(tasks.len());
    let join = async {
        while let Some(joined) = tasks.join_next().await {
            let (stream, partial) = joined.context("a stream of the load panicked")?;
            ended.push(stream);
            tally.merge(partial);
        }
        Ok(())
    };
    let joined: Result<Result<()>, _> = timeout(shape.duration + PATIENCE, join).await;
    let (elapsed, after) = (started.elapsed(), probe.sample()?);
    match joined {
        Ok(result) => result?,
        Err(_) => tally.errors.push(format!("no response for {} s", PATIENCE.as_secs())),
    }
    Ok(Outcome { elapsed, cpu: after - before, tally })
}

impl Stream {
    async fn requests(mut self, end: Instant, request: Bytes, body: Bytes) -> (Self, Tally) {
        let mut tally = Tally::default();
        loop {
            let sent = Instant::now();
            if sent >= end {
                return (self, tally);
            }
            let result = match &mut self {
                Self::Http1(connection) => connection.exchange(&request, &body).await,
                Self::Http2(stream) => stream.exchange(&body).await,
            };
            match result {
                Ok(()) => tally.answered(sent.elapsed()),
                Err(error) => {
                    tally.errors.push(format!("{error:#}"));
                    return (self, tally);
                }
            }
        }
    }
}
