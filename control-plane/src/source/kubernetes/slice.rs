//! EndpointSlices to the workloads behind a Service. Pure; called by `objects`.
//!
//! The API server's own controllers decide who is ready; this file reads what they decided. Who counts where nobody is
//! ready `last_resort` says. Of an address of which no pod is named a workload without a sidecar is made, unless a
//! MeshWorkload or a pod with a sidecar has that address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::model::{Key, Listed, Locality, Origin, Workload};

use super::last_resort::{Counts, Target};

/// Names the Service that a slice belongs to.
const SERVICE: &str = "kubernetes.io/service-name";
/// Bound: endpoints of one slice, as the API has it.
const MAX_ENDPOINTS: usize = 1000;

/// One slice, as far as the mesh needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slice {
    /// The Service.
    pub(super) service: Option<Key>,
    /// Who is behind it.
    endpoints: Vec<Found>,
    /// By the name of the Service's port.
    ports: BTreeMap<String, u16>,
}

#[derive(Clone, Debug, PartialEq)]
struct Found {
    address: IpAddr,
    pod: Option<Target>,
    state: State,
    zone: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Ready,
    /// It is about to go, and still answers.
    Draining,
    Unready,
}

/// Who is behind a Service.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// In key order.
    pub(super) listed: Vec<Listed>,
    /// Workloads that only the slices know of.
    pub(super) outside: Vec<Workload>,
    /// Pods that are called unready.
    pub(super) unready: BTreeSet<Key>,
    /// When somebody who counts now counts no more, whatever is told until then.
    pub(super) until: Option<Duration>,
}

impl Slice {
    /// Pods that are ready.
    pub(super) fn ready(&self) -> BTreeSet<&Target> {
        let ready = self.endpoints.iter().filter(|endpoint| endpoint.state == State::Ready);
        ready.filter_map(|endpoint| endpoint.pod.as_ref()).collect()
    }

    /// Does it list this address without saying whose it is?
    pub(super) fn names(&self, address: IpAddr) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.pod.is_none() && endpoint.address == address)
    }
}

/// Reads one; slices of host names have no addresses, and none that can be dialled.
pub(super) fn read(slice: &EndpointSlice) -> Slice {
    let namespace = slice.metadata.namespace.clone().unwrap_or_default();
    let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE));
    let ports = slice.ports.iter().flatten().filter_map(|port| {
        let is_tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
        let number = port.port.and_then(|port| u16::try_from(port).ok()).filter(|_| is_tcp)?;
        Some((port.name.clone().unwrap_or_default(), number))
    });
    let endpoints = slice.endpoints.iter().take(MAX_ENDPOINTS);
    Slice {
        service: service.map(|name| Key::new(namespace.clone(), name)),
        endpoints: endpoints.filter_map(|endpoint| found(endpoint, &namespace)).collect(),
        ports: ports.collect(),
    }
}

fn found(endpoint: &Endpoint, namespace: &str) -> Option<Found> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    // The API says that a condition which is not known counts as ready.
    let ready = conditions.ready.unwrap_or(true);
    let serving = conditions.serving.unwrap_or(ready);
    let state = match (ready, conditions.terminating.unwrap_or(false)) {
        (true, _) => State::Ready,
        (false, true) if serving => State::Draining,
        // It answers no more, and never will again.
        (false, true) => return None,
        (false, false) => State::Unready,
    };
    // All addresses of one endpoint are the same process; the first is enough.
    let address = endpoint.addresses.first()?.parse().ok()?;
    let target =
        endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
    let pod = target.and_then(|target| {
        let namespace = target.namespace.as_deref().unwrap_or(namespace);
        let pod = Key::new(namespace, target.name.as_deref()?);
        Some(Target { pod, uid: target.uid.clone().unwrap_or_default(), address })
    });
    Some(Found { address, pod, state, zone: endpoint.zone.clone().unwrap_or_default() })
}

/// Who is behind one Service, by all of its slices (a dual-stack Service has some of each family). `owner` names the
/// workload at an address; `last_resort` says of a pod that is called unready whether it counts where nobody is ready.
pub(super) fn behind(
    service: &Key,
    slices: &[&Slice],
    owner: impl Fn(IpAddr) -> Option<Key>,
    last_resort: impl Fn(&Target) -> Counts,
) -> Behind {
    let mut all: BTreeMap<Key, Listed> = BTreeMap::new();
    let mut found = Behind::default();
    let endpoints =
        || slices.iter().flat_map(|slice| slice.endpoints.iter().map(move |e| (slice, e)));
    for (slice, endpoint) in endpoints().filter(|(_, endpoint)| endpoint.state != State::Unready) {
        let pod = endpoint.pod.as_ref().map(|target| target.pod.clone());
        let key = match pod.or_else(|| owner(endpoint.address)) {
            Some(known) => known,
            None => {
                let workload = outside(service, endpoint);
                let key = workload.key.clone();
                found.outside.push(workload);
                key
            }
        };
        add(&mut all, &key, slice, endpoint.state == State::Draining);
    }
    let nobody_is_ready = all.values().all(|one| one.draining);
    for (slice, endpoint) in endpoints().filter(|(_, endpoint)| endpoint.state == State::Unready) {
        let Some(target) = &endpoint.pod else { continue };
        found.unready.insert(target.pod.clone());
        match if nobody_is_ready { last_resort(target) } else { Counts::No } {
            Counts::No => continue,
            Counts::Until(until) => {
                found.until = Some(found.until.map_or(until, |first| first.min(until)));
            }
            Counts::Yes => {}
        }
        add(&mut all, &target.pod, slice, false);
    }
    found.listed = all.into_values().collect();
    found
}

fn add(all: &mut BTreeMap<Key, Listed>, key: &Key, slice: &Slice, draining: bool) {
    let new = || Listed { workload: key.clone(), ports: BTreeMap::new(), draining: true };
    let one = all.entry(key.clone()).or_insert_with(new);
    one.ports.extend(slice.ports.iter().map(|(name, port)| (name.clone(), *port)));
    // Ready in one of the slices is ready.
    one.draining &= draining;
}

/// A process that the mesh knows by its address alone.
fn outside(service: &Key, endpoint: &Found) -> Workload {
    let address = endpoint.address.to_string().replace(['.', ':'], "-");
    Workload {
        key: Key::new(service.namespace.as_str(), format!("{}-{address}", service.name)),
        origin: Origin::default(),
        address: endpoint.address,
        ports: Vec::new(),
        probes: Vec::new(),
        service_account: "default".to_owned(),
        labels: BTreeMap::new(),
        meshed: false,
        locality: Locality { zone: endpoint.zone.clone(), ..Locality::default() },
        draining: false,
    }
}

#[cfg(test)]
mod tests;
