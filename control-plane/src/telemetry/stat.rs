//! From the store's edges to what `weft stat` shows: the JSON of the admin's `GET /v1/stat`.
//!
//! Pure: edges, mesh and window in, plain data out. A number is always taken from the sidecar that can know
//! it: workloads from the receiving side, edges and routes from the calling side, and from the receiving
//! side only what has no sidecar on the calling one.

mod json;

use std::collections::BTreeMap;

use weft_proto::names;

pub(crate) use json::{EdgeStat, RouteStat, Stat, WorkloadStat};

use super::store::{Direction, EdgeKey};
use super::tally::Tally;
use crate::model::{Key, Mesh, Workload};

/// Source of traffic that came in plaintext, from nobody we know.
const OUTSIDE: &str = "outside";

/// The whole answer. `seconds` is the time that the tallies really cover.
pub(crate) fn stat<'a>(
    edges: impl Iterator<Item = (&'a EdgeKey, Tally)>,
    mesh: &Mesh,
    seconds: u64,
) -> Stat {
    let mut sums = Sums::default();
    for (key, tally) in edges {
        sums.add(key, &tally, mesh);
    }
    Stat {
        schema_version: 1,
        window_s: seconds,
        workloads: sums.workloads(mesh, seconds),
        edges: sums.edges.into_iter().map(|(key, tally)| key.stat(&tally, seconds)).collect(),
        routes: sums.routes.into_iter().map(|(key, tally)| key.stat(&tally, seconds)).collect(),
    }
}

/// Sums by what they are shown under, in the order in which they are shown.
#[derive(Default)]
struct Sums {
    inbound: BTreeMap<Key, Tally>,
    /// Retries that a workload's own sidecar made.
    retries: BTreeMap<Key, u64>,
    edges: BTreeMap<ShownEdge, Tally>,
    routes: BTreeMap<ShownRoute, Tally>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ShownEdge {
    source: String,
    source_namespace: String,
    destination: String,
    namespace: String,
    mesh: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ShownRoute {
    source: String,
    source_namespace: String,
    destination: String,
    namespace: String,
    route: String,
    backend: String,
}

impl Sums {
    fn add(&mut self, key: &EdgeKey, tally: &Tally, mesh: &Mesh) {
        let reporter = Reporter::of(&key.reporter, mesh);
        // A workload that is gone shows for as long as the window reaches back to it, no longer.
        if reporter.workload.is_none() && tally.is_empty() {
            return;
        }
        match key.direction {
            Direction::Inbound => self.add_inbound(key, tally, &reporter),
            Direction::Outbound => self.add_outbound(key, tally, &reporter, mesh),
        }
    }

    fn add_inbound(&mut self, key: &EdgeKey, tally: &Tally, reporter: &Reporter<'_>) {
        self.inbound.entry(reporter.key.clone()).or_default().merge(tally);
        if key.peer.is_empty() {
            let edge = ShownEdge {
                source: OUTSIDE.to_owned(),
                source_namespace: String::new(),
                destination: reporter.name().to_owned(),
                namespace: reporter.key.namespace.clone(),
                mesh: false,
            };
            self.edges.entry(edge).or_default().merge(tally);
        }
    }

    fn add_outbound(&mut self, key: &EdgeKey, tally: &Tally, reporter: &Reporter<'_>, mesh: &Mesh) {
        *self.retries.entry(reporter.key.clone()).or_default() += tally.counters.retries;
        let (service, namespace) = match names::parse_service_port(&key.peer) {
            Some((service, namespace, _)) => (service, namespace),
            None => (&*key.peer, ""),
        };
        let edge = ShownEdge {
            source: reporter.name().to_owned(),
            source_namespace: reporter.key.namespace.clone(),
            destination: service.to_owned(),
            namespace: namespace.to_owned(),
            mesh: in_mesh(service, namespace, mesh),
        };
        let route = ShownRoute {
            source: edge.source.clone(),
            source_namespace: edge.source_namespace.clone(),
            destination: edge.destination.clone(),
            namespace: edge.namespace.clone(),
            route: key.route.to_string(),
            backend: key.backend.to_string(),
        };
        self.edges.entry(edge).or_default().merge(tally);
        self.routes.entry(route).or_default().merge(tally);
    }

    fn workloads(&self, mesh: &Mesh, seconds: u64) -> Vec<WorkloadStat> {
        let nothing = Tally::default();
        mesh.workloads
            .iter()
            .map(|(key, workload)| {
                let tally = self.inbound.get(key).unwrap_or(&nothing);
                let retries = self.retries.get(key).copied().unwrap_or(0);
                WorkloadStat { retries, ..workload_stat(workload, mesh, tally, seconds) }
            })
            .collect()
    }
}

/// The workload behind a reporter's name, as far as the mesh still has it.
struct Reporter<'a> {
    key: Key,
    workload: Option<&'a Workload>,
}

impl<'a> Reporter<'a> {
    fn of(id: &str, mesh: &'a Mesh) -> Self {
        let (name, namespace) = names::parse_workload(id).unwrap_or((id, ""));
        let key = Key::new(namespace, name);
        let workload = mesh.workloads.get(&key);
        Self { key, workload }
    }

