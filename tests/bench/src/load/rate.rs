//! Open loop: each connection has a thread that sleeps until its next request is due. Connections are
//! staggered, so that requests do not come in bursts. Latency counts from the due time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::{prctl, time::TimeSpec};
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use super::{Outcome, Tally, Target, http1, http2};
use crate::cell::Protocol;
use crate::process::Probe;

/// Time for all threads to start before the first request is due.
const LEAD: Duration = Duration::from_millis(20);

/// The kernel may be this late with a timer, in nanoseconds (its default is 50,000).
const TIMER_SLACK: u64 = 1000;

/// When requests are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) per_second: u32,
    pub(super) connections: u32,
    pub(super) duration: Duration,
}

enum Connection {
    Http1(http1::Blocking),
    Http2(http2::Blocking),
}

/// Connects all, then makes every request at its time.
pub(super) fn run(target: &Target, schedule: &Schedule, probe: &Probe) -> Result<Outcome> {
    let mut connections =
        (0..schedule.connections).map(|_| Connection::open(target)).collect::<Result<Vec<_>>>()?;
    let before = probe.sample()?;
    let started = Instant::now() + LEAD;
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let spawn = |(index, connection): (u32, _)| {
            scope.spawn(move || requests(connection, started, index, schedule))
        };
        let threads: Vec<_> = (0..).zip(&mut connections).map(spawn).collect();
        for thread in threads {
            match thread.join() {
                Ok(Ok(partial)) => tally.merge(partial),
                Ok(Err(error)) => tally.errors.push(format!("{error:#}")),
                Err(_) => tally.errors.push("a thread of the load panicked".to_owned()),
            }
        }
    });
    Ok(Outcome { elapsed: started.elapsed(), cpu: probe.sample()? - before, tally })
}

/// All requests of one connection; ends with the first error.
fn requests(
    connection: &mut Connection,
    started: Instant,
    index: u32,
    schedule: &Schedule,
) -> Result<Tally> {
    prctl::set_timerslack(TIMER_SLACK).context("cannot set the timer slack")?;
    let every = Duration::from_secs(1) / schedule.per_second;
    let interval = every * schedule.connections;
    let end = started + schedule.duration;
    let mut due = started + every * index;
    let mut tally = Tally::default();
    while due < end {
        sleep_until(due)?;
        if let Err(error) = connection.exchange() {
            tally.errors.push(format!("{error:#}"));
            break;
        }
        tally.answered(due.elapsed());
        due += interval;
    }
    Ok(tally)
}

fn sleep_until(due: Instant) -> Result<()> {
    let wait = due.saturating_duration_since(Instant::now());
    if !wait.is_zero() {
        let clock = ClockId::CLOCK_MONOTONIC;
        clock_nanosleep(clock, ClockNanosleepFlags::empty(), &TimeSpec::from_duration(wait))?;
    }
    Ok(())
}

impl Connection {
    fn open(target: &Target) -> Result<Self> {
        Ok(match target.protocol {
            Protocol::Http1 => Self::Http1(http1::Blocking::open(target.address, &target.host)?),
            Protocol::Http2 => Self::Http2(http2::Blocking::open(target)?),
            other @ (Protocol::Grpc | Protocol::Tcp) => bail!("no load of {other:?} at a rate"),
        })
    }

    fn exchange(&mut self) -> Result<()> {
        match self {
            Self::Http1(connection) => connection.exchange(),
            Self::Http2(connection) => connection.exchange(),
        }
    }
}
