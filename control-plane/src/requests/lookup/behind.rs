//! What stands behind a call: the backends of its rule, and the workloads of those with their ports. Pure.

use serde::Serialize;
use weft_proto::names;

use crate::model::{Backend, Key, Mesh, Service, ServicePort, Workload};
use crate::requests::routes::Found;

/// One backend of the rule, or the Service itself.
#[derive(Debug, Serialize)]
pub(super) struct BackendFacts {
    /// `payment.shop:8080`; what is written where it is invalid.
    service: String,
    pub(super) object: Option<String>,
    weight: u32,
    /// Why it gets nothing.
    invalid: Option<String>,
    /// Workloads that it selects, whatever their ports.
    selects: usize,
    /// Of them, those with the port that it names.
    endpoints: usize,
    /// The port that it names: `8080`, `http`.
    target_port: String,
}

/// One backend of a rule.
pub(super) fn backend(mesh: &Mesh, backend: &Backend, weight: u32) -> BackendFacts {
    let (key, number) = match backend {
        Backend::Service(key, number) => (key, *number),
        Backend::Invalid(why) => {
            return BackendFacts {
                service: String::new(),
                object: None,
                weight,
                invalid: Some(why.clone()),
                selects: 0,
                endpoints: 0,
                target_port: String::new(),
            };
        }
    };
    let service = mesh.services.get(key);
    let port = service.and_then(|one| one.ports.iter().find(|port| port.port == number));
    BackendFacts {
        service: names::service_port(&key.name, &key.namespace, number),
        object: service.map(|service| service.origin.to_string()),
        weight,
        invalid: None,
        selects: service.map_or(0, |service| mesh.workloads_of(service).len()),
        endpoints: service.zip(port).map_or(0, |(service, port)| behind(mesh, service, port).len()),
        target_port: port.map(target).unwrap_or_default(),
    }
}

fn target(port: &ServicePort) -> String {
    match &port.target {
        crate::model::TargetPort::Number(number) => number.to_string(),
        crate::model::TargetPort::Name(name) => name.clone(),
    }
}

/// The workloads of all backends, each with its port.
pub(super) fn endpoints<'a>(
    mesh: &'a Mesh,
    found: &Option<Found<'_>>,
    straight: bool,
    (service, port): (&Service, &ServicePort),
) -> Vec<(&'a Workload, u16)> {
    let own = (service.key.clone(), port.port);
    let wanted: Vec<(Key, u16)> = match found {
        Some(found) => {
            let all = found.rule.backends.iter().filter(|backend| backend.weight > 0);
            let all = all.filter_map(|one| match &one.backend {
                Backend::Service(key, number) => Some((key.clone(), *number)),
                Backend::Invalid(_) => None,
            });
            all.collect()
        }
        None if straight => vec![own],
        None => Vec::new(),
    };
    let mut all: Vec<(&Workload, u16)> = Vec::new();
    for (key, number) in wanted {
        let Some(service) = mesh.services.get(&key) else { continue };
        let Some(port) = service.ports.iter().find(|port| port.port == number) else { continue };
        for (workload, number) in behind(mesh, service, port) {
            let is_known = all.iter().any(|(known, at)| known.key == workload.key && *at == number);
            if !is_known {
                all.push((workload, number));
            }
        }
    }
    all
}

fn behind<'a>(mesh: &'a Mesh, service: &Service, port: &ServicePort) -> Vec<(&'a Workload, u16)> {
    // Of the mesh, not of the Service that was handed in: its key finds the same one.
    let Some(service) = mesh.services.get(&service.key) else { return Vec::new() };
    let all = mesh.workloads_of(service).into_iter();
    all.filter_map(|workload| Some((workload, resolved(service, port, workload)?))).collect()
}

fn resolved(service: &Service, port: &ServicePort, workload: &Workload) -> Option<u16> {
    match &service.listed {
        None => workload.resolve(&port.target),
        Some(listed) => {
            let of = listed.iter().find(|one| one.workload == workload.key)?;
            of.ports.get(&port.name).copied()
        }
    }
}
