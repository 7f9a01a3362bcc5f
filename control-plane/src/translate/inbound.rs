//! What a workload's own proxy gets for the connections that arrive at it: one listener with one or more
//! filter chains for each port, seen by that proxy only, and a cluster for the application behind a port. Ports that
//! nobody declared have chains in common: a proxy that intercepts connections meets them too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::cluster::cluster::{ClusterDiscoveryType, DiscoveryType, LbPolicy};
use weft_proto::envoy::core::{Metadata, TrafficDirection, TransportSocket};
use weft_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use weft_proto::envoy::hcm::http_connection_manager::RouteSpecifier;
use weft_proto::envoy::listener::{
    AdditionalAddress, Filter, FilterChain, FilterChainMatch, Listener,
};
use weft_proto::google::{ListValue, Struct, Value, value::Kind};
use weft_proto::names::{self, OTHER_PORTS, metadata};

use super::clusters::{CONNECT_TIMEOUT, same_http_version};
use super::filters::{self, PLAINTEXT_HTTP};
use super::value::{address, boolean, duration, source, text, texts, uint32};
use super::{
    Reference, Resource, ResourceType, access, encode::encode, rate_limits, routes, telemetry, tls,
};
use crate::model::{AppProtocol, Locality, Mesh, MtlsMode, Origin, Workload};

/// How long a peer may be silent before its connection is taken as plaintext. Longer than outbound: a late
/// ClientHello is a failed mesh connection, while a protocol in which the server speaks first comes inside
/// mTLS and is late only in plaintext on a PERMISSIVE port.
const DETECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where intercepted connections arrive.
const INTERCEPTED: u16 = 15006;

/// The inbound Listener of a workload; `None` if it has no sidecar.
pub(super) fn listener(workload: &Workload, mesh: &Mesh) -> Option<Resource> {
    if !workload.meshed {
        return None;
    }
    let ports = ports(workload, mesh);
    // Envoy wants an address even of a listener that is bound to none.
    let declared: Vec<u16> = ports.keys().copied().filter(|port| *port != OTHER_PORTS).collect();
    let first = declared.first().copied().unwrap_or(INTERCEPTED);
    let rest = declared.iter().skip(1).map(|port| AdditionalAddress {
        address: Some(address(workload.address, *port)),
        ..Default::default()
    });
    let name = names::inbound_listener(&workload.key.name, &workload.key.namespace);
    let listener = Listener {
        name: name.clone(),
        traffic_direction: TrafficDirection::Inbound.into(),
        address: Some(address(workload.address, first)),
        additional_addresses: rest.collect(),
        bind_to_port: Some(boolean(false)),
        metadata: Some(filters::limits(&mesh.config.http, about(workload, mesh))),
        listener_filters: vec![filters::tls_inspector(), filters::http_inspector()],
        listener_filters_timeout: Some(duration(DETECT_TIMEOUT)),
        continue_on_listener_filters_timeout: true,
        filter_chains: ports
            .into_iter()
            .flat_map(|(port, protocol)| chains(workload, (port, protocol), mesh))
            .collect(),
        ..Default::default()
    };
    let clusters = declared.iter().chain([&OTHER_PORTS]).map(|port| Reference {
        kind: ResourceType::Cluster,
        name: names::inbound_cluster(*port).into(),
    });
    let references = clusters.chain([tls::trust_bundle_reference()]).collect();
    Some(encode(&name, listener).needing(references).only_for(&workload.key))
}

/// The objects that the listener of a workload is made from: itself and the policies in force on its ports.
pub(super) fn origins(workload: &Workload, mesh: &Mesh) -> BTreeSet<Arc<Origin>> {
    let all: Vec<u16> = ports(workload, mesh).into_keys().collect();
    let policy = |port: &u16| mesh.inbound_policy(&workload.key, &workload.labels, *port);
    let policies = all.iter().filter_map(policy);
    let policies = policies.map(|policy| &policy.origin);
    let access = mesh.access_policies.iter().filter(|policy| {
        all.iter().any(|port| policy.applies_to(&workload.key, &workload.labels, *port))
    });
    let policies = policies.chain(access.map(|policy| &policy.origin));
    let policies = policies.chain(mesh.telemetry_policy(workload).map(|policy| &policy.origin));
    policies.chain([&workload.origin]).map(|origin| Arc::new(origin.clone())).collect()
}

/// The ports that something is said of, and [`OTHER_PORTS`]. Of two entries for one number the first counts: they would
/// be two equal matches, which Envoy refuses.
pub(crate) fn ports(workload: &Workload, mesh: &Mesh) -> BTreeMap<u16, AppProtocol> {
    let mut ports = BTreeMap::from([(OTHER_PORTS, AppProtocol::Detect)]);
    for port in &workload.ports {
        ports.entry(port.port).or_insert(port.protocol);
    }
    let policies = mesh.inbound_policies.iter();
    for port in policies.flat_map(|policy| &policy.ports) {
        if mesh.inbound_policy(&workload.key, &workload.labels, *port).is_some() {
            ports.entry(*port).or_insert(AppProtocol::Detect);
        }
    }
    for policy in &mesh.access_policies {
        for port in &policy.ports {
            if policy.applies_to(&workload.key, &workload.labels, *port) {
                ports.entry(*port).or_insert(AppProtocol::Detect);
            }
        }
    }
    ports
}

