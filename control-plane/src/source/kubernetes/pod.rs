//! A Pod as a workload of the mesh. Pure; called by `objects` for every pod that comes or changes.
//!
//! What decides here is what the API server says of the pod, and nothing that the pod says of itself over the network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::injection::{INJECTED, PROXY_CONTAINER};
use crate::model::{AppProtocol, Key, Locality, Origin, Workload, WorkloadPort, WorkloadProbe};
use crate::source::annotations;
use crate::source::problem::Problems;

use super::last_resort::Standing;

/// A condition of pods that only their kubelet sets.
const CONTAINERS_READY: &str = "ContainersReady";
/// What a gRPC probe of the kubelet calls.
const GRPC_HEALTH: &str = "/grpc.health.v1.Health/Check";
/// Bounds, as of a MeshWorkload.
const MAX_PORTS: usize = 256;
const MAX_PROBES: usize = 64;

/// The workload that a pod is: `None` before it has an address and after it has ended. `place` is where its node is.
pub(super) fn workload(
    pod: &Pod,
    place: Option<&Locality>,
    problems: &mut Problems,
) -> Option<Workload> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let address: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
    let metadata = &pod.metadata;
    let key = Key::new(metadata.namespace.clone()?, metadata.name.clone()?);
    let host_network = spec.host_network.unwrap_or(false);
    let written = metadata.annotations.clone().unwrap_or_default();
    let opaque = annotations::read(&written, problems);
    let containers = || {
        let init = spec.init_containers.iter().flatten();
        let sidecars = init.filter(|init| init.restart_policy.as_deref() == Some("Always"));
        spec.containers.iter().chain(sidecars).filter(|container| container.name != PROXY_CONTAINER)
    };
    let mut ports = ports(containers());
    for port in ports.iter_mut().filter(|port| opaque.is_opaque(port.port)) {
        port.protocol = AppProtocol::Tcp;
    }
    for port in opaque.opaque_ports() {
        if ports.iter().all(|other| other.port != port) {
            ports.push(WorkloadPort { name: String::new(), port, protocol: AppProtocol::Tcp });
        }
    }
    Some(Workload {
        key,
        origin: Origin::default(),
        address,
        ports,
        probes: probes(containers()),
        service_account: spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
        labels: metadata.labels.clone().unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        meshed: !host_network && written.contains_key(INJECTED),
        locality: place.cloned().unwrap_or_default(),
        draining: metadata.deletion_timestamp.is_some(),
    })
}

/// Drops the conditions that nothing is decided by.
pub(super) fn forget_conditions(pod: &mut Pod) {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    let is_gate = |name: &str| gates.into_iter().flatten().any(|gate| gate.condition_type == name);
    let Some(status) = &mut pod.status else { return };
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|one| one.type_ == CONTAINERS_READY || is_gate(&one.type_));
    }
}

/// What decides whether it counts where nobody is ready.
pub(super) fn standing(pod: &Pod) -> Standing {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let gates = spec.and_then(|spec| spec.readiness_gates.as_ref()).into_iter().flatten();
    let mut wanted = gates.map(|gate| gate.condition_type.as_str()).chain([CONTAINERS_READY]);
    let phase = status.and_then(|status| status.phase.as_deref());
    let first = status.and_then(|status| status.pod_ip.as_deref());
    let all = status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten();
    let addresses = first.into_iter().chain(all.map(|one| one.ip.as_str()));
    Standing {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        addresses: addresses.filter_map(|address| address.parse().ok()).collect(),
        ends: pod.metadata.deletion_timestamp.is_some()
            || matches!(phase, Some("Succeeded" | "Failed")),
        well: wanted.all(|condition| is_true(pod, condition)),
    }
}

fn is_true(pod: &Pod, condition: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.type_ == condition && one.status == "True")
}

/// Each number once; the first counts. Their names are remarks in Kubernetes: what a port carries the Service says, or
/// the first bytes.
fn ports<'a>(containers: impl Iterator<Item = &'a Container>) -> Vec<WorkloadPort> {
    let mut ports: Vec<WorkloadPort> = Vec::new();
    for port in containers.flat_map(|container| container.ports.iter().flatten()) {
        let Some(number) = number_of(port).filter(|_| ports.len() < MAX_PORTS) else { continue };
        let name = port.name.clone().unwrap_or_default();
        if ports.iter().any(|other| other.port == number) {
            continue;
        }
        ports.push(WorkloadPort { name, port: number, protocol: AppProtocol::Detect });
    }
    ports
}

fn number_of(port: &ContainerPort) -> Option<u16> {
    let is_tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    u16::try_from(port.container_port).ok().filter(|number| is_tcp && *number > 0)
}

/// What the kubelet asks the containers, which it does in plaintext. A hook is asked as a probe is.
fn probes<'a>(containers: impl Iterator<Item = &'a Container>) -> Vec<WorkloadProbe> {
    let mut found: Vec<WorkloadProbe> = Vec::new();
    for container in containers {
        let probes =
            [&container.liveness_probe, &container.readiness_probe, &container.startup_probe];
        let probes = probes.into_iter().flatten().filter_map(|probe| of_probe(probe, container));
        let lifecycle = container.lifecycle.as_ref();
        let hooks = [
            lifecycle.and_then(|hooks| hooks.post_start.as_ref()),
            lifecycle.and_then(|hooks| hooks.pre_stop.as_ref()),
        ];
        let hooks = hooks.into_iter().flatten().filter_map(|hook| {
            let get = hook.http_get.as_ref()?;
            of_get(get.path.as_deref(), get.scheme.as_deref(), port(&get.port, container)?)
        });
        for probe in probes.chain(hooks) {
            if !found.contains(&probe) && found.len() < MAX_PROBES {
                found.push(probe);
            }
        }
    }
    found
}

fn of_probe(probe: &Probe, container: &Container) -> Option<WorkloadProbe> {
    if let Some(get) = &probe.http_get {
        let port = port(&get.port, container)?;
        return of_get(get.path.as_deref(), get.scheme.as_deref(), port);
    }
    if let Some(grpc) = &probe.grpc {
        let port = u16::try_from(grpc.port).ok()?;
        return Some(WorkloadProbe { port, path: Some(GRPC_HEALTH.to_owned()) });
    }
    let tcp = probe.tcp_socket.as_ref()?;
    Some(WorkloadProbe { port: port(&tcp.port, container)?, path: None })
}

/// Over HTTPS nobody can see the path: what is let in is the application's own TLS.
fn of_get(path: Option<&str>, scheme: Option<&str>, port: u16) -> Option<WorkloadProbe> {
    if scheme == Some("HTTPS") {
        return Some(WorkloadProbe { port, path: None });
    }
    // The kubelet puts the slash there that a path lacks.
    let path = path.unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(WorkloadProbe { port, path: Some(path) })
}

/// By number, or by the name of a port of the same container.
fn port(written: &IntOrString, container: &Container) -> Option<u16> {
    let number = match written {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            match ports.find(|port| port.name.as_deref() == Some(name)) {
                Some(port) => port.container_port,
                None => name.parse().ok()?,
            }
        }
    };
    u16::try_from(number).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests;
