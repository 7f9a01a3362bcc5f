//! Decides which policy is in force where several speak of the same.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::model::{AppProtocol, InboundPolicy, Key, Mesh, TrafficPolicy, Workload};
use crate::source::inbound_policy::InboundDraft;
use crate::source::object::{Object, ObjectId};
use crate::source::traffic_policy::{Target, TrafficDraft};

use super::routes::similar_service;
use super::{Notes, Objects, list_ports, port_of};

/// Fills [`Mesh::traffic_policies`] and [`Mesh::inbound_policies`].
pub(super) fn resolve(objects: &Objects, mesh: &mut Mesh, notes: &mut Notes<'_>) {
    traffic(objects, mesh, notes);
    inbound(objects, mesh, notes);
}

fn traffic(objects: &Objects, mesh: &mut Mesh, notes: &mut Notes<'_>) {
    let mut drafts: Vec<(&ObjectId, u64, &TrafficDraft)> = Vec::new();
    for (id, found) in objects {
        if let Object::TrafficPolicy(draft) = &*found.object {
            drafts.push((id, found.generation, draft));
        }
    }
    // Order: the older wins, then the key.
    drafts.sort_by_key(|(_, _, draft)| (draft.created, &draft.key));
    for (id, generation, draft) in drafts {
        for (index, target) in draft.targets.iter().enumerate() {
            let field = format!("spec.targetRefs[{index}]");
            let Some(place) = find(id, &field, target, mesh, notes) else { continue };
            if let Some(winner) = mesh.traffic_policies.get(&place) {
                let origin = &winner.origin;
                if (&origin.namespace, &origin.name) != (&id.key.namespace, &id.key.name) {
                    let by = format!("{}/{}", origin.namespace, origin.name);
                    let message =
                        format!("TrafficPolicy {by} is in force for {}", describe(&place));
                    notes.add(id, field, Code::Conflicted, message);
                }
                continue;
            }
            let origin = id.origin(generation);
            mesh.traffic_policies.insert(place, TrafficPolicy { origin, ..draft.policy.clone() });
        }
    }
}

fn describe((service, port): &(Key, Option<u16>)) -> String {
    match port {
        Some(port) => format!("port {port} of Service {service}"),
        None => format!("Service {service}"),
    }
}

fn find(
    id: &ObjectId,
    field: &str,
    target: &Target,
    mesh: &Mesh,
    notes: &mut Notes<'_>,
) -> Option<(Key, Option<u16>)> {
    let Some(service) = mesh.services.get(&target.service) else {
        let message = format!("Service {} does not exist", target.service);
        let hint = similar_service(&target.service, mesh, Code::TargetNotFound);
        notes.add_hint(id, format!("{field}.name"), Code::TargetNotFound, message, hint);
        return None;
    };
    let Some(section) = &target.section else { return Some((service.key.clone(), None)) };
    let port = port_of(service, section);
    if port.is_none() {
        let message =
            format!("Service {} has no such port; it has {}", service.key, list_ports(service));
        notes.add(id, format!("{field}.sectionName"), Code::TargetNotFound, message);
    }
    port.map(|port| (service.key.clone(), Some(port)))
}

fn inbound(objects: &Objects, mesh: &mut Mesh, notes: &mut Notes<'_>) {
    let mut drafts: Vec<(&ObjectId, u64, &InboundDraft)> = Vec::new();
    for (id, found) in objects {
        if let Object::InboundPolicy(draft) = &*found.object {
            drafts.push((id, found.generation, draft));
        }
    }
    drafts.sort_by_key(|(_, _, InboundDraft { key, policy })| (policy.precedence(), key));
    let effects = effects(&drafts, mesh, notes);
    let selects = |draft: &InboundDraft, workload: &Workload| {
        let ports = workload.ports.iter().map(|port| port.port);
        let mut ports =
            ports.filter(|port| draft.policy.applies_to(&workload.key, &workload.labels, *port));
        ports.next().is_some()
    };
    for (index, (id, generation, draft)) in drafts.iter().enumerate() {
        let origin = id.origin(*generation);
        mesh.inbound_policies.push(InboundPolicy { origin, ..draft.policy.clone() });
        match effects.get(&index) {
            None => {
                let message = "no workload of this namespace has these labels and ports";
                notes.add(id, "spec", Code::PolicyWithoutEffect, message);
            }
            Some(winner) if *winner != index => {
                let message = format!(
                    "InboundPolicy {} is in force for everything that this one selects",
                    drafts[*winner].2.key
                );
                notes.add(id, "spec", Code::Conflicted, message);
            }
            Some(_) => {
                let bare = mesh.workloads.values().filter(|workload| !workload.meshed);
                let bare: Vec<_> = bare.filter(|workload| selects(draft, workload)).collect();
                if let Some(first) = bare.first() {
                    let count = bare.len();
                    let message = format!("{count} workloads have no sidecar, {} first", first.key);
                    notes.add(id, "spec", Code::PolicyNotEnforced, message);
                }
            }
        }
    }
}

/// For each policy that selects anything: itself if it is in force for some port, else one that is instead. Says
/// besides where a policy limits requests and there are none.
fn effects(
    drafts: &[(&ObjectId, u64, &InboundDraft)],
    mesh: &Mesh,
    notes: &mut Notes<'_>,
) -> BTreeMap<usize, usize> {
    let mut effects = BTreeMap::new();
    for workload in mesh.workloads.values() {
        for port in &workload.ports {
            let applies = |draft: &InboundDraft| {
                draft.policy.applies_to(&workload.key, &workload.labels, port.port)
            };
            let mut selecting = (0..drafts.len()).filter(|index| applies(drafts[*index].2));
            let Some(first) = selecting.next() else { continue };
            let (id, _, winner) = drafts[first];
            if port.protocol == AppProtocol::Tcp && !winner.policy.rate_limits.is_empty() {
                let message = format!(
                    "port {} of MeshWorkload {} carries opaque TCP",
                    port.port, workload.key
                );
                notes.add(id, "spec.rateLimits", Code::RateLimitOnTcpPort, message);
            }
            effects.insert(first, first);
            for loser in selecting {
                effects.entry(loser).or_insert(first);
            }
        }
    }
    effects
}
