//! The mesh as it would be: what is proposed, in the place of what has its name.

use serde::Serialize;
use weft_proto::origin::Origin;

use crate::model::{AccessPolicy, InboundPolicy, Mesh, MeshConfig};
use crate::source::proposal::Proposed;

/// What would become of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// `AccessPolicy/shop/readers`.
    pub(crate) object: String,
    pub(crate) change: Kind,
    /// Workloads that it selects; of a `MeshConfig`, all.
    pub(crate) selects: usize,
}

/// See [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Added,
    Replaced,
    Deleted,
}

/// Puts an object into the mesh. `created`: when a new one would be, in seconds since the epoch.
pub(crate) fn apply(mesh: &mut Mesh, proposed: Proposed, created: i64) -> Change {
    match proposed {
        Proposed::Access(policy) => access(mesh, policy),
        Proposed::Inbound(policy) => inbound(mesh, policy, created),
        Proposed::Config(config) => {
            // A trust domain is for good.
            let trust_domain = mesh.config.trust_domain.clone();
            let kind = kind(mesh.config.origin != Origin::default());
            let object = config.origin.to_string();
            mesh.config = MeshConfig { trust_domain, ..*config };
            Change { object, change: kind, selects: mesh.workloads.len() }
        }
    }
}

fn kind(was_there: bool) -> Kind {
    if was_there { Kind::Replaced } else { Kind::Added }
}

fn access(mesh: &mut Mesh, policy: AccessPolicy) -> Change {
    let selects =
        selected(mesh, |workload, port| policy.applies_to(&workload.key, &workload.labels, port));
    let present = mesh.access_policies.iter().position(|one| is_same(&one.origin, &policy.origin));
    let (object, change) = (policy.origin.to_string(), kind(present.is_some()));
    match present {
        Some(at) => mesh.access_policies[at] = policy,
        None => mesh.access_policies.push(policy),
    }
    Change { object, change, selects }
}

fn inbound(mesh: &mut Mesh, mut policy: InboundPolicy, created: i64) -> Change {
    let selects =
        selected(mesh, |workload, port| policy.applies_to(&workload.key, &workload.labels, port));
    let present = mesh.inbound_policies.iter().position(|one| is_same(&one.origin, &policy.origin));
    let (object, change) = (policy.origin.to_string(), kind(present.is_some()));
    policy.created = match present {
        Some(at) => mesh.inbound_policies.remove(at).created,
        None => created,
    };
    mesh.inbound_policies.push(policy);
    mesh.inbound_policies.sort_by(|one, other| {
        let key = |policy: &InboundPolicy| {
            (policy.precedence(), policy.origin.namespace.clone(), policy.origin.name.clone())
        };
        key(one).cmp(&key(other))
    });
    Change { object, change, selects }
}

/// Takes an object out of the mesh: `AccessPolicy/shop/readers`.
///
/// # Errors
/// In words: it is no such name, or there is none.
pub(crate) fn delete(mesh: &mut Mesh, name: &str) -> Result<Change, String> {
    let origin = Origin::from_text(name).filter(|origin| origin.rule.is_empty());
    let origin = origin.ok_or_else(|| format!("{name:?} is not Kind/namespace/name"))?;
    let selects = match origin.kind.as_str() {
        "AccessPolicy" => {
            let at = mesh.access_policies.iter().position(|one| is_same(&one.origin, &origin));
            at.map(|at| mesh.access_policies.remove(at)).map(|policy| {
                selected(mesh, |one, port| policy.applies_to(&one.key, &one.labels, port))
            })
        }
        "InboundPolicy" => {
            let at = mesh.inbound_policies.iter().position(|one| is_same(&one.origin, &origin));
            at.map(|at| mesh.inbound_policies.remove(at)).map(|policy| {
                selected(mesh, |one, port| policy.applies_to(&one.key, &one.labels, port))
            })
        }
        "MeshConfig" => is_same(&mesh.config.origin, &origin).then(|| {
            let trust_domain = mesh.config.trust_domain.clone();
            mesh.config = MeshConfig { trust_domain, ..MeshConfig::default() };
            mesh.workloads.len()
        }),
        kind => {
            let kinds = "AccessPolicy, InboundPolicy or MeshConfig";
            return Err(format!("a {kind} says nothing of access: name an {kinds}"));
        }
    };
    let selects = selects.ok_or_else(|| format!("there is no {name} in force"))?;
    Ok(Change { object: name.to_owned(), change: Kind::Deleted, selects })
}

fn is_same(one: &Origin, other: &Origin) -> bool {
    (&one.kind, &one.namespace, &one.name) == (&other.kind, &other.namespace, &other.name)
}

/// Workloads of which a port is selected.
fn selected(mesh: &Mesh, selects: impl Fn(&crate::model::Workload, u16) -> bool) -> usize {
    let has_port = |workload: &&crate::model::Workload| {
        let ports = crate::translate::inbound_ports(workload, mesh);
        ports.into_keys().any(|port| selects(workload, port))
    };
    mesh.workloads.values().filter(has_port).count()
}

#[cfg(test)]
mod tests;
