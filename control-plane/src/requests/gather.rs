//! Asks the sidecars that are connected here which requests failed or were slow. Of several replicas each knows its own; `weft`
//! asks all. Two gatherings at a time; what one needs of memory is bounded by how many sidecars are asked at once and by
//! [`MAX_ENTRIES`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use weft_proto::names as proto_names;
use weft_proto::telemetry::{AskRequests, Direction, RequestFilter, RequestRecord};

use super::entry::Entry;
use super::names::Written;
use crate::model::{Key, Mesh};
use crate::telemetry::TelemetryService;

/// How far back where nothing is said, and at most, in seconds.
const SINCE: (u32, u32) = (900, 86_400);
/// Bound: sidecars that are asked at once; each may send 1 MiB.
const AT_ONCE: usize = 32;
/// Who has not answered then is not waited for; less than `weft` waits for us.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bound: gatherings at once.
const MAX_GATHERINGS: usize = 2;
/// Bound: entries of one answer, the newest.
const MAX_ENTRIES: usize = 1000;
/// Entries of a sidecar and a direction where the question does not say.
const LIMIT: u32 = 50;

/// What is asked. What is left out selects nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RequestQuery {
    /// `x-request-id`.
    request_id: String,
    /// 32 hexadecimal digits.
    trace_id: String,
    /// Who calls: a workload.
    from: Option<String>,
    /// What is called: a Service, or a workload.
    to: Option<String>,
    method: String,
    /// Everything under it.
    path: String,
    /// Failures only, nothing that was just slow.
    errors: bool,
    /// Seconds.
    since_s: u32,
    /// Of each sidecar and direction.
    limit: u32,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Gathered {
    schema_version: u32,
    /// Newest first.
    requests: Vec<Entry>,
    /// Beyond the bound.
    left_out: usize,
    /// Sidecars that have answered.
    answered: Vec<String>,
    /// And those that have not, and why.
    silent: Vec<Silent>,
}

/// A sidecar that did not answer.
#[derive(Debug, Serialize)]
struct Silent {
    workload: String,
    why: String,
}

/// Whom to ask, and for what.
struct Plan {
    /// Workloads, each with what is asked of its sidecar.
    asked: Vec<(Arc<str>, AskRequests)>,
    silent: Vec<Silent>,
    /// Of what comes in, only what these identities sent, or nobody did; everything if it is empty.
    peers: BTreeSet<String>,
}

/// The one who gathers.
#[derive(Debug)]
pub(crate) struct Gathering {
    telemetry: TelemetryService,
    turns: Semaphore,
}

impl Gathering {
    /// Asks sidecars by way of their reports.
    pub(crate) fn new(telemetry: TelemetryService) -> Self {
        Self { telemetry, turns: Semaphore::new(MAX_GATHERINGS) }
    }

    /// Gathers what is asked for.
    ///
    /// # Errors
    /// In words: what is asked cannot be.
    pub(crate) async fn run(
        &self,
        mesh: Arc<Mesh>,
        query: RequestQuery,
    ) -> Result<Gathered, String> {
        if query.since_s > SINCE.1 {
            return Err(format!("since_s is more than {}", SINCE.1));
        }
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let Plan { asked, silent, peers } = plan(&mesh, &query, &self.telemetry.connected())?;
        let until = Instant::now() + PATIENCE;
        let asked = asked.into_iter().map(|(workload, ask)| async move {
            let answer = self.telemetry.ask_requests(&workload, ask, until).await;
            (workload, answer)
        });
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut gathered = Gathered {
            schema_version: 1,
            requests: Vec::new(),
            left_out: 0,
            answered: Vec::new(),
            silent,
        };
        while let Some((workload, answer)) = answers.next().await {
            match answer {
                Ok(records) => {
                    gathered.answered.push(workload.to_string());
                    gathered.take(&mesh, &workload, records, &peers);
                }
                Err(why) => {
                    let (workload, why) = (workload.to_string(), why.to_owned());
                    gathered.silent.push(Silent { workload, why });
                }
            }
        }
        gathered.answered.sort();
        gathered.silent.sort_by(|one, other| one.workload.cmp(&other.workload));
        Ok(gathered)
    }
}

