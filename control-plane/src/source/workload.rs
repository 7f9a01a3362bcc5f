//! `MeshWorkload` to [`model::Workload`](crate::model::Workload).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::{AppProtocol, Locality, Origin, Workload, WorkloadPort, WorkloadProbe};

use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::mesh::{MeshWorkloadSpec, WorkloadPort as Port, WorkloadProbe as Probe};
use super::service::protocol;

/// Bound: ports of one workload.
const MAX_PORTS: usize = 256;
/// Bound: probes of one workload.
const MAX_PROBES: usize = 64;
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Reads one.
pub(crate) fn read(
    spec: MeshWorkloadSpec,
    id: Identity,
    problems: &mut Problems,
) -> Option<Workload> {
    let service_account = spec.service_account.unwrap_or_else(|| "default".to_owned());
    // It becomes a segment of the SPIFFE id, where nothing but such a name may stand.
    if !names::is_subdomain(&service_account) {
        problems.invalid("spec.serviceAccount", format!("{service_account:?} is not a name"));
    }
    names::at_most(spec.ports.len(), MAX_PORTS, "spec.ports", problems);
    let mut ports = ports(&spec.ports, problems);
    for port in ports.iter_mut().filter(|port| id.annotations.is_opaque(port.port)) {
        port.protocol = AppProtocol::Tcp;
    }
    for port in id.annotations.opaque_ports() {
        if ports.iter().all(|other| other.port != port) {
            ports.push(WorkloadPort { name: String::new(), port, protocol: AppProtocol::Tcp });
        }
    }
    names::at_most(spec.probes.len(), MAX_PROBES, "spec.probes", problems);
    let probes = probes(&spec.probes, problems);
    let locality = locality(spec.locality.as_deref(), &id.labels, problems);
    let address = address(&spec.address, problems)?;
    Some(Workload {
        key: id.key,
        origin: Origin::default(),
        address,
        ports,
        probes,
        service_account,
        labels: id.labels,
        meshed: spec.meshed.unwrap_or(true),
        locality,
        draining: false,
    })
}

fn probes(written: &[Probe], problems: &mut Problems) -> Vec<WorkloadProbe> {
    let mut probes = Vec::new();
    for (index, probe) in written.iter().enumerate().take(MAX_PROBES) {
        let field = format!("spec.probes[{index}]");
        let port = names::port(probe.port, &format!("{field}.port"), problems);
        let path = probe.path.clone();
        let is_path = |path: &String| {
            path.starts_with('/')
                && path.len() <= 1024
                && path.bytes().all(|b| b.is_ascii_graphic())
        };
        if path.as_ref().is_some_and(|path| !is_path(path)) {
            let message = format!("{:?} is not a path", path.as_deref().unwrap_or_default());
            let hint = "write it as the prober sends it: /healthz, /ready?full=1";
            problems.invalid_hint(format!("{field}.path"), message, hint);
        }
        probes.extend(port.map(|port| WorkloadProbe { port, path }));
    }
    probes
}

/// As written, else by the labels that Kubernetes puts on nodes.
fn locality(
    written: Option<&str>,
    labels: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Locality {
    let Some(written) = written else {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let (region, zone) = (label(REGION), label(ZONE));
        return Locality { region, zone, sub_zone: String::new() };
    };
    let parts: Vec<&str> = written.split('/').collect();
    let is_name = |part: &&str| names::is_token(part) && part.len() <= 63;
    if parts.len() > 3 || !parts.iter().all(is_name) {
        let reason = format!("{written:?} is not a place");
        let hint = "write region, region/zone or region/zone/subzone";
        problems.invalid_hint("spec.locality", reason, hint);
    }
    let part = |number: usize| parts.get(number).copied().unwrap_or_default().to_owned();
    Locality { region: part(0), zone: part(1), sub_zone: part(2) }
}

fn address(text: &str, problems: &mut Problems) -> Option<IpAddr> {
    let field = "spec.address";
    let Ok(address) = text.parse::<IpAddr>() else {
        let hint = "write one IPv4 or IPv6 address, without a port";
        problems.invalid_hint(field, format!("{text:?} is not an address"), hint);
        return None;
    };
    if address.is_unspecified() || address.is_multicast() {
        problems.invalid(field, format!("{address} cannot be dialled"));
    }
    Some(address)
}

fn ports(written: &[Port], problems: &mut Problems) -> Vec<WorkloadPort> {
    let mut ports: Vec<WorkloadPort> = Vec::with_capacity(written.len().min(MAX_PORTS));
    for (index, port) in written.iter().enumerate().take(MAX_PORTS) {
        let field = format!("spec.ports[{index}]");
        let name = port.name.clone().unwrap_or_default();
        if !name.is_empty() && !names::is_port_name(&name) {
            problems.invalid_hint(
                format!("{field}.name"),
                format!("{name:?} is not a port name"),
                "at most 15 lower-case letters, digits and '-', with a letter among them",
            );
        }
        let Some(number) = names::port(port.port, &format!("{field}.port"), problems) else {
            continue;
        };
        if ports.iter().any(|other| other.port == number) {
            problems.invalid(format!("{field}.port"), format!("port {number} is written twice"));
        }
        if !name.is_empty() && ports.iter().any(|other| other.name == name) {
            problems.invalid(format!("{field}.name"), format!("name {name} is written twice"));
        }
        let protocol = protocol(port.app_protocol.as_deref(), &name);
        ports.push(WorkloadPort { name, port: number, protocol });
    }
    ports
}
