//! From the model to xDS: `(&Mesh, trust bundle) -> ResourceSet`, a pure function.
//!
//! Called by `xds::Publisher` for every new version of the mesh. No I/O, no clock, no randomness: the
//! same mesh makes the same names and versions in every process. A real Envoy accepts all of it; where
//! its checks shaped the code, a comment says so.
//!
//! ```text
//! Service port ─► addresses (found by)
//!              ─► listeners (outbound) ─► routes ─► clusters ─► endpoints     all named product.shop:8080
//!                  (routes: one more of that name for each namespace with consumer routes)
//! workload     ─► inbound (listener, seen by its own proxy only; cluster of the application)
//! trust bundle ─► secrets
//! settings     ─► deny list
//! ```

mod access;
mod action;
mod addresses;
mod clusters;
mod denied;
mod encode;
mod endpoints;
mod filters;
#[cfg(test)]
pub(crate) mod fixture;
mod headers;
mod inbound;
mod listeners;
mod mirror;
mod ports;
mod precedence;
mod rate_limits;
mod resource;
mod retry;
mod routes;
mod secrets;
mod set;
mod telemetry;
mod tls;
mod url;
mod value;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

pub(crate) use inbound::ports as inbound_ports;
pub(crate) use precedence::{Candidate, by_domain};
pub(crate) use resource::variant_slot;
pub use resource::{Reference, Resource, ResourceType, Version, Visibility};
pub use set::{Dangling, Node, ResourceSet};
use weft_proto::names;

use crate::model::Mesh;

/// Everything that one version of the mesh says to its proxies. `trust_bundle` is PEM: the certificates
/// that peers are verified against.
#[must_use]
pub fn translate(mesh: &Mesh, trust_bundle: &str) -> ResourceSet {
    let mut set = ResourceSet::default();
    let trust_domain = &mesh.config.trust_domain;
    let config = Arc::new(mesh.config.origin.clone());
    set.insert(secrets::trust_bundle(trust_bundle));
    let denied = mesh.deny_list();
    set.insert(denied::deny_list(&denied).made_from([config.clone()]));
    set.deny(denied);
    let ports = ports::ports(mesh);
    let shared = ports::shared(&ports);
    let alone = ports::alone(mesh, &ports, &shared);
    // What is found at the address of one alone is that one, whoever else it belongs to.
    let nobody = HashSet::new();
    let ports = ports.into_iter().map(|port| (port, &shared));
    for (port, shared) in ports.chain(alone.into_iter().map(|port| (port, &nobody))) {
        let policy = || port.policy_origin();
        set.insert(clusters::cluster(&port, trust_domain).made_from(policy()));
        let assignment = endpoints::assignment(&port, trust_domain);
        set.insert(assignment.made_from(port.endpoint_origins()));
        let listener = listeners::outbound(&port, &mesh.config);
        set.insert(listener.made_from(policy()).made_from([config.clone()]));
        for routes in routes::configurations(&port, mesh) {
            set.insert(routes);
        }
        if let Some(addresses) = addresses::addresses(&port, shared) {
            set.insert(addresses);
        }
    }
    let mut inbound_ports = BTreeSet::new();
    for workload in mesh.workloads.values() {
        let id = names::workload(&workload.key.name, &workload.key.namespace);
        let identity = workload.identity(trust_domain);
        set.insert_node(id, Node { workload: workload.key.clone(), identity });
        if let Some(listener) = inbound::listener(workload, mesh) {
            let origins = inbound::origins(workload, mesh).into_iter();
            set.insert(listener.made_from(origins).made_from([config.clone()]));
            inbound_ports.extend(inbound::ports(workload, mesh).into_keys());
        }
    }
    for port in inbound_ports {
        set.insert(inbound::cluster(port));
    }
    set
}

#[cfg(test)]
mod tests;
