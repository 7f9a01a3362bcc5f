//! Which generation of each object the mesh consists of, and at which places it counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Key, Mesh, ObjectKey, Origin};

/// One object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Its generation.
    pub(crate) generation: u64,
    /// The Services (of a TelemetryPolicy the routes) that it counts for, with the port if it is for one only; none of what
    /// selects workloads.
    pub(crate) places: BTreeSet<(Key, Option<u16>)>,
}

/// Every object of a kind with a status that is part of the mesh.
pub(crate) fn in_force(mesh: &Mesh) -> BTreeMap<ObjectKey, InForce> {
    let mut all: BTreeMap<ObjectKey, InForce> = BTreeMap::new();
    let mut add = |origin: &Origin, places: Vec<(Key, Option<u16>)>| {
        let one = all.entry(origin.object()).or_default();
        one.generation = origin.generation;
        one.places.extend(places);
    };
    for route in &mesh.routes {
        let places = route.parents.iter().map(|(service, port)| (service.clone(), Some(*port)));
        add(&route.origin, places.collect());
    }
    for (place, policy) in &mesh.traffic_policies {
        add(&policy.origin, vec![place.clone()]);
    }
    for policy in &mesh.inbound_policies {
        add(&policy.origin, vec![]);
    }
    for policy in &mesh.access_policies {
        add(&policy.origin, vec![]);
    }
    for policy in &mesh.telemetry_policies {
        add(&policy.origin, vec![]);
    }
    for ((_, route, _), policy) in &mesh.route_telemetry {
        add(&policy.origin, vec![(route.clone(), None)]);
    }
    let workloads = mesh.workloads.values().map(|workload| &workload.origin);
    for origin in workloads.filter(|origin| origin.kind == "MeshWorkload") {
        add(origin, vec![]);
    }
    if !mesh.config.origin.kind.is_empty() {
        add(&mesh.config.origin, vec![]);
    }
    all
}
