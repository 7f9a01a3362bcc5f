//! Services and the workloads behind them.

use std::collections::BTreeMap;

use super::{Key, Origin};

/// A Service (v1): a name with ports, and a selector for the workloads that serve it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Namespace and name.
    pub key: Key,
    /// Where it was read.
    pub origin: Origin,
    /// Virtual addresses: none if it is headless, one of each family if it has both.
    pub cluster_ips: Vec<std::net::IpAddr>,
    /// Ports in the order written.
    pub ports: Vec<ServicePort>,
    /// Labels that a workload must carry; an empty selector selects nothing.
    pub selector: BTreeMap<String, String>,
    /// The workloads behind it where the source knows them one by one, in key order; `None`: whom the selector selects.
    pub listed: Option<Vec<Listed>>,
}

/// One workload behind a Service, as the source lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The workload.
    pub workload: Key,
    /// Its ports, by the name of the Service's port.
    pub ports: BTreeMap<String, u16>,
    /// It still answers, but is about to go.
    pub draining: bool,
}

impl Service {
    /// Does the selector match these labels?
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.selector.is_empty()
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// Name; empty if the Service has one unnamed port.
    pub name: String,
    /// Port that callers use.
    pub port: u16,
    /// Port of the workload: a number, or the name of one of the workload's ports.
    pub target: TargetPort,
    /// Declared application protocol, from `appProtocol`, else the port name's prefix.
    pub protocol: AppProtocol,
}

/// `targetPort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By the name of a workload port.
    Name(String),
}

/// What a port carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AppProtocol {
    /// HTTP of either version: `http`, `kubernetes.io/h2c`, `grpc` …
    Http,
    /// Opaque bytes: `tcp`, and everything declared that is not HTTP.
    Tcp,
    /// Not declared: told from the first bytes.
    #[default]
    Detect,
}

/// `MeshWorkload`, or later a pod: one process with an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Namespace and name.
    pub key: Key,
    /// Where it was read.
    pub origin: Origin,
    /// Address that peers dial.
    pub address: std::net::IpAddr,
    /// Ports that it serves.
    pub ports: Vec<WorkloadPort>,
    /// What may be asked of it without mutual TLS, on whatever port.
    pub probes: Vec<WorkloadProbe>,
    /// Service account, which makes its SPIFFE id.
    pub service_account: String,
    /// Labels, for selectors and for `version`.
    pub labels: BTreeMap<String, String>,
    /// Does a sidecar stand before it? Without one it is dialled in plaintext.
    pub meshed: bool,
    /// Where it is.
    pub locality: Locality,
    /// Its sidecar says that it is about to go. No source says so; it is set on the mesh in force.
    pub draining: bool,
}

/// A place, from large to small; empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locality {
    /// `eu-west`.
    pub region: String,
    /// `eu-west-1a`.
    pub zone: String,
    /// A rack, a row.
    pub sub_zone: String,
}

impl Workload {
    /// `spiffe://<trust-domain>/ns/<namespace>/sa/<service account>`.
    #[must_use]
    pub fn identity(&self, trust_domain: &str) -> String {
        format!("spiffe://{trust_domain}/ns/{}/sa/{}", self.key.namespace, self.service_account)
    }

    /// The name that people know it by: label `app.kubernetes.io/name`, else `app`, else its own.
    #[must_use]
    pub fn display_name(&self) -> &str {
        ["app.kubernetes.io/name", "app"]
            .iter()
            .find_map(|label| self.labels.get(*label))
            .unwrap_or(&self.key.name)
    }

    /// Label `app.kubernetes.io/version`, else `version`, else empty.
    #[must_use]
    pub fn version(&self) -> &str {
        ["app.kubernetes.io/version", "version"]
            .iter()
            .find_map(|label| self.labels.get(*label))
            .map_or("", String::as_str)
    }

    /// The port that a Service's `targetPort` means here; a number need not be declared.
    #[must_use]
    pub fn resolve(&self, target: &TargetPort) -> Option<u16> {
        match target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => {
                self.ports.iter().find(|port| &port.name == name).map(|port| port.port)
            }
        }
    }
}

/// One port of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadPort {
    /// Name; may be empty.
    pub name: String,
    /// Number at [`Workload::address`].
    pub port: u16,
    /// Declared application protocol.
    pub protocol: AppProtocol,
}

/// A probe of a workload's health by somebody who is not of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadProbe {
    /// Number at [`Workload::address`].
    pub port: u16,
    /// What a GET asks for, or a call of gRPC; without one the port is connected to, or speaks TLS of its own.
    pub path: Option<String>,
}