    fn name(&self) -> &str {
        self.workload.map_or(&self.key.name, Workload::display_name)
    }
}

/// Is a call there expected to be mutual TLS? Not where no endpoint has a sidecar, nor to what is no Service.
fn in_mesh(service: &str, namespace: &str, mesh: &Mesh) -> bool {
    let Some(service) = mesh.services.get(&Key::new(namespace, service)) else {
        return !namespace.is_empty();
    };
    let workloads = mesh.workloads_of(service);
    workloads.is_empty() || workloads.iter().any(|workload| workload.meshed)
}

fn workload_stat(workload: &Workload, mesh: &Mesh, tally: &Tally, seconds: u64) -> WorkloadStat {
    WorkloadStat {
        name: workload.display_name().to_owned(),
        namespace: workload.key.namespace.clone(),
        version: workload.version().to_owned(),
        workload: names::workload(&workload.key.name, &workload.key.namespace),
        meshed: workload.meshed,
        identity: workload.identity(&mesh.config.trust_domain),
        requests: tally.counters.requests,
        rps: json::rate(tally.counters.requests, seconds),
        success_rate: tally.success_rate(),
        p50_ms: tally.quantile_ms(0.5),
        p99_ms: tally.quantile_ms(0.99),
        latency: tally.buckets(),
        mtls_share: tally.mtls_share(),
        retries: 0,
    }
}

impl ShownEdge {
    fn stat(self, tally: &Tally, seconds: u64) -> EdgeStat {
        EdgeStat {
            source: self.source,
            source_namespace: self.source_namespace,
            destination: self.destination,
            namespace: self.namespace,
            mesh: self.mesh,
            requests: tally.counters.requests,
            rps: json::rate(tally.counters.requests, seconds),
            success_rate: tally.success_rate(),
            p50_ms: tally.quantile_ms(0.5),
            p99_ms: tally.quantile_ms(0.99),
            latency: tally.buckets(),
            mtls_share: tally.mtls_share(),
            retries: tally.counters.retries,
            connections: tally.counters.connections,
            bytes_sent: tally.counters.bytes_sent,
            bytes_received: tally.counters.bytes_received,
            errors: json::errors(tally),
        }
    }
}

impl ShownRoute {
    fn stat(self, tally: &Tally, seconds: u64) -> RouteStat {
        RouteStat {
            source: self.source,
            source_namespace: self.source_namespace,
            destination: self.destination,
            namespace: self.namespace,
            route: self.route,
            backend: self.backend,
            requests: tally.counters.requests,
            rps: json::rate(tally.counters.requests, seconds),
            success_rate: tally.success_rate(),
            p50_ms: tally.quantile_ms(0.5),
            p99_ms: tally.quantile_ms(0.99),
            latency: tally.buckets(),
            retries: tally.counters.retries,
            errors: json::errors(tally),
        }
    }
}

#[cfg(test)]
mod tests;
