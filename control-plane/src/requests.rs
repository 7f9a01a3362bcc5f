//! Requests that failed or were slow, as their sidecars remember them, and what the model says of one: the facts that
//! `weft why` decides by. Called by `admin`; changes nothing, keeps nothing, decides nothing.
//!
//! `gather` asks the sidecars, `entry` is what they say as JSON, `names` finds what a person means by a name, `lookup` puts
//! together what the model says of one call: route (`routes`), backends, doors.

mod entry;
mod gather;
mod lookup;
mod names;
mod routes;

pub(crate) use entry::Entry;
pub(crate) use gather::{Gathering, RequestQuery, identity};
pub(crate) use lookup::{LookupQuery, Sidecar, look_up};

use crate::model::{Key, Mesh};

/// The Service that a person means by a name, as sidecars name it: `payment.shop`, with a port if one is named.
///
/// # Errors
/// In words: there is none, or it may be one of several.
pub(crate) fn service(mesh: &Mesh, name: &str) -> Result<String, String> {
    let written = names::Written::read(name)?;
    let found = written.service(mesh, None)?.ok_or_else(|| {
        let all = mesh.services.keys();
        let all = all.map(|key| weft_proto::names::workload(&key.name, &key.namespace));
        format!("there is no Service {name}; there are {}", names::offered(all))
    })?;
    let host = weft_proto::names::workload(&found.key.name, &found.key.namespace);
    Ok(written.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// The workloads that a person means by a name.
///
/// # Errors
/// In words: there is none.
pub(crate) fn workloads(mesh: &Mesh, name: &str) -> Result<Vec<Key>, String> {
    let found = names::Written::read(name)?.workloads(mesh)?;
    Ok(found.into_iter().map(|workload| workload.key.clone()).collect())
}
