//! `InboundPolicy` to [`model::InboundPolicy`](crate::model::InboundPolicy).

#[cfg(test)]
mod tests;

use crate::model::{InboundPolicy, Key, Origin};

use super::mesh_config::mode;
use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::policy::InboundPolicySpec;

/// A policy with what decides its precedence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InboundDraft {
    pub(crate) key: Key,
    pub(crate) created: i64,
    pub(crate) policy: InboundPolicy,
}

/// Bound: ports of one policy.
const MAX_PORTS: usize = 256;

/// Reads one.
pub(crate) fn read(spec: InboundPolicySpec, id: Identity, problems: &mut Problems) -> InboundDraft {
    if spec.selector.match_expressions.is_some() {
        let field = "spec.selector.matchExpressions";
        problems.unsupported(field, "only matchLabels is supported");
    }
    names::at_most(spec.ports.len(), MAX_PORTS, "spec.ports", problems);
    let mut ports = Vec::new();
    for (index, port) in spec.ports.iter().enumerate().take(MAX_PORTS) {
        ports.extend(names::port(*port, &format!("spec.ports[{index}]"), problems));
    }
    let policy = InboundPolicy {
        origin: Origin::default(),
        namespace: id.key.namespace.clone(),
        selector: spec.selector.match_labels,
        ports,
        mtls: mode(spec.mtls),
    };
    InboundDraft { key: id.key, created: id.created, policy }
}
