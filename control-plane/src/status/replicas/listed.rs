//! Who the other replicas are: the pods behind the control plane's own Service. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::model::{Key, Mesh};

/// The Service, and its port that replicas are asked at.
const SERVICE: &str = "weft-control-plane";
const PORT: &str = "grpc";

/// Where they are, by the names of their pods, without `own`. One that leaves is among them as long as it serves: it may
/// still have proxies. One that is not ready is not, as nobody is led to it.
pub(super) fn others(mesh: &Mesh, namespace: &str, own: &str) -> BTreeMap<String, SocketAddr> {
    let service = mesh.services.get(&Key::new(namespace, SERVICE));
    let listed = service.and_then(|service| service.listed.as_deref()).unwrap_or_default();
    let others = listed.iter().filter(|one| {
        let Key { namespace: of, name } = &one.workload;
        of == namespace && name != own
    });
    let places = others.filter_map(|one| {
        let address = mesh.workloads.get(&one.workload)?.address;
        let port = *one.ports.get(PORT)?;
        Some((one.workload.name.clone(), SocketAddr::new(address, port)))
    });
    places.collect()
}
