//! The objects of the API server that are in force: which version of each, while they change, break and go.
//!
//! Owned by [`super::KubernetesSource`], one writer. Pure: it is told what changed and asked for the mesh. As with
//! files, an object whose newest version is broken keeps its last good one; unlike files, everything else is known to
//! be there or not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Map, Value, json};

use crate::finding::{Code, Finding, Severity};
use crate::model::{Key, Locality, Mesh, ObjectKey, Service};
use crate::source::assemble::{self, Objects as InForceById};
use crate::source::document::{self, What};
use crate::source::object::{Kind, Object, ObjectId};
use crate::source::problem::Problems;
use crate::source::store::InForce;

use super::last_resort::{self, Counts, Seen, Target};
use super::slice::{self, Slice};
use super::{RawObjects, pod};

/// Fields of a Service that Weft knows; a newer API server may have more.
const SERVICE_FIELDS: [&str; 7] = [
    "type",
    "selector",
    "ports",
    "clusterIP",
    "clusterIPs",
    "sessionAffinity",
    "internalTrafficPolicy",
];
const SERVICE_PORT_FIELDS: [&str; 5] = ["name", "port", "targetPort", "protocol", "appProtocol"];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Objects {
    in_force: InForceById,
    findings: BTreeMap<ObjectId, Vec<Finding>>,
    /// Another one whenever an object is.
    raw: RawObjects,
    slices: BTreeMap<Key, Slice>,
    by_service: BTreeMap<Key, BTreeSet<Key>>,
    /// Pods that are called unready, by Service.
    unready: BTreeMap<Key, BTreeSet<Key>>,
    /// Since the source was opened.
    now: Duration,
    seen: Seen,
    /// When somebody behind a Service counts no more.
    until: BTreeMap<Key, Duration>,
    /// Workloads that were made for addresses, by Service.
    made: BTreeMap<Key, Vec<Key>>,
    places: BTreeMap<String, Locality>,
    pods: BTreeMap<Key, Pod>,
    /// Pods with a sidecar, by their address: who writes slices by hand names no pod.
    meshed: BTreeMap<IpAddr, Key>,
}

impl Objects {
    /// The mesh, and everything there is to say about it.
    pub(super) fn mesh(&self) -> (Mesh, Vec<Finding>) {
        let (mesh, mut findings) = assemble::assemble(&self.in_force);
        findings.extend(self.findings.values().flatten().cloned());
        findings.sort();
        findings.dedup();
        (mesh, findings)
    }

    /// The objects that users write, as the API server has them.
    pub(super) fn raw(&self) -> RawObjects {
        self.raw.clone()
    }

    /// What is told from here on happens now; who counted until now counts no more.
    pub(super) fn advance(&mut self, now: Duration) {
        self.now = now;
        let over = self.until.iter().filter(|(_, until)| **until <= now);
        let over: Vec<_> = over.map(|(service, _)| service.clone()).collect();
        over.iter().for_each(|service| self.list(service));
    }

    /// When it has to be advanced, whatever is told until then.
    pub(super) fn due(&self) -> Option<Duration> {
        self.until.values().min().copied()
    }