impl Gathered {
    fn take(
        &mut self,
        mesh: &Mesh,
        workload: &str,
        records: Vec<RequestRecord>,
        peers: &BTreeSet<String>,
    ) {
        let identity = identity(mesh, workload);
        let wanted = records.into_iter().filter(|record| {
            let is_outbound = record.direction() == Direction::Outbound;
            let peer = &record.peer_identity;
            is_outbound || peers.is_empty() || peer.is_empty() || peers.contains(peer)
        });
        self.requests.extend(wanted.map(|record| Entry::of(workload, &identity, record)));
        self.requests.sort_by_key(|entry| std::cmp::Reverse(entry.at_ms));
        self.left_out += self.requests.len().saturating_sub(MAX_ENTRIES);
        self.requests.truncate(MAX_ENTRIES);
    }
}

/// SPIFFE id of a workload, `gateway.shop`; empty if the mesh does not know it.
pub(crate) fn identity(mesh: &Mesh, workload: &str) -> String {
    let found = proto_names::parse_workload(workload)
        .and_then(|(name, namespace)| mesh.workloads.get(&Key::new(namespace, name)));
    found.map(|found| found.identity(&mesh.config.trust_domain)).unwrap_or_default()
}

fn plan(mesh: &Mesh, query: &RequestQuery, connected: &[Arc<str>]) -> Result<Plan, String> {
    let ask = |direction: Direction, service: String| AskRequests {
        request_id: query.request_id.clone(),
        trace_id: query.trace_id.to_ascii_lowercase(),
        filter: Some(RequestFilter {
            service,
            method: query.method.clone(),
            path: query.path.clone(),
            errors: query.errors,
            direction: direction.into(),
            ..RequestFilter::default()
        }),
        seconds: if query.since_s == 0 { SINCE.0 } else { query.since_s },
        limit: if query.limit == 0 { LIMIT } else { query.limit },
        ..AskRequests::default()
    };
    if query.from.is_none() && query.to.is_none() {
        let all = connected
            .iter()
            .map(|workload| (Arc::clone(workload), ask(Direction::Unspecified, String::new())));
        return Ok(Plan { asked: all.collect(), silent: Vec::new(), peers: BTreeSet::new() });
    }
    let from = query.from.as_deref().map(Written::read).transpose()?;
    let from = from.map(|from| from.caller(mesh)).transpose()?.unwrap_or_default();
    let near = from.first().map(|workload| workload.key.namespace.as_str());
    let (service, behind) = called(mesh, query.to.as_deref(), near)?;
    let name = |key: &Key| proto_names::workload(&key.name, &key.namespace);
    // Whoever calls: what did not arrive is known to callers only.
    let callers: Vec<String> = match query.from {
        Some(_) => from.iter().map(|one| name(&one.key)).collect(),
        None => connected.iter().map(ToString::to_string).collect(),
    };
    let outbound = callers.into_iter().map(|one| (one, Direction::Outbound, service.clone()));
    let inbound = behind.iter().map(|key| (name(key), Direction::Inbound, String::new()));
    let (mut asked, mut silent) = (Vec::new(), Vec::new());
    for (workload, direction, service) in outbound.chain(inbound) {
        match connected.iter().find(|known| ***known == *workload) {
            Some(known) => asked.push((Arc::clone(known), ask(direction, service))),
            None => {
                silent.push(Silent { workload, why: "its sidecar is not connected".to_owned() });
            }
        }
    }
    let domain = &mesh.config.trust_domain;
    let peers = from.iter().map(|workload| workload.identity(domain)).collect();
    Ok(Plan { asked, silent, peers })
}

/// The Service as callers' sidecars name it, and the workloads behind it.
fn called(mesh: &Mesh, to: Option<&str>, near: Option<&str>) -> Result<(String, Vec<Key>), String> {
    let Some(to) = to else { return Ok((String::new(), Vec::new())) };
    let written = Written::read(to)?;
    let Some(service) = written.service(mesh, near)? else {
        // What is not there was called by nobody; the look-up says that it is not.
        let workloads = written.workloads(mesh).unwrap_or_default();
        let keys = workloads.iter().map(|workload| workload.key.clone()).collect();
        return Ok((to.to_owned(), keys));
    };
    if written.port.is_some_and(|number| service.ports.iter().all(|port| port.port != number)) {
        return Ok((to.to_owned(), Vec::new()));
    }
    let name = proto_names::workload(&service.key.name, &service.key.namespace);
    let name = written.port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
    // Where a route sends it on, the other Services' workloads have it.
    let backends = super::routes::backends(mesh, &service.key);
    let services = backends.iter().filter_map(|key| mesh.services.get(key));
    let behind: BTreeSet<Key> = services
        .chain([service])
        .flat_map(|service| mesh.workloads_of(service))
        .map(|workload| workload.key.clone())
        .collect();
    Ok((name, behind.into_iter().collect()))
}

#[cfg(test)]
mod tests;
