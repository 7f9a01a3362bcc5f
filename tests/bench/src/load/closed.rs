//! Closed loop: one thread drives all connections, each stream sends its next request when the last is
//! answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Outcome, PATIENCE, Tally, Target, grpc, http1, http2, tcp};
use crate::cell::Protocol;
use crate::pattern;
use crate::process::Probe;

/// How many, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) connections: usize,
    pub(super) streams: usize,
    /// A connection for each round trip; otherwise they are kept.
    pub(super) fresh: bool,
    pub(super) duration: Duration,
}

/// One stream of requests: a connection of its own, or a share of one.
enum Stream {
    Http1(http1::Connection),
    Http2(http2::Stream),
    Grpc(grpc::Channel),
    Echo(tcp::Echo),
    Fresh(SocketAddr),
}

/// Connects all, then lets all run until the time is over.
pub(super) async fn run(target: &Target, shape: Shape, probe: &Probe) -> Result<Outcome> {
    let mut streams = Vec::with_capacity(shape.connections * shape.streams);
    for _ in 0..shape.connections {
        streams.extend(open(target, shape).await?);
    }
    let request = http1::request(&target.host);
    let (body, word) = (pattern::body(), pattern::word());
    let before = probe.sample()?;
    let started = Instant::now();
    let end = started + shape.duration;
    let mut tasks = JoinSet::new();
    for stream in streams {
        let expected = if target.protocol == Protocol::Tcp { &word } else { &body };
        tasks.spawn(stream.requests(end, request.clone(), expected.clone()));
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

/// One connection with all its streams.
async fn open(target: &Target, shape: Shape) -> Result<Vec<Stream>> {
    let address = target.address;
    Ok(match target.protocol {
        Protocol::Http1 => vec![Stream::Http1(http1::Connection::open(address).await?)],
        Protocol::Http2 => {
            let stream = http2::Stream::open(target).await?;
            (0..shape.streams).map(|_| Stream::Http2(stream.clone())).collect()
        }
        Protocol::Grpc => {
            let channel = grpc::Channel::open(target).await?;
            (0..shape.streams).map(|_| Stream::Grpc(channel.clone())).collect()
        }
        Protocol::Tcp if shape.fresh => vec![Stream::Fresh(address)],
        Protocol::Tcp => vec![Stream::Echo(tcp::Echo::open(address).await?)],
    })
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
                Self::Grpc(channel) => channel.exchange().await,
                Self::Echo(connection) => connection.exchange(&body).await,
                Self::Fresh(address) => tcp::fresh(*address, &body).await,
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
