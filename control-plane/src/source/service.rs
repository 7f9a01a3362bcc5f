//! `Service` to [`model::Service`](crate::model::Service), and what a port's declarations say of its protocol.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::finding::Code;
use crate::model::{AppProtocol, Origin, Service, ServicePort, TargetPort};

use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::NumberOrText;
use super::schema::service::{Port, ServiceSpec};

/// One of each family.
const MAX_ADDRESSES: usize = 2;
/// Bound: ports of one Service; Kubernetes itself has no such bound.
const MAX_PORTS: usize = 256;

/// Reads one; `None` for an `ExternalName`, which is an alias in DNS and no place in the mesh.
pub(crate) fn read(spec: ServiceSpec, id: Identity, problems: &mut Problems) -> Option<Service> {
    if !names::is_label(&id.key.name) {
        problems.invalid("metadata.name", format!("{:?} is not a DNS label", id.key.name));
    }
    match spec.kind.as_deref() {
        Some("ExternalName") => {
            problems.ignored("spec.type", "an ExternalName Service is not part of the mesh");
            return None;
        }
        None | Some("ClusterIP" | "NodePort" | "LoadBalancer") => {}
        Some(other) => problems.invalid("spec.type", format!("{other:?} is not a type")),
    }
    note_ignored(&spec, problems);
    if spec.selector.is_empty() || spec.ports.is_empty() {
        let lacking = if spec.ports.is_empty() { "ports" } else { "a selector" };
        problems.add(Code::ServiceIncomplete, "spec", format!("the Service lacks {lacking}"));
    }
    let cluster_ips = cluster_ips(&spec, problems);
    names::at_most(spec.ports.len(), MAX_PORTS, "spec.ports", problems);
    let mut ports = ports(&spec.ports, problems);
    for port in ports.iter_mut().filter(|port| id.annotations.is_opaque(port.port)) {
        port.protocol = AppProtocol::Tcp;
    }
    let origin = Origin::default();
    Some(Service { key: id.key, origin, cluster_ips, ports, selector: spec.selector, listed: None })
}

fn note_ignored(spec: &ServiceSpec, problems: &mut Problems) {
    let differs = |value: &Option<String>, usual: &str| {
        value.as_deref().is_some_and(|value| !value.is_empty() && value != usual)
    };
    for (asked, field) in [
        (differs(&spec.session_affinity, "None"), "spec.sessionAffinity"),
        (differs(&spec.internal_traffic_policy, "Cluster"), "spec.internalTrafficPolicy"),
        (differs(&spec.traffic_distribution, ""), "spec.trafficDistribution"),
        (!spec.external_ips.is_empty(), "spec.externalIPs"),
    ] {
        if asked {
            problems.ignored(field, "this field has no effect inside the mesh");
        }
    }
}

/// Both fields, each address once. Kubernetes wants the first of `clusterIPs` to be `clusterIP`; who writes only one
/// of the two means the same.
fn cluster_ips(spec: &ServiceSpec, problems: &mut Problems) -> Vec<IpAddr> {
    let one = spec.cluster_ip.iter().map(|text| ("spec.clusterIP".to_owned(), text));
    let more = spec.cluster_ips.iter().enumerate();
    let more = more.map(|(index, text)| (format!("spec.clusterIPs[{index}]"), text));
    let mut addresses = Vec::new();
    for (field, text) in one.chain(more).filter(|(_, text)| !matches!(text.as_str(), "None" | "")) {
        match text.parse() {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(_) => problems.invalid(field, format!("{text:?} is not an address")),
        }
    }
    names::at_most(addresses.len(), MAX_ADDRESSES, "spec.clusterIPs", problems);
    addresses
}

fn ports(written: &[Port], problems: &mut Problems) -> Vec<ServicePort> {
    let mut ports: Vec<ServicePort> = Vec::with_capacity(written.len().min(MAX_PORTS));
    for (index, port) in written.iter().enumerate().take(MAX_PORTS) {
        let field = format!("spec.ports[{index}]");
        match port.protocol.as_deref() {
            None | Some("TCP") => {}
            Some(transport @ ("UDP" | "SCTP")) => {
                let message = format!("{transport} is not carried by the mesh");
                problems.ignored(format!("{field}.protocol"), message);
                continue;
            }
            Some(other) => {
                problems
                    .invalid(format!("{field}.protocol"), format!("{other:?} is not a protocol"));
            }
        }
        let Some(read) = one_port(port, written.len() > 1, &field, problems) else { continue };
        if ports.iter().any(|other| other.port == read.port) {
            problems
                .invalid(format!("{field}.port"), format!("port {} is written twice", read.port));
        }
        if !read.name.is_empty() && ports.iter().any(|other| other.name == read.name) {
            problems
                .invalid(format!("{field}.name"), format!("name {} is written twice", read.name));
        }
        ports.push(read);
    }
    ports
}

fn one_port(
    port: &Port,
    among_others: bool,
    field: &str,
    problems: &mut Problems,
) -> Option<ServicePort> {
    let name = port.name.clone().unwrap_or_default();
    if name.is_empty() && among_others {
        problems.invalid_hint(field, "a port of several has no name", "name each port");
    } else if !name.is_empty() && !names::is_label(&name) {
        problems.invalid(format!("{field}.name"), format!("{name:?} is not a DNS label"));
    }
    let number = names::port(port.port, &format!("{field}.port"), problems)?;
    let target_field = format!("{field}.targetPort");
    let target = match &port.target_port {
        None => TargetPort::Number(number),
        Some(NumberOrText::Number(0)) => TargetPort::Number(number),
        Some(NumberOrText::Number(target)) => {
            TargetPort::Number(names::port(*target, &target_field, problems)?)
        }
        Some(NumberOrText::Text(target)) => {
            if !names::is_port_name(target) {
                let hint = "a number without quotes, or the name of a workload's port";
                problems.invalid_hint(target_field, format!("{target:?} is not a port name"), hint);
            }
            TargetPort::Name(target.clone())
        }
    };
    let protocol = protocol(port.app_protocol.as_deref(), &name);
    Some(ServicePort { name, port: number, target, protocol })
}

/// What a port carries, by `appProtocol`, else by the first word of its name, as Istio reads it.
pub(crate) fn protocol(declared: Option<&str>, port_name: &str) -> AppProtocol {
    if let Some(declared) = declared.filter(|text| !text.is_empty()) {
        return match declared.to_ascii_lowercase().as_str() {
            "http" | "http2" | "h2c" | "grpc" | "grpc-web" | "kubernetes.io/h2c"
            | "kubernetes.io/ws" => AppProtocol::Http,
            _ => AppProtocol::Tcp,
        };
    }
    match port_name.split('-').next().unwrap_or_default() {
        "http" | "http2" | "h2c" | "grpc" => AppProtocol::Http,
        "https" | "tls" | "tcp" | "mongo" | "mysql" | "postgres" | "postgresql" | "redis"
        | "kafka" | "amqp" | "nats" | "memcached" | "cassandra" | "smtp" | "ldap" => {
            AppProtocol::Tcp
        }
        _ => AppProtocol::Detect,
    }
}
