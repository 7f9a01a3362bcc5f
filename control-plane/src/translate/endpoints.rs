//! ClusterLoadAssignments: the endpoints of each Service port. A Service without endpoints has an empty
//! one, never none: a proxy drains on an empty assignment and ignores a removal (pitfall 3).

use std::collections::BTreeMap;

use weft_proto::envoy::core::{self, HealthStatus, Metadata};
use weft_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use weft_proto::names::{self, metadata};

use super::ports::{self, Port};
use super::value::{address, metadata_of, texts, uint32};
use super::{Resource, encode::encode};
use crate::model::Locality;

/// The ClusterLoadAssignment of one Service port: a group for each locality, endpoints in key order. Every caller gets
/// the same; which group is near, it knows itself.
pub(super) fn assignment(port: &Port<'_>, trust_domain: &str) -> Resource {
    let mut places: BTreeMap<&Locality, Vec<LbEndpoint>> = BTreeMap::new();
    for endpoint in &port.endpoints {
        let group = places.entry(&endpoint.workload.locality).or_default();
        group.push(lb_endpoint(endpoint, trust_domain));
    }
    let groups = places.into_iter().map(|(place, lb_endpoints)| LocalityLbEndpoints {
        locality: (*place != Locality::default()).then(|| locality(place)),
        load_balancing_weight: Some(uint32(1)),
        lb_endpoints,
        ..Default::default()
    });
    let assignment = ClusterLoadAssignment {
        cluster_name: port.name.clone(),
        endpoints: groups.collect(),
        ..Default::default()
    };
    encode(&port.name, assignment)
}

fn locality(of: &Locality) -> core::Locality {
    let Locality { region, zone, sub_zone } = of.clone();
    core::Locality { region, zone, sub_zone }
}

fn lb_endpoint(endpoint: &ports::Endpoint<'_>, trust_domain: &str) -> LbEndpoint {
    let at = Endpoint {
        address: Some(address(endpoint.workload.address, endpoint.port)),
        ..Default::default()
    };
    let health = if endpoint.draining { HealthStatus::Draining } else { HealthStatus::Healthy };
    LbEndpoint {
        health_status: health.into(),
        load_balancing_weight: Some(uint32(1)),
        metadata: Some(about(endpoint, trust_domain)),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(at)),
    }
}

fn about(endpoint: &ports::Endpoint<'_>, trust_domain: &str) -> Metadata {
    let workload = endpoint.workload;
    let name = names::workload(&workload.key.name, &workload.key.namespace);
    if !endpoint.mutual {
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
