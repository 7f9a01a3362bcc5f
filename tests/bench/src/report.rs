//! From measurements to figures. Ratios are made within a round, between pairs that ran next to each other, and
//! the median over the rounds is reported: a machine that is slower for a while then slows both sides of a
//! ratio.

mod idle;
mod memory;
mod summary;
mod table;
mod unit;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::cell::{Cell, Unit};
use crate::load::Outcome;
use crate::mtls::Finding;
use crate::peer::Kind;
pub(crate) use idle::Idle;
pub(crate) use memory::Memory;
use summary::Row;

/// Errors of a measurement that are quoted.
const QUOTED: usize = 3;

/// One pair in one cell of one round. Times are in microseconds. A unit is a request, a round trip, a connection, or
/// a GiB, as the cell has it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    round: usize,
    cell: &'static str,
    peer: &'static str,
    unit: Unit,
    /// Responses that were right, to the last byte.
    requests: usize,
    errors: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first_errors: Vec<String>,
    /// Units per second.
    per_second: f64,
    /// CPU time of the two proxies per unit, and of both together.
    cpu_us: f64,
    outbound_us: f64,
    inbound_us: f64,
    /// CPU time of the load generator per unit, which is in none of the others.
    load_us: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Measurement {
    /// What one run of a load amounts to.
    pub(crate) fn new(round: usize, cell: &Cell, kind: Kind, mut outcome: Outcome) -> Self {
        let [p50_us, p99_us] = outcome.tally.quantiles([0.5, 0.99]).unwrap_or_default();
        let requests = outcome.tally.latencies.len();
        let unit = cell.unit();
        let amount = match unit {
            Unit::Operation => requests as f64,
            Unit::Gibibyte => outcome.tally.bytes as f64 / f64::from(1 << 30),
        };
        let errors = outcome.tally.errors;
        // A load that did nothing is an error, and its figures are of no matter.
        let divisor = if amount > 0.0 { amount } else { 1.0 };
        let per_unit = |time: Duration| time.as_secs_f64() * 1e6 / divisor;
        let outbound_us = per_unit(outcome.cpu.outbound);
        let inbound_us = per_unit(outcome.cpu.inbound);
        Self {
            round,
            cell: cell.name,
            peer: kind.name(),
            unit,
            requests,
            // A load that answers nothing has failed, even if nothing was reported.
            errors: errors.len().max(usize::from(requests == 0)),
            first_errors: errors.into_iter().take(QUOTED).collect(),
            per_second: amount / outcome.elapsed.as_secs_f64(),
            cpu_us: outbound_us + inbound_us,
            outbound_us,
            inbound_us,
            load_us: per_unit(outcome.cpu.load),
            p50_us,
            p99_us,
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {} {:<11} {:<9} {:>7} {:>9}/s p50 {:>6.0} p99 {:>6.0} errors {}",
            self.round + 1,
            self.cell,
            self.peer,
            self.unit.cpu(self.cpu_us),
            self.unit.amount(self.per_second),
            self.p50_us,
            self.p99_us,
            self.errors
        )?;
        for error in &self.first_errors {
            write!(f, "\n    {error}")?;
        }
        Ok(())
    }
}

/// How the run was made.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    /// When it ended, in seconds since 1970.
    ended: u64,
    rounds: usize,
    seconds: f64,
    cores: usize,
}

impl Settings {
    /// Of a run that ends now.
    pub(crate) fn new(rounds: usize, duration: Duration) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            ended: now.map_or(0, |since| since.as_secs()),
            rounds,
            seconds: duration.as_secs_f64(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
        }
    }
}

/// What is known of a pair beside its measurements.
#[derive(Debug, Serialize)]
pub(crate) struct PeerReport {
    pub(crate) peer: &'static str,
    pub(crate) version: String,
    pub(crate) mtls: Vec<Finding>,
    /// Before any load.
    pub(crate) idle: Memory,
    /// After all cells; `None` while they run.
    pub(crate) after: Option<Memory>,
    /// Ten seconds later; `None` while they run.
    pub(crate) rested: Option<Memory>,
}

/// Everything; the JSON file is this.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    settings: Settings,
    peers: Vec<PeerReport>,
    summary: Vec<Row>,
    idle_connections: Vec<Idle>,
    measurements: Vec<Measurement>,
}

impl Report {
    /// Sums up.
    pub(crate) fn new(
        settings: Settings,
        peers: Vec<PeerReport>,
        idle_connections: Vec<Idle>,
        measurements: Vec<Measurement>,
    ) -> Self {
        let summary = summary::rows(&measurements);
        Self { schema_version: 2, settings, peers, summary, idle_connections, measurements }
    }

    /// All errors of all loads.
    pub(crate) fn errors(&self) -> usize {
        self.measurements.iter().map(|measurement| measurement.errors).sum()
    }
}