    /// An object of a kind that users write.
    pub(super) fn apply(&mut self, kind: Kind, value: Value) {
        let metadata = &value["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let id = ObjectId { kind, key: Key::new(text("namespace"), text("name")) };
        let generation = metadata["generation"].as_u64();
        let mut entry = document::read_object("", readable(kind, &value), Default::default());
        let mut findings = std::mem::take(&mut entry.findings);
        if kind == Kind::Service {
            // A Service without a selector has its endpoints from elsewhere.
            findings.retain(|finding| finding.code != Code::ServiceIncomplete);
        } else {
            Arc::make_mut(&mut self.raw).insert(raw_key(&id), Arc::new(value));
        }
        match entry.what {
            What::Good(_, object) => {
                let before = self.in_force.get(&id).map_or(0, |before| before.generation);
                let generation = generation.unwrap_or(before + 1);
                self.in_force.insert(id.clone(), InForce::elsewhere(object, generation));
            }
            What::Broken(_) | What::Unknown => {
                let held = self.in_force.get(&id).filter(|before| before.good().is_some());
                let before = held.map(|before| before.generation);
                if let Some(object) = entry.instead(held.and_then(InForce::good)) {
                    let found = InForce::elsewhere(object, before.unwrap_or(0));
                    let found = if before.is_none() { found.standing_in() } else { found };
                    self.in_force.insert(id.clone(), found);
                }
                for finding in findings.iter_mut().filter(|f| f.severity() == Severity::Error) {
                    finding.message.push_str(&match before {
                        Some(good) => {
                            format!("; the last good version, generation {good}, stays in force")
                        }
                        None => match &entry.stand_in {
                            Some(stand_in) => format!("; {}", stand_in.means),
                            None => "; this object is not in force".to_owned(),
                        },
                    });
                }
            }
            What::Ignored(_) => {
                self.in_force.remove(&id);
            }
        }
        self.say(id.clone(), findings);
        match kind {
            Kind::Service => self.list(&id.key),
            // Its address may be behind a Service.
            Kind::MeshWorkload => self.list_all(),
            _ => {}
        }
    }

    /// An object of a kind that users write is gone.
    pub(super) fn delete(&mut self, kind: Kind, key: &Key) {
        let id = ObjectId::new(kind, key);
        self.in_force.remove(&id);
        self.findings.remove(&id);
        if self.raw.contains_key(&raw_key(&id)) {
            Arc::make_mut(&mut self.raw).remove(&raw_key(&id));
        }
        match kind {
            Kind::Service => self.list(key),
            Kind::MeshWorkload => self.list_all(),
            _ => {}
        }
    }

    /// A pod as it is now.
    pub(super) fn apply_pod(&mut self, key: &Key, pod: Pod) {
        self.read_pod(key, &pod);
        let standing = pod::standing(&pod);
        let before = self.pods.insert(key.clone(), pod);
        if before.as_ref().map(pod::standing) != Some(standing) {
            self.list_unready(key);
        }
    }

    /// A pod is gone.
    pub(super) fn delete_pod(&mut self, key: &Key) {
        self.pods.remove(key);
        let id = ObjectId::new(Kind::Pod, key);
        let before = self.in_force.remove(&id);
        self.findings.remove(&id);
        self.list_unready(key);
        self.move_pod(key, before.as_ref().and_then(meshed_at), None);
    }

    fn read_pod(&mut self, key: &Key, pod: &Pod) {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let place = node.and_then(|node| self.places.get(node));
        let mut problems = Problems::default();
        let workload = pod::workload(pod, place, &mut problems);
        let id = ObjectId::new(Kind::Pod, key);
        let findings = problems.into_vec().into_iter().map(|problem| {
            let finding = Finding::new(problem.code, problem.message).about(id.to_string());
            let finding = finding.field(problem.field);
            match problem.hint {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        });
        self.say(id.clone(), findings.collect());
        let before = self.in_force.get(&id).and_then(meshed_at);
        let now = workload.as_ref().filter(|found| found.meshed).map(|found| found.address);
        match workload {
            Some(workload) => {
                let object = Arc::new(Object::Workload(workload));
                self.in_force.insert(id, InForce::elsewhere(object, 1));
            }
            None => {
                self.in_force.remove(&id);
            }
        }
        self.move_pod(key, before, now);
    }

    /// Where a node is; `None` if it is gone.
    pub(super) fn place(&mut self, node: &str, place: Option<Locality>) {
        if self.places.get(node) == place.as_ref() {
            return;
        }
        match place {
            Some(place) => self.places.insert(node.to_owned(), place),
            None => self.places.remove(node),
        };
        let on_it =
            |pod: &Pod| pod.spec.as_ref().and_then(|s| s.node_name.as_deref()) == Some(node);
        let pods = self.pods.iter().filter(|(_, pod)| on_it(pod));
        let pods: Vec<_> = pods.map(|(key, pod)| (key.clone(), pod.clone())).collect();
        for (key, pod) in pods {
            self.read_pod(&key, &pod);
        }
    }

    /// A slice as it is now.
    pub(super) fn apply_slice(&mut self, key: Key, slice: &EndpointSlice) {
        let read = slice::read(slice);
        match self.slices.get(&key) {
            Some(before) if *before == read => return,
            Some(Slice { service: Some(service), .. })
                if read.service.as_ref() == Some(service) =>
            {
                self.seen_ready(&key, &read);
            }
            _ => self.forget_slice(&key),
        }
        let service = read.service.clone();
        self.slices.insert(key.clone(), read);
        if let Some(service) = service {
            self.by_service.entry(service.clone()).or_default().insert(key);
            self.list(&service);
        }
    }

    /// A slice is gone.
    pub(super) fn forget_slice(&mut self, key: &Key) {
        self.seen_ready(key, &Slice::default());
        let Some(Slice { service: Some(service), .. }) = self.slices.remove(key) else { return };
        if let Some(slices) = self.by_service.get_mut(&service) {
            slices.remove(key);
        }
        self.list(&service);
    }

    /// Who was ready in a slice until now, and in what comes in its place is no more.
    fn seen_ready(&mut self, key: &Key, next: &Slice) {
        let Some(before) = self.slices.get(key) else { return };
        let Some(service) = &before.service else { return };
        let ceased = before.ready().difference(&next.ready()).map(|one| (*one).clone()).collect();
        self.seen.ceased(service, ceased, self.now);
    }

    /// Looks up anew who is behind the Services of which a pod is called unready.
    fn list_unready(&mut self, pod: &Key) {
        let unready = self.unready.iter().filter(|(_, pods)| pods.contains(pod));
        let services: Vec<_> = unready.map(|(service, _)| service.clone()).collect();
        services.iter().for_each(|service| self.list(service));
    }

    fn list_all(&mut self) {
        let services: Vec<_> = self.by_service.keys().cloned().collect();
        for service in &services {
            self.list(service);
        }
    }

    /// Looks up anew who is behind a Service.
    fn list(&mut self, key: &Key) {
        for made in self.made.remove(key).unwrap_or_default() {
            self.in_force.remove(&ObjectId::new(Kind::EndpointSlice, &made));
        }
        self.unready.remove(key);
        self.until.remove(key);
        let id = ObjectId::new(Kind::Service, key);
        let Some(found) = self.in_force.get(&id) else { return };
        let Object::Service(service) = &*found.object else { return };
        let slices = self.by_service.get(key).into_iter().flatten();
        let slices: Vec<_> = slices.filter_map(|slice| self.slices.get(slice)).collect();
        let last_resort = |target: &Target| self.last_resort(key, target);
        let behind = slice::behind(key, &slices, |address| self.owner(address), last_resort);
        let service = Service { listed: Some(behind.listed), ..service.clone() };
        let in_force = InForce::elsewhere(Arc::new(Object::Service(service)), found.generation);
        self.in_force.insert(id, in_force);
        if !behind.unready.is_empty() {
            self.unready.insert(key.clone(), behind.unready);
        }
        if let Some(until) = behind.until {
            self.until.insert(key.clone(), until);
        }
        for workload in behind.outside {
            let made = workload.key.clone();
            let id = ObjectId::new(Kind::EndpointSlice, &made);
            let object = Arc::new(Object::Workload(workload));
            self.in_force.insert(id, InForce::elsewhere(object, 1));
            self.made.entry(key.clone()).or_default().push(made);
        }
    }

    /// Does a pod that is called unready count behind a Service where nobody is ready?
    fn last_resort(&self, service: &Key, target: &Target) -> Counts {
        let standing = self.pods.get(&target.pod).map(pod::standing);
        let ready = self.seen.ready(service, target);
        last_resort::counts(target, standing.as_ref(), ready, self.now)
    }

    /// The MeshWorkload at an address: a machine outside the cluster that has a sidecar, perhaps. Else the pod that has
    /// one.
    fn owner(&self, address: IpAddr) -> Option<Key> {
        let first = ObjectId { kind: Kind::MeshWorkload, key: Key::new("", "") };
        let all = self.in_force.range(first..);
        let mut all = all.take_while(|(id, _)| id.kind == Kind::MeshWorkload);
        let at = |found: &InForce| match &*found.object {
            Object::Workload(workload) => workload.address == address,
            _ => false,
        };
        let machine = all.find(|(_, found)| at(found)).map(|(id, _)| &id.key);
        machine.or_else(|| self.meshed.get(&address)).cloned()
    }

    /// A pod with a sidecar is at another address than before, or at none. Race: an address may have gone to another pod
    /// before this one's end is told.
    fn move_pod(&mut self, key: &Key, before: Option<IpAddr>, now: Option<IpAddr>) {
        if before == now {
            return;
        }
        if let Some(left) = before.filter(|address| self.meshed.get(address) == Some(key)) {
            self.meshed.remove(&left);
        }
        if let Some(address) = now {
            self.meshed.insert(address, key.clone());
        }
        let moved = |slice: &Slice| [before, now].into_iter().flatten().any(|at| slice.names(at));
        let services = self.slices.values().filter(|slice| moved(slice));
        let services: BTreeSet<Key> = services.filter_map(|slice| slice.service.clone()).collect();
        services.iter().for_each(|service| self.list(service));
    }

    fn say(&mut self, id: ObjectId, findings: Vec<Finding>) {
        if findings.is_empty() {
            self.findings.remove(&id);
        } else {
            self.findings.insert(id, findings);
        }
    }
}

/// Where a pod is, if it has a sidecar.
fn meshed_at(found: &InForce) -> Option<IpAddr> {
    match &*found.object {
        Object::Workload(workload) => workload.meshed.then_some(workload.address),
        _ => None,
    }
}

fn raw_key(id: &ObjectId) -> ObjectKey {
    (id.kind.name().to_owned(), id.key.namespace.clone(), id.key.name.clone())
}

/// What the readers of files understand of an object: they refuse what they do not know, which is right for what
/// users write and wrong for what a newer API server adds by itself.
fn readable(kind: Kind, value: &Value) -> Value {
    let metadata = &value["metadata"];
    let mut kept = Map::new();
    for field in ["name", "namespace", "labels", "annotations", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            kept.insert(field.to_owned(), value.clone());
        }
    }
    let mut spec = value.get("spec").cloned().unwrap_or_else(|| json!({}));
    if kind == Kind::Service {
        retain(&mut spec, &SERVICE_FIELDS);
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            retain(port, &SERVICE_PORT_FIELDS);
        }
    }
    json!({
        "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": kept, "spec": spec,
    })
}

fn retain(value: &mut Value, fields: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|field, _| fields.contains(&field.as_str()));
    }
}

#[cfg(test)]
mod tests;
