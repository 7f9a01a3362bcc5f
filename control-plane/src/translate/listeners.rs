//! Outbound listeners: one for each port of a Service, named like it. Every proxy may see them; which of
//! them it uses, its applications decide by what they call.

use std::time::Duration;

use weft_proto::envoy::core::TrafficDirection;
use weft_proto::envoy::listener::{AdditionalAddress, FilterChain, FilterChainMatch, Listener};

use super::filters::{self, PLAINTEXT_HTTP};
use super::ports::Port;
use super::value::{address, boolean, duration, source};
use super::{Reference, Resource, ResourceType, encode::encode};
use crate::model::{AppProtocol, MeshConfig};

/// How long a client that says nothing is waited for before its connection is taken as opaque: a
/// protocol in which the server speaks first must not stall. Envoy's own default is 15 s and to close.
const DETECT_TIMEOUT: Duration = Duration::from_millis(200);

/// The Listener of one Service port.
pub(super) fn outbound(port: &Port<'_>, config: &MeshConfig) -> Resource {
    let name = &port.name;
    let detect = port.protocol == AppProtocol::Detect;
    let affinity = port.policy.and_then(|policy| policy.affinity.as_ref());
    let before = || affinity.map(filters::session).into_iter().collect();
    let http = || {
        let config = (config, config.tracing_sampling);
        filters::http(name, name, filters::rds(name), config, before())
    };
    let tcp = || filters::tcp(name, name);
    let (filter_chains, default_filter_chain) = match port.protocol {
        AppProtocol::Http => (vec![chain(http(), &[])], None),
        AppProtocol::Tcp => (vec![chain(tcp(), &[])], None),
        AppProtocol::Detect => (vec![chain(http(), &PLAINTEXT_HTTP)], Some(chain(tcp(), &[]))),
    };
    let more = port.addresses.iter().skip(1).map(|more| AdditionalAddress {
        address: Some(address(*more, port.number)),
        ..Default::default()
    });
    let listener = Listener {
        name: name.clone(),
        traffic_direction: TrafficDirection::Outbound.into(),
        address: Some(address(port.address, port.number)),
        additional_addresses: more.collect(),
        // Connections come from the one redirected or explicit socket of the proxy.
        bind_to_port: Some(boolean(false)),
        metadata: Some(filters::limits(&config.http, source(port.origin))),
        listener_filters: if detect { vec![filters::http_inspector()] } else { vec![] },
        listener_filters_timeout: detect.then(|| duration(DETECT_TIMEOUT)),
        continue_on_listener_filters_timeout: detect,
        filter_chains,
        default_filter_chain,
        ..Default::default()
    };
    encode(name, listener).needing(references(port))
}

fn references(port: &Port<'_>) -> Vec<Reference> {
    let reference = |kind| Reference { kind, name: port.name.as_str().into() };
    match port.protocol {
        AppProtocol::Http => vec![reference(ResourceType::Route)],
        AppProtocol::Tcp => vec![reference(ResourceType::Cluster)],
        AppProtocol::Detect => {
            vec![reference(ResourceType::Route), reference(ResourceType::Cluster)]
        }
    }
}

fn chain(filter: weft_proto::envoy::listener::Filter, protocols: &[&str]) -> FilterChain {
    let filter_chain_match = (!protocols.is_empty()).then(|| FilterChainMatch {
        application_protocols: protocols.iter().map(|&protocol| protocol.to_owned()).collect(),
        ..Default::default()
    });
    FilterChain { filter_chain_match, filters: vec![filter], ..Default::default() }
}

#[cfg(test)]
mod tests;
