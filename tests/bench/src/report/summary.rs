//! Medians over the rounds, of figures and of ratios.

use serde::Serialize;

use super::Measurement;
use crate::cell::Unit;

/// The pairs that others are divided by.
const REFERENCES: [&str; 2] = ["hyper", "envoy"];

/// One pair in one cell, over all rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) cell: &'static str,
    pub(super) peer: &'static str,
    pub(super) unit: Unit,
    pub(super) cpu_us: f64,
    pub(super) cpu_us_min: f64,
    pub(super) cpu_us_max: f64,
    pub(super) outbound_us: f64,
    pub(super) inbound_us: f64,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// CPU time by that of the hyper pair; `None` where one of the two was not measured.
    pub(super) cpu_by_hyper: Option<f64>,
    /// CPU time by Envoy's.
    pub(super) cpu_by_envoy: Option<f64>,
    pub(super) p50_by_hyper: Option<f64>,
    pub(super) p99_by_hyper: Option<f64>,
    pub(super) errors: usize,
}

/// A row for each cell and pair, in the order in which they were first measured.
pub(super) fn rows(measurements: &[Measurement]) -> Vec<Row> {
    let mut keys = Vec::new();
    for measurement in measurements {
        let key = (measurement.cell, measurement.peer);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.iter().map(|&(cell, peer)| row(measurements, cell, peer)).collect()
}

fn row(all: &[Measurement], cell: &'static str, peer: &'static str) -> Row {
    let own = of(all, cell, peer);
    let figure =
        |value: fn(&Measurement) -> f64| median(own.iter().map(|m| value(m))).unwrap_or(0.0);
    let ratio = |reference: &str, value: fn(&Measurement) -> f64| {
        let reference = of(all, cell, reference);
        let pairs = own.iter().filter_map(|m| {
            let other = reference.iter().find(|other| other.round == m.round)?;
            (value(other) > 0.0).then(|| value(m) / value(other))
        });
        median(pairs)
    };
    let [hyper, envoy] = REFERENCES;
    let costs = || own.iter().map(|m| m.cpu_us);
    Row {
        cell,
        peer,
        unit: own.first().map_or(Unit::Operation, |m| m.unit),
        cpu_us: figure(|m| m.cpu_us),
        cpu_us_min: costs().reduce(f64::min).unwrap_or(0.0),
        cpu_us_max: costs().reduce(f64::max).unwrap_or(0.0),
        outbound_us: figure(|m| m.outbound_us),
        inbound_us: figure(|m| m.inbound_us),
        per_second: figure(|m| m.per_second),
        p50_us: figure(|m| m.p50_us),
        p99_us: figure(|m| m.p99_us),
        cpu_by_hyper: ratio(hyper, |m| m.cpu_us),
        cpu_by_envoy: ratio(envoy, |m| m.cpu_us),
        p50_by_hyper: ratio(hyper, |m| m.p50_us),
        p99_by_hyper: ratio(hyper, |m| m.p99_us),
        errors: own.iter().map(|m| m.errors).sum(),
    }
}

fn of<'a>(all: &'a [Measurement], cell: &str, peer: &str) -> Vec<&'a Measurement> {
    all.iter().filter(|m| m.cell == cell && m.peer == peer).collect()
}

/// The middle value; the mean of the middle two if there are two.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[values.len() / 2]))
}

#[cfg(test)]
mod tests;
