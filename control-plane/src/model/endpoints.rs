//! The workloads of many Services at once: an index by label, so that a mesh of thousands is not walked
//! once for each Service.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::{Key, Mesh, Service, Workload};

/// Built from one [`Mesh`] and good for that one.
#[derive(Debug)]
pub struct EndpointIndex<'a> {
    /// By namespace, label and value; each list in key order.
    by_label: HashMap<[&'a str; 3], Vec<(&'a Key, &'a Workload)>>,
}

impl Mesh {
    /// An index for [`EndpointIndex::of`]; worth making where more than a few Services are looked at.
    #[must_use]
    pub fn endpoint_index(&self) -> EndpointIndex<'_> {
        let mut by_label: HashMap<_, Vec<_>> = HashMap::new();
        for (key, workload) in &self.workloads {
            for (label, value) in &workload.labels {
                let place = [key.namespace.as_str(), label.as_str(), value.as_str()];
                by_label.entry(place).or_default().push((key, workload));
            }
        }
        EndpointIndex { by_label }
    }
}

impl<'a> EndpointIndex<'a> {
    /// The same as [`Mesh::endpoints_of`].
    pub fn of<'s>(
        &'s self,
        service: &'s Service,
    ) -> impl Iterator<Item = (&'a Key, &'a Workload)> + 's {
        let namespace = service.key.namespace.as_str();
        let with = |(label, value): (&'s String, &'s String)| {
            self.by_label
                .get(&[namespace, label.as_str(), value.as_str()])
                .map_or(&[][..], Vec::as_slice)
        };
        // The rarest label leaves the fewest workloads to compare.
        let candidates = service.selector.iter().map(with).min_by_key(|list| list.len());
        let selected = |(_, workload): &(&Key, &Workload)| service.selects(&workload.labels);
        candidates.unwrap_or_default().iter().copied().filter(selected)
    }
}
