//! What a workload's own proxy gets for the connections that arrive at it: one listener with one or more
//! filter chains for each port, seen by that proxy only, and a cluster for the application behind a port.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
use weft_proto::envoy::core::{Metadata, TrafficDirection, TransportSocket};
use weft_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use weft_proto::envoy::hcm::http_connection_manager::RouteSpecifier;
use weft_proto::envoy::listener::{
    AdditionalAddress, Filter, FilterChain, FilterChainMatch, Listener,
};
use weft_proto::names::{self, metadata};

use super::clusters::{CONNECT_TIMEOUT, same_http_version};
use super::filters::{self, PLAINTEXT_HTTP};
use super::value::{address, boolean, duration, metadata_of, source, texts, uint32};
use super::{Reference, Resource, ResourceType, encode::encode, rate_limits, routes, tls};
use crate::model::{AppProtocol, Mesh, MtlsMode, Workload, WorkloadPort};

/// How long a peer may be silent before its connection is taken as plaintext. Longer than outbound: a late
/// ClientHello is a failed mesh connection, while a protocol in which the server speaks first comes inside
/// mTLS and is late only in plaintext on a PERMISSIVE port.
const DETECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The inbound Listener of a workload; `None` if it has no sidecar or no ports.
pub(super) fn listener(workload: &Workload, mesh: &Mesh) -> Option<Resource> {
    // Two entries for one number would be two equal matches, which Envoy refuses; the first counts.
    let mut ports: BTreeMap<u16, &WorkloadPort> = BTreeMap::new();
    for port in &workload.ports {
        ports.entry(port.port).or_insert(port);
    }
    let mut addresses = ports.keys().map(|port| address(workload.address, *port));
    let first = addresses.next().filter(|_| workload.meshed)?;
    let rest =
        addresses.map(|address| AdditionalAddress { address: Some(address), ..Default::default() });

    let name = names::inbound_listener(&workload.key.name, &workload.key.namespace);
    let detect = ports.values().any(|port| port.protocol == AppProtocol::Detect);
    let mut listener_filters = vec![filters::tls_inspector()];
    listener_filters.extend(detect.then(filters::http_inspector));
    let listener = Listener {
        name: name.clone(),
        traffic_direction: TrafficDirection::Inbound.into(),
        address: Some(first),
        additional_addresses: rest.collect(),
        bind_to_port: Some(boolean(false)),
        metadata: Some(about(workload, mesh)),
        listener_filters,
        listener_filters_timeout: Some(duration(DETECT_TIMEOUT)),
        continue_on_listener_filters_timeout: true,
        filter_chains: ports.values().flat_map(|port| chains(workload, port, mesh)).collect(),
        ..Default::default()
    };
    let clusters = ports.keys().map(|port| Reference {
        kind: ResourceType::Cluster,
        name: names::inbound_cluster(*port).into(),
    });
    let references = clusters.chain([tls::trust_bundle_reference()]).collect();
    Some(encode(&name, listener).needing(references).only_for(&workload.key))
}

/// The application behind an inbound port, on loopback. Real Envoys use it; weft-proxy has its own flags
/// and never asks. The same for every workload with such a port, and so without metadata or an audience.
pub(super) fn cluster(port: u16) -> Resource {
    let name = names::inbound_cluster(port);
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
    let source = workload.origin.to_struct();
    match &mesh.config.tracing_endpoint {
        None => metadata_of([(metadata::SOURCE, source)]),
        Some(endpoint) => metadata_of([
            (metadata::SOURCE, source),
            (metadata::TRACING, texts(&[("endpoint", endpoint)])),
        ]),
    }
}

/// Which bytes a filter chain is for.
struct Match<'a> {
    transport: &'a str,
    protocols: Vec<String>,
}

/// The chains of one port. Envoy takes the most specific match, so their order means nothing.
fn chains(workload: &Workload, port: &WorkloadPort, mesh: &Mesh) -> Vec<FilterChain> {
    let cluster = names::inbound_cluster(port.port);
    let host = names::workload(&workload.key.name, &workload.key.namespace);
    let mode = mesh.mtls_mode(&workload.key, &workload.labels, port.port);
    let policy = mesh.inbound_policy(&workload.key, &workload.labels, port.port);
    let limited = policy.filter(|policy| !policy.rate_limits.is_empty());
    let detect = port.protocol == AppProtocol::Detect;
    let filter = |http: bool| {
        let routes = || RouteSpecifier::RouteConfig(routes::everything_to(&cluster));
        if http {
            let limits = limited.map_or_else(Vec::new, rate_limits::filters);
            filters::http(&cluster, &host, routes(), &mesh.config, limits)
        } else {
            filters::tcp(&cluster, &cluster)
        }
    };
    let is_http = port.protocol != AppProtocol::Tcp;
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
    port: &WorkloadPort,
    of: Match<'_>,
    filter: Filter,
    transport_socket: Option<TransportSocket>,
) -> FilterChain {
    FilterChain {
        filter_chain_match: Some(FilterChainMatch {
            destination_port: Some(uint32(port.port.into())),
            transport_protocol: of.transport.to_owned(),
            application_protocols: of.protocols,
            ..Default::default()
        }),
        filters: vec![filter],
        transport_socket,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
