//! The mesh as the builders of [`super`] walk it: one [`Port`] for each port of a Service, with the
//! endpoints behind it. References are looked up once here, by index, so that a translation costs what it
//! makes and not services times workloads.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use weft_proto::names;

use super::encode::hash;
use crate::model::{Key, Mesh, Route, Service, ServicePort, TrafficPolicy, Workload};

/// One port of a Service.
pub(super) struct Port<'a> {
    /// Name of its Listener, RouteConfiguration, Cluster and ClusterLoadAssignment.
    pub(super) name: String,
    /// The Service.
    pub(super) service: &'a Service,
    /// The port.
    pub(super) port: &'a ServicePort,
    /// Address of its listener: the Service's own, or a made-up one that no other Service has.
    pub(super) address: IpAddr,
    /// Endpoints in key order.
    pub(super) endpoints: Vec<Endpoint<'a>>,
    /// Routes of the Service's own namespace, in the order of [`Mesh::routes`].
    pub(super) routes: Vec<&'a Route>,
    /// Routes of other namespaces, by namespace: they count for callers of theirs, and there alone.
    pub(super) consumer_routes: BTreeMap<&'a str, Vec<&'a Route>>,
    /// The policy in force.
    pub(super) policy: Option<&'a TrafficPolicy>,
}

/// One workload behind a port.
#[derive(Clone, Copy)]
pub(super) struct Endpoint<'a> {
    /// The workload.
    pub(super) workload: &'a Workload,
    /// Its port number.
    pub(super) port: u16,
}

impl Port<'_> {
    /// SPIFFE ids of the endpoints that have a sidecar, sorted, each once.
    pub(super) fn identities(&self, trust_domain: &str) -> BTreeSet<String> {
        let meshed = self.endpoints.iter().filter(|endpoint| endpoint.workload.meshed);
        meshed.map(|endpoint| endpoint.workload.identity(trust_domain)).collect()
    }
}

/// Every port of every Service, by Service key, then in the order written.
pub(super) fn ports(mesh: &Mesh) -> Vec<Port<'_>> {
    let labels = LabelIndex::new(mesh);
    let mut routes: HashMap<(&Key, u16), BTreeMap<&str, Vec<&Route>>> = HashMap::new();
    for route in &mesh.routes {
        let parents: BTreeSet<_> = route.parents.iter().map(|(key, port)| (key, *port)).collect();
        for parent in parents {
            let group = routes.entry(parent).or_default();
            group.entry(route.key.namespace.as_str()).or_default().push(route);
        }
    }
    let mut addresses = Addresses::new(mesh);
    let mut ports = Vec::new();
    for service in mesh.services.values() {
        let workloads = labels.selected_by(service);
        let address = service.cluster_ip.unwrap_or_else(|| addresses.invent(&service.key));
        ports.extend(service.ports.iter().map(|port| {
            let mut attached = routes.remove(&(&service.key, port.port)).unwrap_or_default();
            let namespace = service.key.namespace.as_str();
            Port {
                name: names::service_port(&service.key.name, namespace, port.port),
                service,
                port,
                address,
                endpoints: resolve(port, &workloads),
                routes: attached.remove(namespace).unwrap_or_default(),
                consumer_routes: attached,
                policy: mesh.traffic_policy(&service.key, port.port),
            }
        }));
    }
    ports
}

/// Addresses of listeners. Envoy refuses a listener whose address another one has, even if neither is
/// bound (seen with 1.40), so Services without an address cannot all be at 0.0.0.0. They get one of
/// 240.0.0.0/8, which is reserved and routed nowhere, by a hash of their name.
struct Addresses(HashSet<IpAddr>);

impl Addresses {
    fn new(mesh: &Mesh) -> Self {
        Self(mesh.services.values().filter_map(|service| service.cluster_ip).collect())
    }

    fn invent(&mut self, service: &Key) -> IpAddr {
        let start = hash(service.to_string().as_bytes());
        let at = |offset: u64| {
            let low = u32::try_from(start.wrapping_add(offset) & 0x00ff_ffff).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(0xf000_0000 | low))
        };
        // Ends: there are fewer Services than addresses.
        let free = (0..).map(at).find(|address| !self.0.contains(address));
        let address = free.unwrap_or(at(0));
        self.0.insert(address);
        address
    }
}

/// A workload without the port that a Service names by name is no endpoint of it.
fn resolve<'a>(port: &ServicePort, workloads: &[&'a Workload]) -> Vec<Endpoint<'a>> {
    let resolved = workloads.iter().map(|workload| (*workload, workload.resolve(&port.target)));
    resolved.filter_map(|(workload, port)| Some(Endpoint { workload, port: port? })).collect()
}

/// Workloads by namespace and label, in key order.
struct LabelIndex<'a>(HashMap<(&'a str, &'a str, &'a str), Vec<&'a Workload>>);

impl<'a> LabelIndex<'a> {
    fn new(mesh: &'a Mesh) -> Self {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        for workload in mesh.workloads.values() {
            for (label, value) in &workload.labels {
                let at = (workload.key.namespace.as_str(), label.as_str(), value.as_str());
                index.entry(at).or_default().push(workload);
            }
        }
        Self(index)
    }

    /// The rarest of the selector's labels gives the candidates, the selector decides.
    fn selected_by(&self, service: &'a Service) -> Vec<&'a Workload> {
        let namespace = service.key.namespace.as_str();
        let labels = service.selector.iter();
        let candidates = labels.map(|(label, value)| {
            self.0.get(&(namespace, label.as_str(), value.as_str())).map_or(&[][..], Vec::as_slice)
        });
        let rarest = candidates.min_by_key(|workloads| workloads.len()).unwrap_or_default();
        rarest.iter().copied().filter(|workload| service.selects(&workload.labels)).collect()
    }
}

#[cfg(test)]
mod tests;
