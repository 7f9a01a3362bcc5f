//! The mesh as the builders of [`super`] walk it: one [`Port`] for each port of a Service, with the
//! endpoints behind it, and one for each port of a workload that can only be called by its own address ([`alone`]). References are looked up once here, by index, so that a translation costs what it
//! makes and not services times workloads.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use weft_proto::names;

use super::encode::hash;
use crate::model::{
    self, AppProtocol, Key, Mesh, MtlsMode, Origin, Route, TrafficPolicy, Workload,
};

/// One port that can be called.
pub(super) struct Port<'a> {
    /// Name of its Listener, RouteConfiguration, Cluster and ClusterLoadAssignment.
    pub(super) name: String,
    /// The Service, or the workload.
    pub(super) origin: &'a Origin,
    /// The port that callers use.
    pub(super) number: u16,
    /// What it carries.
    pub(super) protocol: AppProtocol,
    /// Address of its listener: the Service's own, or a made-up one that no other Service has; or the workload's.
    pub(super) address: IpAddr,
    /// The Service's own addresses; none of a workload.
    pub(super) addresses: &'a [IpAddr],
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
    /// Is it called over mutual TLS? Not without a sidecar, and not where a policy takes plaintext only.
    pub(super) mutual: bool,
    /// It still answers, but is about to go.
    pub(super) draining: bool,
    /// The policy that says so, if one does.
    pub(super) policy: Option<&'a Origin>,
}

impl Port<'_> {
    /// SPIFFE ids of the endpoints that are called over mutual TLS, sorted, each once.
    pub(super) fn identities(&self, trust_domain: &str) -> BTreeSet<String> {
        let mutual = self.endpoints.iter().filter(|endpoint| endpoint.mutual);
        mutual.map(|endpoint| endpoint.workload.identity(trust_domain)).collect()
    }

    /// The policy in force, if there is one.
    pub(super) fn policy_origin(&self) -> Option<Arc<Origin>> {
        self.policy.map(|policy| Arc::new(policy.origin.clone()))
    }

    /// The objects that its endpoints are made from, each once.
    pub(super) fn endpoint_origins(&self) -> impl Iterator<Item = Arc<Origin>> {
        let all = self.endpoints.iter();
        let all = all.flat_map(|one| [Some(&one.workload.origin), one.policy]).flatten();
        let all: BTreeSet<&Origin> = all.collect();
        all.into_iter().map(|origin| Arc::new(origin.clone()))
    }

    /// Addresses of its endpoints, as far as others can dial them: a loopback address is another place on each machine.
    pub(super) fn dialled(&self) -> impl Iterator<Item = SocketAddr> {
        let all = self.endpoints.iter();
        let all = all.map(|endpoint| SocketAddr::new(endpoint.workload.address, endpoint.port));
        all.filter(|address| !address.ip().is_loopback())
    }
}

/// Every port of every Service, by Service key, then in the order written.
pub(super) fn ports(mesh: &Mesh) -> Vec<Port<'_>> {
    let index = mesh.endpoint_index();
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
        let first = service.cluster_ips.first().copied();
        let address = first.unwrap_or_else(|| addresses.invent(&service.key));
        ports.extend(service.ports.iter().map(|port| {
            let mut attached = routes.remove(&(&service.key, port.port)).unwrap_or_default();
            let namespace = service.key.namespace.as_str();
            Port {
                name: names::service_port(&service.key.name, namespace, port.port),
                origin: &service.origin,
                number: port.port,
                protocol: port.protocol,
                address,
                addresses: &service.cluster_ips,
                endpoints: endpoints(&index.endpoints_of(service, port), mesh),
                routes: attached.remove(namespace).unwrap_or_default(),
                consumer_routes: attached,
                policy: mesh.traffic_policy(&service.key, port.port),
            }
        }));
    }
    ports
}

/// The addresses of workloads that belong to more than one Service port.
pub(super) fn shared(ports: &[Port<'_>]) -> HashSet<SocketAddr> {
    let mut owners: HashMap<SocketAddr, &str> = HashMap::new();
    let mut shared = HashSet::new();
    for port in ports {
        for address in port.dialled() {
            if owners.insert(address, &port.name).is_some_and(|owner| owner != port.name) {
                shared.insert(address);
            }
        }
    }
    shared
}

/// The ports of workloads that stand for themselves where they are called by their own address: they belong to no
/// Service port, or to several, with as many policies and no way to tell which is meant. Mutual TLS they have all the
/// same.
pub(super) fn alone<'a>(
    mesh: &'a Mesh,
    ports: &[Port<'a>],
    shared: &HashSet<SocketAddr>,
) -> Vec<Port<'a>> {
    let of_one: HashSet<SocketAddr> = ports.iter().flat_map(Port::dialled).collect();
    let meshed = mesh.workloads.values().filter(|w| w.meshed && !w.address.is_loopback());
    let all = meshed.flat_map(|workload| workload.ports.iter().map(move |port| (workload, port)));
    let alone = all.filter(|(workload, port)| {
        let address = SocketAddr::new(workload.address, port.port);
        shared.contains(&address) || !of_one.contains(&address)
    });
    let named = alone.map(|(workload, port)| Port {
        name: names::workload_port(&workload.key.name, &workload.key.namespace, port.port),
        origin: &workload.origin,
        number: port.port,
        protocol: port.protocol,
        address: workload.address,
        addresses: &[],
        endpoints: vec![endpoint(workload, port.port, mesh)],
        routes: Vec::new(),
        consumer_routes: BTreeMap::new(),
        policy: None,
    });
    named.collect()
}

/// Addresses of listeners. Envoy refuses a listener whose address another one has, even if neither is
/// bound (seen with 1.40), so Services without an address cannot all be at 0.0.0.0. They get one of
/// 240.0.0.0/8, which is reserved and routed nowhere, by a hash of their name.
struct Addresses(HashSet<IpAddr>);

impl Addresses {
    fn new(mesh: &Mesh) -> Self {
        Self(mesh.services.values().flat_map(|service| &service.cluster_ips).copied().collect())
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

fn endpoints<'a>(found: &[model::Endpoint<'a>], mesh: &'a Mesh) -> Vec<Endpoint<'a>> {
    let with_mode = |found: &model::Endpoint<'a>| Endpoint {
        draining: found.draining,
        ..endpoint(found.workload, found.port, mesh)
    };
    found.iter().map(with_mode).collect()
}

fn endpoint<'a>(workload: &'a Workload, port: u16, mesh: &'a Mesh) -> Endpoint<'a> {
    let draining = workload.draining;
    if !workload.meshed {
        return Endpoint { workload, port, mutual: false, draining, policy: None };
    }
    let policy = mesh.inbound_policy(&workload.key, &workload.labels, port);
    let said = policy.and_then(|policy| Some((policy.mtls?, &policy.origin)));
    let mode = said.map_or(mesh.config.mtls, |(mode, _)| mode);
    let mutual = mode != MtlsMode::Disable;
    Endpoint { workload, port, mutual, draining, policy: said.map(|(_, origin)| origin) }
}

#[cfg(test)]
mod tests;
