//! Decides which TelemetryPolicy is in force for each workload and route.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::model::{Mesh, RouteKind, TelemetryPolicy};
use crate::source::object::{Kind, Object, ObjectId};
use crate::source::telemetry_policy::{RouteTarget, TelemetryDraft};

use super::{Notes, Objects};

#[cfg(test)]
mod tests;

/// Id, generation, content.
type Found<'o> = (&'o ObjectId, u64, &'o TelemetryDraft);

/// Fills [`Mesh::telemetry_policies`] and [`Mesh::route_telemetry`].
pub(super) fn resolve(objects: &Objects, mesh: &mut Mesh, notes: &mut Notes<'_>) {
    let mut drafts: Vec<Found<'_>> = Vec::new();
    for (id, found) in objects {
        if let Object::TelemetryPolicy(draft) = &*found.object {
            drafts.push((id, found.generation, draft));
        }
    }
    // Order: the more specific wins, then the older, then the key.
    drafts.sort_by_key(|(_, _, draft)| (draft.policy.precedence(), &draft.key));
    for_workloads(&drafts, mesh, notes);
    for (id, generation, draft) in &drafts {
        for target in &draft.routes {
            for_route((id, *generation, draft), target, objects, mesh, notes);
        }
    }
}

fn for_workloads(drafts: &[Found<'_>], mesh: &mut Mesh, notes: &mut Notes<'_>) {
    let drafts: Vec<&Found<'_>> = drafts.iter().filter(|(_, _, draft)| draft.workloads).collect();
    // For each policy that selects anything: itself if it is in force somewhere, else one that is instead.
    let mut effects: BTreeMap<usize, usize> = BTreeMap::new();
    for workload in mesh.workloads.values().filter(|workload| workload.meshed) {
        let applies =
            |index: &usize| drafts[*index].2.policy.applies_to(&workload.key, &workload.labels);
        let mut selecting = (0..drafts.len()).filter(applies);
        let Some(first) = selecting.next() else { continue };
        effects.insert(first, first);
        for loser in selecting {
            effects.entry(loser).or_insert(first);
        }
    }
    for (index, (id, generation, draft)) in drafts.iter().enumerate() {
        let origin = id.origin(*generation);
        mesh.telemetry_policies.push(TelemetryPolicy { origin, ..draft.policy.clone() });
        match effects.get(&index) {
            None => {
                let message = "no workload of this namespace with a sidecar has these labels";
                notes.add(id, "spec", Code::PolicyWithoutEffect, message);
            }
            Some(winner) if *winner != index => {
                let message = format!(
                    "TelemetryPolicy {} is in force for everything that this one selects",
                    drafts[*winner].2.key
                );
                notes.add(id, "spec", Code::Conflicted, message);
            }
            Some(_) => {}
        }
    }
}

fn for_route(
    (id, generation, draft): Found<'_>,
    target: &RouteTarget,
    objects: &Objects,
    mesh: &mut Mesh,
    notes: &mut Notes<'_>,
) {
    let field = format!("spec.targetRefs[{}]", target.index);
    let kind = match target.kind {
        RouteKind::Http => Kind::HttpRoute,
        RouteKind::Grpc => Kind::GrpcRoute,
    };
    let found = objects.get(&ObjectId::new(kind, &target.route));
    let Some(Object::Route(route)) = found.map(|found| &*found.object) else {
        let message = format!("{} {} does not exist", kind.name(), target.route);
        return notes.add(id, format!("{field}.name"), Code::TargetNotFound, message);
    };
    if let Some(rule) = &target.rule
        && route.route.rules.iter().all(|one| one.name != *rule)
    {
        let names: Vec<&str> = route.route.rules.iter().map(|one| one.name.as_str()).collect();
        let message = format!(
            "{} {} has no rule {rule:?}; it has {}",
            kind.name(),
            target.route,
            names.join(", ")
        );
        return notes.add(id, format!("{field}.sectionName"), Code::TargetNotFound, message);
    }
    let place = (target.kind, target.route.clone(), target.rule.clone());
    if let Some(winner) = mesh.route_telemetry.get(&place) {
        let origin = &winner.origin;
        if (&origin.namespace, &origin.name) != (&id.key.namespace, &id.key.name) {
            let by = format!("{}/{}", origin.namespace, origin.name);
            let message = format!("TelemetryPolicy {by} is in force for it");
            notes.add(id, field, Code::Conflicted, message);
        }
        return;
    }
    let origin = id.origin(generation);
    mesh.route_telemetry.insert(place, TelemetryPolicy { origin, ..draft.policy.clone() });
}
