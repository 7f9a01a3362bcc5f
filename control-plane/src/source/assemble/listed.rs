//! What a Service says of its port's protocol holds for the pods behind it too.
//!
//! In Kubernetes a container's ports are remarks, and their names anything; what callers go by is the Service. A
//! sidecar that took a port for another protocol than its callers would refuse them.

use std::collections::BTreeMap;

use crate::model::{AppProtocol, Key, Mesh, Workload, WorkloadPort};

/// Declares on every listed workload the ports that Services with a declared protocol lead to.
pub(super) fn declare(mesh: &mut Mesh) {
    let mut declared: BTreeMap<(Key, u16), AppProtocol> = BTreeMap::new();
    for service in mesh.services.values() {
        for port in &service.ports {
            for one in service.listed.iter().flatten() {
                let Some(number) = one.ports.get(&port.name) else { continue };
                // Of Services that disagree the first by name counts, unless it leaves it open.
                let place = declared.entry((one.workload.clone(), *number)).or_default();
                if *place == AppProtocol::Detect {
                    *place = port.protocol;
                }
            }
        }
    }
    for ((workload, port), protocol) in declared {
        if let Some(workload) = mesh.workloads.get_mut(&workload) {
            set(workload, port, protocol);
        }
    }
}

/// What is declared already, by the pod's annotation or in a MeshWorkload, stays.
fn set(workload: &mut Workload, port: u16, protocol: AppProtocol) {
    match workload.ports.iter_mut().find(|known| known.port == port) {
        Some(known) if known.protocol != AppProtocol::Detect => {}
        Some(known) => known.protocol = protocol,
        None => workload.ports.push(WorkloadPort { name: String::new(), port, protocol }),
    }
}

#[cfg(test)]
mod tests;
