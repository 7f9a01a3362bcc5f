//! From the model to xDS: `(&Mesh, trust bundle) -> ResourceSet`, a pure function.
//!
//! Called by `xds::Publisher` for every new version of the mesh. No I/O, no clock, no randomness: the
//! same mesh makes the same names and versions in every process.

mod resource;
mod set;

pub use resource::{Reference, Resource, ResourceType, Version, Visibility};
pub use set::{Dangling, Node, ResourceSet};

use crate::model::Mesh;

/// Everything that one version of the mesh says to its proxies. `trust_bundle` is PEM: the certificates
/// that peers are verified against.
#[must_use]
pub fn translate(mesh: &Mesh, trust_bundle: &str) -> ResourceSet {
    let _ = (mesh, trust_bundle);
    ResourceSet::default()
}
