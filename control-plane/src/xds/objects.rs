//! Which resources are made from an object, and since when they hold its present generation: what receipts are read
//! by. A pure value; [`super::Cache`] makes it anew with every set of resources.

use std::collections::HashMap;
use std::sync::Arc;

use super::log::Log;
use crate::model::ObjectKey;
use crate::translate::{Resource, ResourceSet, ResourceType};

/// One resource that is made from an object.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// As it stands in the log.
    pub(crate) resource: Arc<Resource>,
    /// Generation of the object in it.
    pub(crate) generation: u64,
    /// Position in the log from which on it is so. Later changes for other reasons do not move it.
    pub(crate) since: u64,
}

/// The resources by object. Bound: one entry for each resource and object in it, about 24 bytes.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Of each object in the order of kind and slot.
    by_object: HashMap<ObjectKey, Vec<Part>>,
}

impl Index {
    /// The resources that are made from this object.
    pub(crate) fn parts(&self, object: &ObjectKey) -> Vec<Part> {
        self.by_object.get(object).cloned().unwrap_or_default()
    }

    /// Takes in a set that `logs` hold already.
    pub(crate) fn rebuild(&mut self, set: &ResourceSet, logs: &[Log; ResourceType::ALL.len()]) {
        let mut next: HashMap<ObjectKey, Vec<Part>> = HashMap::new();
        for kind in ResourceType::ALL {
            let log = &logs[kind as usize];
            for (slot, made) in set.of(kind) {
                // The log's own copy, which may be an older one of equal content: the other is let go.
                let (Some(resource), Some(at)) = (log.get(slot), log.position(slot)) else {
                    continue;
                };
                for origin in &made.origins {
                    let (object, generation) = (origin.object(), origin.generation);
                    let since = self.since(&object, resource, generation).unwrap_or(at);
                    let part = Part { resource: resource.clone(), generation, since };
                    next.entry(object).or_default().push(part);
                }
            }
        }
        self.by_object = next;
    }

    /// Since when the resource holds that generation, if it did before.
    fn since(&self, object: &ObjectKey, resource: &Resource, generation: u64) -> Option<u64> {
        let parts = self.by_object.get(object)?;
        let place = |part: &Part| (part.resource.kind, part.resource.slot.clone());
        let wanted = (resource.kind, resource.slot.clone());
        let found = parts.binary_search_by_key(&wanted, place).ok()?;
        let part = &parts[found];
        (part.generation == generation).then_some(part.since)
    }
}
