//! ClusterLoadAssignment → [`EndpointsSpec`].

use std::mem::take;
use std::net::{IpAddr, SocketAddr};

use weft_certs::{IdError, SpiffeId, TrustDomain};
use weft_proto::envoy::core::{self, HealthStatus, socket_address::PortSpecifier};
use weft_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
};
use weft_proto::names::metadata;

use super::reject::{At, Reject, each, nothing_else};
use super::value::{metadata_text, required};
use crate::model::{EndpointSpec, EndpointsSpec, Locality, PlacedEndpoint};

/// Decodes the endpoints of one cluster.
pub(super) fn endpoints(
    mut assignment: ClusterLoadAssignment,
    trust_domain: &TrustDomain,
) -> Result<EndpointsSpec, Reject> {
    let cluster = take(&mut assignment.cluster_name);
    let groups = take(&mut assignment.endpoints);
    nothing_else(&assignment)?;
    let groups = each("endpoints", groups, |one| group(one, trust_domain))?;
    Ok(EndpointsSpec { cluster, endpoints: groups.into_iter().flatten().collect() })
}

/// The endpoints of one locality. Which of them come first this proxy decides by where it is itself; no other
/// priority is taken.
fn group(
    mut group: LocalityLbEndpoints,
    trust_domain: &TrustDomain,
) -> Result<Vec<PlacedEndpoint>, Reject> {
    let list = take(&mut group.lb_endpoints);
    let locality = group.locality.take().unwrap_or_default();
    let locality =
        Locality { region: locality.region, zone: locality.zone, sub_zone: locality.sub_zone };
    // Every endpoint has its own weight.
    group.load_balancing_weight = None;
    group.metadata = None;
    nothing_else(&group)?;
    let list = each("lb_endpoints", list, |one| endpoint(one, trust_domain))?;
    let placed = { list }.into_iter().flatten().map(|(spec, draining)| PlacedEndpoint {
        spec,
        locality: locality.clone(),
        draining,
    });
    Ok(placed.collect())
}

/// The endpoint, and whether it is draining. `None`: it is there and must not be used.
fn endpoint(
    mut endpoint: LbEndpoint,
    trust_domain: &TrustDomain,
) -> Result<Option<(EndpointSpec, bool)>, Reject> {
    let (usable, draining) = match HealthStatus::try_from(take(&mut endpoint.health_status)) {
        Ok(HealthStatus::Unknown | HealthStatus::Healthy) => (true, false),
        Ok(HealthStatus::Draining) => (true, true),
        Ok(HealthStatus::Unhealthy | HealthStatus::Timeout) => (false, false),
        Ok(HealthStatus::Degraded) | Err(_) => {
            return Err(Reject::new("health_status", "not supported by weft-proxy"));
        }
    };
    let weight = endpoint.load_balancing_weight.take().map_or(1, |weight| weight.value);
    if weight == 0 {
        return Err(Reject::new("load_balancing_weight", "0 is not allowed"));
    }
    let metadata = endpoint.metadata.take();
    let address = match endpoint.host_identifier.take() {
        Some(HostIdentifier::Endpoint(inner)) => address(inner).at("endpoint")?,
        Some(HostIdentifier::EndpointName(_)) | None => {
            return Err(Reject::new("endpoint", "missing"));
        }
    };
    nothing_else(&endpoint)?;
    let identity = identity(metadata.as_ref(), trust_domain).at("metadata")?;
    let workload = metadata_text(metadata.as_ref(), metadata::ENDPOINT, "workload").to_owned();
    Ok(usable.then_some((EndpointSpec { address, workload, identity, weight }, draining)))
}

fn address(mut endpoint: Endpoint) -> Result<SocketAddr, Reject> {
    let mut address = required("address", &mut endpoint.address)?;
    // A name for people.
    endpoint.observability_name = String::new();
    nothing_else(&endpoint)?;
    let Some(core::address::Address::SocketAddress(mut socket)) = address.address.take() else {
        return Err(Reject::new("address", "only `socket_address` is supported"));
    };
    let at = "address.socket_address";
    let ip = take(&mut socket.address);
    let ip: IpAddr = ip
        .parse()
        .map_err(|_| Reject::new("address", format!("{ip:?} is not an IP address")))
        .at(at)?;
    let port = match socket.port_specifier.take() {
        Some(PortSpecifier::PortValue(port)) => u16::try_from(port).ok().filter(|port| *port != 0),
        Some(PortSpecifier::NamedPort(_)) | None => None,
    };
    let Some(port) = port else {
        return Err(Reject::new("port_value", "not a port")).at(at);
    };
    nothing_else(&socket).at(at)?;
    Ok(SocketAddr::new(ip, port))
}

/// Who must answer there. Both marks of a mesh endpoint must agree: an endpoint that one of them calls
/// meshed must never be spoken to in plaintext because the other is missing.
fn identity(
    metadata: Option<&core::Metadata>,
    trust_domain: &TrustDomain,
) -> Result<Option<SpiffeId>, Reject> {
    let text = metadata_text(metadata, metadata::ENDPOINT, "identity");
    let meshed = metadata_text(metadata, metadata::TRANSPORT_SOCKET_MATCH, "mesh");
    match (text, meshed) {
        ("", "") => Ok(None),
        ("", _) => Err(Reject::new(metadata::ENDPOINT, "a mesh endpoint without an identity")),
        (_, "true") => {
            let id: SpiffeId = text.parse().map_err(|error: IdError| {
                Reject::new(metadata::ENDPOINT, format!("identity: {text:?}: {error}"))
            })?;
            if id.trust_domain() == trust_domain {
                Ok(Some(id))
            } else {
                let reason = format!("identity: {id} is not in the trust domain {trust_domain}");
                Err(Reject::new(metadata::ENDPOINT, reason))
            }
        }
        (_, _) => Err(Reject::new(
            metadata::TRANSPORT_SOCKET_MATCH,
            "an endpoint with an identity must have `mesh: \"true\"`",
        )),
    }
}
