//! The figures of several replicas of a control plane as one: each knows what the sidecars told that are connected to it, and
//! one that has moved is in two. Pure; called by `stat`.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_proto::latency;

use crate::admin::{Edge, Golden, Route, Stat, Workload};

/// One answer of all. What only newer control planes say is added up where it is a number.
pub(super) fn merged(all: Vec<Stat>) -> Stat {
    let mut sum = Stat::default();
    let seconds = all.iter().filter_map(|stat| stat.window_s.as_u64()).max().unwrap_or(0);
    let (mut workloads, mut edges, mut routes) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for stat in all {
        sum.schema_version = sum.schema_version.max(stat.schema_version);
        for row in stat.workloads {
            let key = (row.name.clone(), row.namespace.clone(), row.workload.clone());
            add(&mut workloads, key, row, Workload::add);
        }
        for row in stat.edges {
            let from = (row.source.clone(), row.source_namespace.clone());
            let key = (from, row.destination.clone(), row.namespace.clone());
            add(&mut edges, key, row, Edge::add);
        }
        for row in stat.routes {
            let from = (row.source.clone(), row.source_namespace.clone(), row.destination.clone());
            add(&mut routes, (from, row.route.clone(), row.backend.clone()), row, Route::add);
        }
    }
    sum.window_s = seconds.into();
    sum.workloads = workloads
        .into_values()
        .map(|row| Workload { golden: row.golden.shown(seconds), ..row })
        .collect();
    sum.edges =
        edges.into_values().map(|row| Edge { golden: row.golden.shown(seconds), ..row }).collect();
    sum.routes = routes
        .into_values()
        .map(|row| Route { golden: row.golden.shown(seconds), ..row })
        .collect();
    sum
}

fn add<K: Ord, R>(rows: &mut BTreeMap<K, R>, key: K, row: R, add: impl FnOnce(&mut R, R)) {
    match rows.get_mut(&key) {
        Some(known) => add(known, row),
        None => drop(rows.insert(key, row)),
    }
}

impl Workload {
    fn add(&mut self, other: Self) {
        self.meshed |= other.meshed;
        self.mtls_share = share((self.mtls_share, &self.golden), (other.mtls_share, &other.golden));
        self.golden.add(&other.golden);
        add_numbers(&mut self.more, other.more);
    }
}

impl Edge {
    fn add(&mut self, other: Self) {
        self.mtls_share = share((self.mtls_share, &self.golden), (other.mtls_share, &other.golden));
        self.golden.add(&other.golden);
        add_numbers(&mut self.more, other.more);
    }
}

impl Route {
    fn add(&mut self, other: Self) {
        self.golden.add(&other.golden);
        add_numbers(&mut self.more, other.more);
    }
}

impl Golden {
    fn add(&mut self, other: &Self) {
        self.success_rate = share((self.success_rate, self), (other.success_rate, other));
        self.requests += other.requests;
        self.retries += other.retries;
        for (bucket, count) in &other.latency {
            match self.latency.binary_search_by_key(bucket, |(known, _)| *known) {
                Ok(at) => self.latency[at].1 += count,
                Err(at) => self.latency.insert(at, (*bucket, *count)),
            }
        }
    }

    /// With what follows from the sums, and without what it follows from.
    #[allow(clippy::cast_precision_loss, reason = "counts and microseconds, far below 2^52")]
    fn shown(mut self, seconds: u64) -> Self {
        self.rps = self.requests as f64 / seconds.max(1) as f64;
        if !self.latency.is_empty() {
            let mut counts = vec![0; latency::BUCKETS];
            for (bucket, count) in std::mem::take(&mut self.latency) {
                if let Some(sum) = counts.get_mut(bucket) {
                    *sum = count;
                }
            }
            let quantile = |q| latency::quantile(&counts, q).map(|micros| micros as f64 / 1000.0);
            (self.p50_ms, self.p99_ms) = (quantile(0.5), quantile(0.99));
        }
        self
    }
}

/// The share of both together; each counts as much as it has requests.
#[allow(clippy::cast_precision_loss, reason = "counts of requests, far below 2^52")]
fn share(one: (Option<f64>, &Golden), other: (Option<f64>, &Golden)) -> Option<f64> {
    let requests = one.1.requests + other.1.requests;
    let part = |(share, golden): (Option<f64>, &Golden)| {
        // Of requests, which are counted one by one.
        (share.unwrap_or(0.0) * golden.requests as f64).round()
    };
    (requests > 0).then(|| (part(one) + part(other)) / requests as f64)
}

/// Adds numbers, also those in objects; everything else stays what it was.
fn add_numbers(to: &mut BTreeMap<String, Value>, from: BTreeMap<String, Value>) {
    for (name, value) in from {
        match to.get_mut(&name) {
            Some(known) => add_value(known, value),
            None => drop(to.insert(name, value)),
        }
    }
}

fn add_value(to: &mut Value, from: Value) {
    match (to, from) {
        (Value::Number(sum), Value::Number(more)) => {
            if let (Some(one), Some(other)) = (sum.as_u64(), more.as_u64()) {
                *sum = one.saturating_add(other).into();
            }
        }
        (Value::Object(sums), Value::Object(more)) => {
            for (name, value) in more {
                match sums.get_mut(&name) {
                    Some(known) => add_value(known, value),
                    None => drop(sums.insert(name, value)),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
