//! Reads counters into the families that the text encoder takes. Runs at a scrape, on the control thread.
//! A series without a count is left out: a mesh has many more routes than it uses. [`super::histograms`] makes those of
//! durations.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::Gauges;
use super::edge::{CLASSES, Mirrored, Totals};
use super::histograms;
use super::names::{self, Description, Kind};
use super::table::{Direction, EdgeKey, Table};
use crate::error::Token;

/// The families of all edges; those without a series are left out, and of edges that nothing was counted of for `idle` all
/// are.
pub(super) fn edges(table: &Table, now: Instant, idle: Duration) -> Vec<MetricFamily> {
    let mut families = Families::default();
    let rows = table.rows(now, idle);
    let mut other = [Direction::Outbound, Direction::Inbound].map(|direction| {
        let gone = table.room.other(direction).gone();
        (EdgeKey::other(direction), gone)
    });
    for group in rows.chunk_by(|one, next| one.key.is_same_edge(&next.key)) {
        let key = &group[0].key;
        let (_, folded) = &mut other[key.direction as usize];
        let mut totals = Totals::default();
        for row in group {
            let is_other = row.edge.placed() == Some(false) || key.peer == super::OTHER;
            if is_other { folded.add(&row.totals) } else { totals.add(&row.totals) }
        }
        if group.iter().any(|row| !row.idle) {
            counters(&mut families, key, &totals);
        }
        histograms::of_edges(&mut families, group);
    }
    for (key, totals) in &other {
        counters(&mut families, key, totals);
        histograms::of_others(&mut families, key.direction, table.room.other(key.direction));
    }
    families.0.into_iter().filter(|family| !family.get_metric().is_empty()).collect()
}

/// One family per edge metric.
pub(super) struct Families(Vec<MetricFamily>);

impl Default for Families {
    fn default() -> Self {
        let of_edges = names::ALL.iter().filter(|what| what.labels.contains(&"peer"));
        Self(of_edges.map(|what| family(what)).collect())
    }
}

impl Families {
    pub(super) fn push(&mut self, what: &Description, metric: Metric) {
        let family = self.0.iter_mut().find(|family| family.name() == what.name);
        if let Some(family) = family {
            family.mut_metric().push(metric);
        }
    }

    /// A counter of an edge, unless it is zero. `more` are the values of the labels behind the edge's own.
    fn count(&mut self, what: &Description, key: &EdgeKey, more: &[&str], value: u64) {
        if value > 0 {
            let mut values = vec![key.direction.as_str(), &key.peer, &key.route, &key.backend];
            values.extend(more);
            self.push(what, counter(labels(what, &values), value));
        }
    }
}

fn counters(families: &mut Families, key: &EdgeKey, totals: &Totals) {
    requests(families, key, totals);
    connections(families, key, totals);
}

fn requests(families: &mut Families, key: &EdgeKey, totals: &Totals) {
    for (mtls, classes) in ["false", "true"].into_iter().zip(&totals.requests) {
        for (class, count) in CLASSES.into_iter().zip(classes) {
            families.count(names::REQUESTS, key, &[class, mtls], *count);
        }
    }
    // From the first request on: who sees only the first failure has nothing to see it grow from.
    if totals.requests() > 0 {
        families.push(names::FAILURES, counter(of_edge(names::FAILURES, key), totals.failures));
    }
    families.count(names::RETRIES, key, &[], totals.retries);
    families.count(names::FALLBACKS, key, &[], totals.fallbacks);
    for ((_, outcome), count) in Mirrored::ALL.into_iter().zip(totals.mirrored) {
        families.count(names::MIRRORED, key, &[outcome], count);
    }
    for (token, count) in Token::ALL.iter().zip(&totals.errors) {
        families.count(names::ERRORS, key, &[token.as_str()], *count);
    }
}