/// The application behind an inbound port, on loopback. Real Envoys use it; weft-proxy has its own flags
/// and never asks. The same for every workload with such a port, and so without metadata or an audience.
pub(super) fn cluster(port: u16) -> Resource {
    let name = names::inbound_cluster(port);
    if port == OTHER_PORTS {
        let kind = ClusterDiscoveryType::Type(DiscoveryType::OriginalDst.into());
        let cluster = Cluster {
            name: name.clone(),
            cluster_discovery_type: Some(kind),
            lb_policy: LbPolicy::ClusterProvided.into(),
            connect_timeout: Some(duration(CONNECT_TIMEOUT)),
            typed_extension_protocol_options: same_http_version(),
            ..Default::default()
        };
        return encode(&name, cluster);
    }
    let application = Endpoint {
        address: Some(address(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        ..Default::default()
    };
    let endpoint = LbEndpoint {
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(application)),
        ..Default::default()
    };
    let group = LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..Default::default() };
    let cluster = Cluster {
        name: name.clone(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: Some(duration(CONNECT_TIMEOUT)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.clone(),
            endpoints: vec![group],
            ..Default::default()
        }),
        typed_extension_protocol_options: same_http_version(),
        ..Default::default()
    };
    encode(&name, cluster)
}

fn about(workload: &Workload, mesh: &Mesh) -> Metadata {
    let mut about = source(&workload.origin);
    if let Some(collector) = &mesh.config.tracing_collector {
        about.filter_metadata.insert(metadata::TRACING.to_owned(), telemetry::collector(collector));
    }
    if let Some(log) = telemetry::access_log(workload, mesh) {
        about.filter_metadata.insert(metadata::ACCESS_LOG.to_owned(), log);
    }
    if workload.locality != Locality::default() {
        let Locality { region, zone, sub_zone } = &workload.locality;
        let place = texts(&[("region", region), ("zone", zone), ("sub_zone", sub_zone)]);
        about.filter_metadata.insert(metadata::PLACE.to_owned(), place);
    }
    if !workload.probes.is_empty() {
        about.filter_metadata.insert(metadata::PROBES.to_owned(), probes(workload));
    }
    about
}

fn probes(workload: &Workload) -> Struct {
    let mut by_port: BTreeMap<u16, Vec<Value>> = BTreeMap::new();
    for probe in &workload.probes {
        let path = text(probe.path.as_deref().unwrap_or_default());
        by_port.entry(probe.port).or_default().push(path);
    }
    let list = |values| Value { kind: Some(Kind::ListValue(ListValue { values })) };
    let fields = by_port.into_iter().map(|(port, paths)| (port.to_string(), list(paths)));
    Struct { fields: fields.collect() }
}

/// Which bytes a filter chain is for.
struct Match<'a> {
    transport: &'a str,
    protocols: Vec<String>,
}

/// The chains of one port. Envoy takes the most specific match, so their order means nothing.
fn chains(
    workload: &Workload,
    (port, protocol): (u16, AppProtocol),
    mesh: &Mesh,
) -> Vec<FilterChain> {
    let cluster = names::inbound_cluster(port);
    let host = names::workload(&workload.key.name, &workload.key.namespace);
    let mode = mesh.mtls_mode(&workload.key, &workload.labels, port);
    let policy = mesh.inbound_policy(&workload.key, &workload.labels, port);
    let limited = policy.filter(|policy| !policy.rate_limits.is_empty());
    let detect = protocol == AppProtocol::Detect;
    let rules = mesh.access(&workload.key, &workload.labels, port);
    let sampling = mesh.sampling(workload);
    let filter = |http: bool| {
        let routes = || RouteSpecifier::RouteConfig(routes::everything_to(&cluster));
        if http {
            // Order: who may not call has no part in limits.
            let mut before = access::http(&rules);
            before.extend(limited.map_or_else(Vec::new, rate_limits::filters));
            vec![filters::http(&cluster, &host, routes(), (&mesh.config, sampling), before)]
        } else {
            let mut all = access::network(&rules);
            all.push(filters::tcp(&cluster, &cluster));
            all
        }
    };
    let is_http = protocol != AppProtocol::Tcp;
    let mut chains = Vec::new();
    if mode != MtlsMode::Disable {
        let socket = || Some(tls::downstream(&mesh.config.trust_domain));
        // On a STRICT port every connection must be the mesh's: one that is not fails the handshake.
        let strict = mode == MtlsMode::Strict;
        let transport = if strict { "" } else { "tls" };
        let rest = match (strict, detect) {
            (true, _) => vec![],
            (false, false) => tls::all_alpn(),
            (false, true) => tls::tcp_alpn(),
        };
        if detect {
            let http = Match { transport, protocols: tls::http_alpn() };
            chains.push(chain(port, http, filter(true), socket()));
        }
        let rest = Match { transport, protocols: rest };
        chains.push(chain(port, rest, filter(is_http && !detect), socket()));
    }
    if mode != MtlsMode::Strict {
        let transport = if mode == MtlsMode::Disable { "" } else { "raw_buffer" };
        if detect {
            let protocols = PLAINTEXT_HTTP.map(str::to_owned).to_vec();
            chains.push(chain(port, Match { transport, protocols }, filter(true), None));
        }
        let rest = Match { transport, protocols: vec![] };
        chains.push(chain(port, rest, filter(is_http && !detect), None));
    }
    if let Some(policy) = limited {
        // What limits is named where a request is refused.
        chains.iter_mut().for_each(|chain| chain.metadata = Some(source(&policy.origin)));
    }
    chains
}

fn chain(
    port: u16,
    of: Match<'_>,
    filters: Vec<Filter>,
    transport_socket: Option<TransportSocket>,
) -> FilterChain {
    FilterChain {
        filter_chain_match: Some(FilterChainMatch {
            destination_port: (port != OTHER_PORTS).then(|| uint32(port.into())),
            transport_protocol: of.transport.to_owned(),
            application_protocols: of.protocols,
            ..Default::default()
        }),
        filters,
        transport_socket,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
