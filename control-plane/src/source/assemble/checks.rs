//! What is odd between Services and workloads: all of it stays in force as written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::finding::Code;
use crate::model::{AppProtocol, Key, Mesh, Service, ServicePort, TargetPort, Workload};
use crate::source::object::{Kind, ObjectId};

use super::Notes;

/// Runs all checks.
pub(super) fn run(mesh: &Mesh, notes: &mut Notes<'_>) {
    let mut selected: BTreeSet<&Key> = BTreeSet::new();
    let index = mesh.endpoint_index();
    for service in mesh.services.values() {
        let id = ObjectId::new(Kind::Service, &service.key);
        let workloads = index.workloads_of(service);
        selected.extend(workloads.iter().map(|workload| &workload.key));
        if service.listed.is_some() {
            // The cluster's own controllers and tools watch over these.
            continue;
        }
        for workload in &workloads {
            for (index, port) in service.ports.iter().enumerate() {
                check_port(&id, &format!("spec.ports[{index}]"), port, workload, notes);
            }
        }
        if workloads.is_empty() && !service.selector.is_empty() {
            no_endpoints(&id, service, mesh, notes);
        }
    }
    let written = mesh.workloads.iter().filter(|(_, workload)| is_written(workload));
    for (key, _) in written.filter(|(key, _)| !selected.contains(key)) {
        let id = ObjectId::new(Kind::MeshWorkload, key);
        notes.add(
            &id,
            "metadata.labels",
            Code::WorkloadNotSelected,
            "no Service selects this workload",
        );
    }
    shared_addresses(mesh, notes);
}

/// Did a user write it? Pods come and go by themselves.
fn is_written(workload: &Workload) -> bool {
    workload.origin.kind == Kind::MeshWorkload.name()
}

fn no_endpoints(id: &ObjectId, service: &Service, mesh: &Mesh, notes: &mut Notes<'_>) {
    let elsewhere = mesh.workloads.values().find(|workload| service.selects(&workload.labels));
    let message = match elsewhere {
        Some(other) => format!(
            "no workload in namespace {} has these labels; MeshWorkload {} has, in another namespace",
            service.key.namespace, other.key
        ),
        None => format!("no workload in namespace {} has these labels", service.key.namespace),
    };
    notes.add(id, "spec.selector", Code::NoEndpoints, message);
}

fn check_port(
    id: &ObjectId,
    field: &str,
    port: &ServicePort,
    workload: &Workload,
    notes: &mut Notes<'_>,
) {
    let target_field = format!("{field}.targetPort");
    let Some(number) = workload.resolve(&port.target) else {
        if let TargetPort::Name(name) = &port.target {
            let message = format!("MeshWorkload {} has no port named {name}", workload.key);
            notes.add(id, target_field, Code::TargetPortNotFound, message);
        }
        return;
    };
    let Some(declared) = workload.ports.iter().find(|declared| declared.port == number) else {
        // A sidecar serves the ports that are declared and no other.
        if workload.meshed {
            let message = format!("MeshWorkload {} declares no port {number}", workload.key);
            let hint =
                "add the port to the workload's spec.ports; until then its sidecar refuses it";
            notes.add_hint(id, target_field, Code::TargetPortNotFound, message, hint);
        }
        return;
    };
    let pair = (port.protocol, declared.protocol);
    if matches!(pair, (AppProtocol::Http, AppProtocol::Tcp) | (AppProtocol::Tcp, AppProtocol::Http))
    {
        let word = |protocol| if protocol == AppProtocol::Http { "HTTP" } else { "opaque TCP" };
        let message = format!(
            "the port carries {}, but MeshWorkload {} declares port {number} as {}",
            word(pair.0),
            workload.key,
            word(pair.1)
        );
        notes.add(id, format!("{field}.appProtocol"), Code::ProtocolMismatch, message);
    }
}

fn shared_addresses(mesh: &Mesh, notes: &mut Notes<'_>) {
    let mut owners: BTreeMap<(IpAddr, u16), &Key> = BTreeMap::new();
    for (key, workload) in mesh.workloads.iter().filter(|(_, workload)| is_written(workload)) {
        for (index, port) in workload.ports.iter().enumerate() {
            let place = (workload.address, port.port);
            if let Some(owner) = owners.get(&place) {
                let id = ObjectId::new(Kind::MeshWorkload, key);
                let message = format!("MeshWorkload {owner} has {}:{} too", place.0, place.1);
                notes.add(&id, format!("spec.ports[{index}].port"), Code::AddressShared, message);
            } else {
                owners.insert(place, key);
            }
        }
    }
    let mut virtual_ips: BTreeMap<(IpAddr, u16), &Key> = BTreeMap::new();
    for (key, service) in &mesh.services {
        let places = service
            .ports
            .iter()
            .flat_map(|port| service.cluster_ips.iter().map(|address| (*address, port.port)));
        for place in places {
            if let Some(owner) = virtual_ips.get(&place) {
                let id = ObjectId::new(Kind::Service, key);
                let message = format!("Service {owner} has {}:{} too", place.0, place.1);
                notes.add(&id, "spec.clusterIP", Code::AddressShared, message);
            } else {
                virtual_ips.insert(place, key);
            }
        }
    }
}
