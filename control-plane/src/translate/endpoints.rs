//! ClusterLoadAssignments: the endpoints of each Service port. A Service without endpoints has an empty
//! one, never none: a proxy drains on an empty assignment and ignores a removal (pitfall 3).

use weft_proto::envoy::core::{HealthStatus, Metadata};
use weft_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use weft_proto::names::{self, metadata};

use super::ports::{self, Port};
use super::value::{address, metadata_of, texts, uint32};
use super::{Resource, encode::encode};

/// The ClusterLoadAssignment of one Service port, endpoints in key order.
pub(super) fn assignment(port: &Port<'_>, trust_domain: &str) -> Resource {
    let lb_endpoints: Vec<_> =
        port.endpoints.iter().map(|endpoint| lb_endpoint(endpoint, trust_domain)).collect();
    let group = LocalityLbEndpoints {
        load_balancing_weight: Some(uint32(1)),
        lb_endpoints,
        ..Default::default()
    };
    let assignment = ClusterLoadAssignment {
        cluster_name: port.name.clone(),
        endpoints: if group.lb_endpoints.is_empty() { vec![] } else { vec![group] },
        ..Default::default()
    };
    encode(&port.name, assignment)
}

fn lb_endpoint(endpoint: &ports::Endpoint<'_>, trust_domain: &str) -> LbEndpoint {
    let at = Endpoint {
        address: Some(address(endpoint.workload.address, endpoint.port)),
        ..Default::default()
    };
    LbEndpoint {
        health_status: HealthStatus::Healthy.into(),
        load_balancing_weight: Some(uint32(1)),
        metadata: Some(about(endpoint, trust_domain)),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(at)),
    }
}

fn about(endpoint: &ports::Endpoint<'_>, trust_domain: &str) -> Metadata {
    let workload = endpoint.workload;
    let name = names::workload(&workload.key.name, &workload.key.namespace);
    if !workload.meshed {
        let endpoint = texts(&[("workload", &name), ("identity", "")]);
        return metadata_of([(metadata::ENDPOINT, endpoint)]);
    }
    let identity = workload.identity(trust_domain);
    metadata_of([
        (metadata::ENDPOINT, texts(&[("workload", &name), ("identity", &identity)])),
        (metadata::TRANSPORT_SOCKET_MATCH, texts(&[("mesh", "true")])),
    ])
}

#[cfg(test)]
mod tests;
