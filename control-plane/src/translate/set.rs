//! A [`ResourceSet`]: everything that one version of the mesh says to its proxies.
//!
//! Made by [`super::translate`], checked here, applied by `xds::Cache`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use weft_certs::DenyList;

use super::{Reference, Resource, ResourceType};
use crate::model::Key;

/// What a proxy must prove to be the node that it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its workload.
    pub workload: Key,
    /// The SPIFFE id that its certificate must carry.
    pub identity: String,
}

/// All resources of one version of the mesh, and who may come for them.
#[derive(Clone, Debug, Default)]
pub struct ResourceSet {
    resources: [BTreeMap<Arc<str>, Arc<Resource>>; ResourceType::ALL.len()],
    nodes: BTreeMap<String, Node>,
    denied: Arc<DenyList>,
}

/// A resource that mentions another one which is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// Kind of the resource that mentions it.
    pub kind: ResourceType,
    /// Its name.
    pub name: Arc<str>,
    /// What is missing.
    pub missing: Reference,
}

impl fmt::Display for Dangling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, missing } = self;
        write!(f, "{kind:?} {name} refers to {:?} {}, which is missing", missing.kind, missing.name)
    }
}

impl ResourceSet {
    /// Adds a resource; one of the same kind and name, for the same proxies, is replaced.
    pub fn insert(&mut self, resource: Resource) {
        self.resources[resource.kind as usize].insert(resource.slot.clone(), Arc::new(resource));
    }

    /// Nobody on this list may come, whoever else he is.
    pub fn deny(&mut self, list: DenyList) {
        self.denied = Arc::new(list);
    }

    /// Who may not come.
    pub(crate) fn denied(&self) -> &Arc<DenyList> {
        &self.denied
    }

    /// Adds a node under its `Node.id`.
    pub fn insert_node(&mut self, id: String, node: Node) {
        self.nodes.insert(id, node);
    }

    /// One resource, as it is seen where there is no variant of it.
    #[must_use]
    pub fn get(&self, kind: ResourceType, name: &str) -> Option<&Arc<Resource>> {
        self.resources[kind as usize].get(name)
    }

    /// The resources of one kind, by name, each before its variants.
    pub fn all(&self, kind: ResourceType) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources[kind as usize].values()
    }

    /// The resources of one kind by what tells them apart.
    pub(crate) fn of(&self, kind: ResourceType) -> &BTreeMap<Arc<str>, Arc<Resource>> {
        &self.resources[kind as usize]
    }

    /// Every node by its `Node.id`.
    pub(crate) fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.nodes
    }

    /// The node with this `Node.id` (`product-v1.shop`).
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Does every reference resolve inside the set, for everybody who may see it? A set that fails is
    /// never sent: a proxy would wait for the missing part.
    ///
    /// # Errors
    /// Every reference that does not.
    pub fn check(&self) -> Result<(), Vec<Dangling>> {
        let dangling: Vec<_> = ResourceType::ALL
            .into_iter()
            .flat_map(|kind| self.all(kind))
            .flat_map(|resource| resource.references.iter().map(move |wanted| (resource, wanted)))
            .filter(|(_, wanted)| self.get(wanted.kind, &wanted.name).is_none())
            .map(|(resource, missing)| Dangling {
                kind: resource.kind,
                name: resource.name.clone(),
                missing: missing.clone(),
            })
            .collect();
        if dangling.is_empty() { Ok(()) } else { Err(dangling) }
    }
}