fn connections(families: &mut Families, key: &EdgeKey, totals: &Totals) {
    for (mtls, count) in ["false", "true"].into_iter().zip(&totals.tcp_opened) {
        families.count(names::TCP_OPENED, key, &[mtls], *count);
    }
    families.count(names::TCP_CLOSED, key, &[], totals.tcp_closed);
    if totals.tcp_opened.iter().any(|opened| *opened > 0) {
        families.push(names::TCP_OPEN, gauge(of_edge(names::TCP_OPEN, key), totals.open()));
    }
    families.count(names::TCP_SENT, key, &[], totals.tcp_sent);
    families.count(names::TCP_RECEIVED, key, &[], totals.tcp_received);
}

/// The labels of an edge, where there are no others.
fn of_edge(what: &Description, key: &EdgeKey) -> Vec<LabelPair> {
    labels(what, &[key.direction.as_str(), &key.peer, &key.route, &key.backend])
}

/// How much room there is.
pub(super) fn room(table: &Table) -> Vec<MetricFamily> {
    let (taken, limit) = table.room.series();
    let other =
        [Direction::Outbound, Direction::Inbound].map(|side| table.room.other(side).count());
    vec![
        reading(names::SERIES, taken as u64),
        reading(names::SERIES_LIMIT, limit as u64),
        reading(names::OTHER_REQUESTS, other.iter().sum()),
    ]
}

/// What the process sets by itself.
pub(super) fn gauges(gauges: &Gauges, started: SystemTime, now: SystemTime) -> Vec<MetricFamily> {
    let unix =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let config = gauges.config.load();
    let alone = |since: SystemTime| now.duration_since(since).unwrap_or_default().as_secs();
    let unconfirmed = config.alone_since.map_or(0, alone);
    let started = unix(started);
    let not_after = gauges.identity_not_after.load(Relaxed).try_into().unwrap_or(0);
    vec![
        single(names::BUILD, gauge(labels(names::BUILD, &[env!("CARGO_PKG_VERSION")]), 1)),
        reading(names::CONFIG_ACCEPTED, config.accepted.map_or(0, unix)),
        reading(names::CONFIG_GENERATION, config.version.parse().unwrap_or(0)),
        reading(names::CONFIG_STALE, gauges.config_stale.load(Relaxed).into()),
        reading(names::CONFIG_UNCONFIRMED, unconfirmed),
        reading(names::XDS_CONNECTED, gauges.xds_connected.load(Relaxed).into()),
        reading(names::DRAINING, gauges.draining.load(Relaxed).into()),
        reading(names::IDENTITY_NOT_AFTER, not_after),
        reading(names::RENEWAL_OVERDUE, gauges.renewal_overdue.load(Relaxed).into()),
        reading(names::STARTED, started),
    ]
}

/// A family of one series without labels.
pub(super) fn reading(what: &Description, value: u64) -> MetricFamily {
    let metric = match what.kind {
        Kind::Counter => counter(Vec::new(), value),
        Kind::Gauge | Kind::Histogram => gauge(Vec::new(), value),
    };
    single(what, metric)
}

/// A family of counters or gauges with labels.
pub(super) fn series(what: &Description, rows: &[(Vec<String>, u64)]) -> MetricFamily {
    let metric = |(values, value): &(Vec<String>, u64)| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        match what.kind {
            Kind::Counter => counter(labels(what, &values), *value),
            Kind::Gauge | Kind::Histogram => gauge(labels(what, &values), *value),
        }
    };
    let mut family = family(what);
    family.set_metric(rows.iter().map(metric).collect());
    family
}

/// A family of one series without labels, in seconds.
pub(super) fn reading_micros(what: &Description, micros: u64) -> MetricFamily {
    let mut counter = Counter::default();
    counter.set_value(seconds(micros));
    let mut metric = Metric::from_label(Vec::new());
    metric.set_counter(counter);
    single(what, metric)
}

fn single(what: &Description, metric: Metric) -> MetricFamily {
    let mut family = family(what);
    family.set_metric(vec![metric]);
    family
}

fn family(what: &Description) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(what.name.to_owned());
    family.set_help(what.help.to_owned());
    family.set_field_type(match what.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family
}

pub(super) fn labels(what: &Description, values: &[&str]) -> Vec<LabelPair> {
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    what.labels.iter().zip(values).map(pair).collect()
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn counter(labels: Vec<LabelPair>, value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn gauge(labels: Vec<LabelPair>, value: u64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
