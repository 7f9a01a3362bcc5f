//! What is in force at a workload: routes to it and policies about it, each with the object's name and what it says in short. Pure;
//! called by `admin`, for whoever looks at a node of the dashboard. Changes nothing, decides nothing.
//!
//! Each is found as `translate` finds it, so that what shows is what sidecars go by: of several candidates the one that counts.

mod says;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weft_proto::names::{self, OTHER_PORTS};

use crate::model::{Key, Mesh, Origin, Route, RouteKind, Service, Workload};
use crate::translate::inbound_ports;

/// Bound: rows of one answer.
const MAX_ROWS: usize = 500;
/// Bound: places that are named in one row.
const MAX_PLACES: usize = 8;

/// What is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyQuery {
    /// `product.shop`: a workload, what several are known by, or a Service.
    of: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct InForce {
    schema_version: u32,
    rows: Vec<Row>,
    /// Rows beyond the bound.
    left_out: usize,
}

/// One object.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// `TrafficPolicy`.
    kind: String,
    /// `TrafficPolicy/shop/product`, in words if it has no name.
    object: String,
    /// What it is for: `product.shop:8080` for calls of that Service, `port 8080` for what comes in there.
    places: Vec<String>,
    /// In words.
    says: String,
}

/// Rows as they are found; the same object with the same words is one.
#[derive(Default)]
struct Found(BTreeMap<(u8, String, String), Row>);

impl Found {
    fn add(&mut self, rank: u8, origin: &Origin, place: String, says: String) {
        let unnamed = *origin == Origin::default();
        let object = if unnamed { "(no object)".to_owned() } else { origin.to_string() };
        let row = self.0.entry((rank, object.clone(), says.clone())).or_insert_with(|| Row {
            kind: origin.kind.clone(),
            object,
            places: Vec::new(),
            says,
        });
        if row.places.len() < MAX_PLACES && !row.places.contains(&place) {
            row.places.push(place);
        }
    }
}

/// Looks it up.
///
/// # Errors
/// In words: what is asked cannot be read, or names what is not there.
pub(crate) fn in_force(mesh: &Mesh, query: &PolicyQuery) -> Result<InForce, String> {
    let wrong = || format!("{:?} is not workload.namespace", query.of);
    let (name, namespace) = names::parse_workload(&query.of).ok_or_else(wrong)?;
    let means = |one: &&Workload| {
        one.key.namespace == namespace && [one.display_name(), &one.key.name].contains(&name)
    };
    let workloads: Vec<&Workload> = mesh.workloads.values().filter(means).collect();
    let own = Key::new(namespace, name);
    let is_behind = |service: &&Service| {
        let is_meant = |one: &&Workload| workloads.iter().any(|workload| workload.key == one.key);
        service.key == own || mesh.workloads_of(service).iter().any(is_meant)
    };
    let services: Vec<&Service> = mesh.services.values().filter(is_behind).collect();
    if workloads.is_empty() && services.is_empty() {
        return Err(format!("there is no workload and no Service {}", query.of));
    }
    let mut found = Found::default();
    for service in services {
        of_service(mesh, service, &mut found);
    }
    for workload in workloads.iter().filter(|workload| workload.meshed) {
        of_workload(mesh, workload, &mut found);
    }
    let mut rows: Vec<Row> = found.0.into_values().collect();
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    rows.truncate(MAX_ROWS);
    Ok(InForce { schema_version: 1, rows, left_out })
}

/// What callers' sidecars go by.
fn of_service(mesh: &Mesh, service: &Service, found: &mut Found) {
    for port in &service.ports {
        let place = names::service_port(&service.key.name, &service.key.namespace, port.port);
        for (route, callers) in attached(mesh, &service.key, port.port) {
            let words = says::route(route, callers);
            found.add(0, &route.origin, place.clone(), words);
            for rule in &route.rules {
                if let Some(policy) = mesh.route_telemetry(route.kind, &route.key, &rule.name) {
                    let place = format!("{}#{}", route.origin, rule.name);
                    found.add(4, &policy.origin, place, says::telemetry(policy));
                }
            }
        }
        if let Some(policy) = mesh.traffic_policy(&service.key, port.port) {
            found.add(1, &policy.origin, place, says::traffic(policy));
        }
    }
}

/// The routes on a port, each with the namespace of the callers that it is for; `None`: all who have none of their own. Of both
/// kinds those for gRPC count.
fn attached<'a>(mesh: &'a Mesh, service: &Key, port: u16) -> Vec<(&'a Route, Option<&'a str>)> {
    let on_port =
        |route: &&Route| route.parents.iter().any(|(key, at)| key == service && *at == port);
    let mut by_namespace: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
    for route in mesh.routes.iter().filter(on_port) {
        by_namespace.entry(&route.key.namespace).or_default().push(route);
    }
    let counting = by_namespace.into_iter().flat_map(|(namespace, all)| {
        let callers = (namespace != service.namespace).then_some(namespace);
        let grpc = all.iter().any(|route| route.kind == RouteKind::Grpc);
        let counts = move |route: &&Route| !grpc || route.kind == RouteKind::Grpc;
        all.into_iter().filter(counts).map(move |route| (route, callers)).collect::<Vec<_>>()
    });
    counting.collect()
}

/// What its own sidecar goes by.
fn of_workload(mesh: &Mesh, workload: &Workload, found: &mut Found) {
    let Workload { key, labels, .. } = workload;
    for port in inbound_ports(workload, mesh).into_keys() {
        let place = match port {
            OTHER_PORTS => "other ports".to_owned(),
            port => format!("port {port}"),
        };
        if let Some(policy) = mesh.inbound_policy(key, labels, port) {
            found.add(2, &policy.origin, place.clone(), says::inbound(policy));
        }
        let policies = mesh.access_policies.iter();
        for policy in policies.filter(|policy| policy.applies_to(key, labels, port)) {
            found.add(3, &policy.origin, place.clone(), says::access(policy));
        }
    }
    let own = names::workload(&key.name, &key.namespace);
    if let Some(policy) = mesh.telemetry_policy(workload) {
        found.add(4, &policy.origin, own.clone(), says::telemetry(policy));
    }
    if mesh.config.origin != Origin::default() {
        found.add(5, &mesh.config.origin, "where nothing else speaks".to_owned(), {
            says::defaults(&mesh.config)
        });
    }
}

#[cfg(test)]
mod tests;
