//! The workloads behind Services: those that the source lists, else those that the selector selects. An index by
//! label, so that a mesh of thousands is not walked once for each Service.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::{Key, Mesh, Service, ServicePort, Workload};

/// Built from one [`Mesh`] and good for that one.
#[derive(Debug)]
pub struct EndpointIndex<'a> {
    mesh: &'a Mesh,
    /// By namespace, label and value; each list in key order.
    by_label: HashMap<[&'a str; 3], Vec<&'a Workload>>,
}

/// One workload behind one port of a Service.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// Its port number.
    pub port: u16,
    /// It still answers, but is about to go.
    pub draining: bool,
}

impl Mesh {
    /// An index of this mesh.
    #[must_use]
    pub fn endpoint_index(&self) -> EndpointIndex<'_> {
        let mut by_label: HashMap<_, Vec<_>> = HashMap::new();
        for (key, workload) in &self.workloads {
            for (label, value) in &workload.labels {
                let place = [key.namespace.as_str(), label.as_str(), value.as_str()];
                by_label.entry(place).or_default().push(workload);
            }
        }
        EndpointIndex { mesh: self, by_label }
    }

    /// The workloads behind one Service, in key order; for many Services see [`Mesh::endpoint_index`].
    #[must_use]
    pub fn workloads_of<'a>(&'a self, service: &'a Service) -> Vec<&'a Workload> {
        if let Some(listed) = &service.listed {
            return listed.iter().filter_map(|one| self.workloads.get(&one.workload)).collect();
        }
        let first = Key::new(service.key.namespace.as_str(), "");
        let of_namespace = self.workloads.range(first..);
        let of_namespace =
            of_namespace.take_while(|(key, _)| key.namespace == service.key.namespace);
        let selected = of_namespace.filter(|(_, workload)| service.selects(&workload.labels));
        selected.map(|(_, workload)| workload).collect()
    }
}

impl<'a> EndpointIndex<'a> {
    /// The same as [`Mesh::workloads_of`].
    #[must_use]
    pub fn workloads_of(&self, service: &'a Service) -> Vec<&'a Workload> {
        if service.listed.is_some() {
            return self.mesh.workloads_of(service);
        }
        let namespace = service.key.namespace.as_str();
        let labels = service.selector.iter();
        let candidates = labels.map(|(label, value)| {
            let place = [namespace, label.as_str(), value.as_str()];
            self.by_label.get(&place).map_or(&[][..], Vec::as_slice)
        });
        // The rarest label leaves the fewest workloads to compare.
        let candidates = candidates.min_by_key(|list| list.len());
        let selected = |workload: &&Workload| service.selects(&workload.labels);
        candidates.unwrap_or_default().iter().copied().filter(selected).collect()
    }

    /// The endpoints of one port of a Service, in key order. A workload without the port that the Service names by
    /// name is none.
    #[must_use]
    pub fn endpoints_of(&self, service: &'a Service, port: &ServicePort) -> Vec<Endpoint<'a>> {
        let Some(listed) = &service.listed else {
            let workloads = self.workloads_of(service).into_iter();
            let resolved = workloads.filter_map(|workload| {
                let number = workload.resolve(&port.target)?;
                Some(Endpoint { workload, port: number, draining: workload.draining })
            });
            return resolved.collect();
        };
        let resolved = listed.iter().filter_map(|one| {
            let workload = self.mesh.workloads.get(&one.workload)?;
            let number = *one.ports.get(&port.name)?;
            let draining = one.draining || workload.draining;
            Some(Endpoint { workload, port: number, draining })
        });
        resolved.collect()
    }
}
