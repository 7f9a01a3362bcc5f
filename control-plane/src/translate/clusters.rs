//! Clusters: one for each port of a Service, named like it, with what its `TrafficPolicy` asks for.

mod balancing;
mod health;
mod resilience;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::cluster::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, TransportSocketMatch,
};
use weft_proto::envoy::core::{
    Http1ProtocolOptions, Http2ProtocolOptions, Metadata, TransportSocket,
};
use weft_proto::envoy::http_options::HttpProtocolOptions;
use weft_proto::envoy::http_options::http_protocol_options::{
    UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use weft_proto::envoy::raw_buffer;
use weft_proto::google::{Any, Struct};
use weft_proto::names::metadata as keys;

use super::ports::Port;
use super::value::{ads, any, duration, texts, transport_socket};
use crate::model::TrafficPolicy;

use super::{Reference, Resource, ResourceType, encode::encode, tls};

/// `TrafficPolicy.connectTimeout` where none is written.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The Cluster of one Service port.
pub(super) fn cluster(port: &Port<'_>, trust_domain: &str) -> Resource {
    let policy = port.policy.cloned().unwrap_or_default();
    let cluster = Cluster {
        name: port.name.clone(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: port.name.clone(),
        }),
        connect_timeout: Some(duration(
            policy.connect_timeout.filter(|limit| !limit.is_zero()).unwrap_or(CONNECT_TIMEOUT),
        )),
        metadata: Some(about(port, &policy)),
        load_balancing_policy: Some(balancing::policies(&policy)),
        health_checks: policy.health_check.iter().map(health::check).collect(),
        outlier_detection: Some(resilience::outliers(
            &policy.outlier_detection.unwrap_or_default(),
        )),
        circuit_breakers: Some(resilience::breakers(
            &policy.limits,
            policy.retries.map(|retries| retries.budget).unwrap_or_default(),
        )),
        typed_extension_protocol_options: same_http_version(),
        transport_socket_matches: sockets(port, trust_domain),
        ..Default::default()
    };
    let references = vec![
        Reference { kind: ResourceType::Endpoint, name: port.name.as_str().into() },
        tls::trust_bundle_reference(),
    ];
    encode(&port.name, cluster).needing(references)
}

/// Its origin, and what Envoy's API has no place for.
fn about(port: &Port<'_>, policy: &TrafficPolicy) -> Metadata {
    let mut metadata = resilience::metadata(port.origin, &policy.limits);
    if policy.prefer_local {
        let mode = texts(&[("mode", keys::PREFER_LOCAL)]);
        metadata.filter_metadata.insert(keys::LOCALITY.to_owned(), mode);
    }
    metadata
}

/// HTTP/1 in, HTTP/1 out; HTTP/2 in, HTTP/2 out: the mesh keeps the application's version.
pub(super) fn same_http_version() -> HashMap<String, Any> {
    let same = UseDownstreamHttpConfig {
        http_protocol_options: Some(Http1ProtocolOptions {
            enable_trailers: true,
            ..Default::default()
        }),
        http2_protocol_options: Some(Http2ProtocolOptions::default()),
        ..Default::default()
    };
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(same)),
        ..Default::default()
    };
    [(HTTP_OPTIONS.to_owned(), any(&options))].into()
}

/// The endpoint's own metadata says whether a sidecar stands before it; what it does not say is plaintext.
fn sockets(port: &Port<'_>, trust_domain: &str) -> Vec<TransportSocketMatch> {
    let mut identities = port.identities(trust_domain);
    if identities.is_empty() {
        identities = BTreeSet::from([nobody(trust_domain)]);
    }
    let mesh = tls::upstream(identities.iter().map(String::as_str), port.protocol);
    let plaintext =
        transport_socket("envoy.transport_sockets.raw_buffer", &raw_buffer::RawBuffer::default());
    let one = |name: &str, r#match: Struct, socket: TransportSocket| TransportSocketMatch {
        name: name.to_owned(),
        r#match: Some(r#match),
        transport_socket: Some(socket),
    };
    vec![
        one("mesh", texts(&[("mesh", "true")]), mesh),
        one("plaintext", Struct::default(), plaintext),
    ]
}

/// An id that no workload can have: `_` is no Kubernetes name. Without any matcher Envoy would take every
/// certificate of the mesh for an endpoint that turns up before its cluster's next version.
fn nobody(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}/ns/_/sa/_")
}

#[cfg(test)]
mod tests;
