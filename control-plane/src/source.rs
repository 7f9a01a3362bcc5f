//! Sources: where the mesh's configuration comes from. Each one yields `watch` channels with the model and
//! the findings; `translate` and the admin endpoints read those and know nothing of files.
//!
//! ```text
//! directory ─ files ─► yaml ─► document ─► store ─────► assemble ─► Mesh, findings
//!  (watches)          (lines)  (one object, (last good   (between
//!                               by its kind) per object)  objects)
//! kubernetes ─ objects of the API server ─► document ─► objects ─► assemble ─► Mesh, findings
//! ```
//!
//! A broken object must never take down a good one, and nothing that was written may be dropped without a
//! finding that says so. Only `directory` and `kubernetes` touch
//! files, sockets, clocks and tasks; the rest is pure.

mod access_policy;
mod annotations;
mod assemble;
mod directory;
mod document;
mod duration;
mod grpc_route;
mod http_route;
mod inbound_policy;
mod kubernetes;
mod mesh_config;
mod metadata;
mod names;
mod object;
mod problem;
pub(crate) mod proposal;
mod route;
pub(crate) mod schema;
mod service;
mod stand_in;
mod store;
mod telemetry_policy;
#[cfg(test)]
mod testing;
mod traffic_policy;
mod workload;
mod yaml;
mod yielded;

use std::time::SystemTime;

pub use directory::{DirectorySource, SourceError, analyze_directory, analyze_paths};
pub(crate) use kubernetes::{KubernetesSource, RawObjects};

use crate::finding::Finding;
use crate::model::Mesh;

use store::{Reading, Store};

/// Reads a set of files (`(path, text)`) as one configuration, with no history: what is broken is left out.
/// The same reading and checks as the directory source's; tests call it.
#[must_use]
pub fn analyze<P: AsRef<str>, T: AsRef<str>>(files: &[(P, T)]) -> (Mesh, Vec<Finding>) {
    let reading =
        |(path, text): &(P, T)| (path.as_ref().to_owned(), Reading::Text(text.as_ref().to_owned()));
    let mut store = Store::default();
    store.apply(files.iter().map(reading).collect(), &[], SystemTime::UNIX_EPOCH);
    store.mesh()
}
