//! Which endpoints come first: a pure decision over where they are and whether they are about to go.
//!
//! The proxy decides it itself, from the localities that the control plane sends with the endpoints and from its own, in
//! the bootstrap file or with its inbound listener: so there is one ClusterLoadAssignment for all callers, and not one for each zone. A real Envoy,
//! which has no place of its own without a local cluster, takes all localities alike.
//!
//! Who is draining is in no priority: it leaves in order, and counts neither as usable nor as failed. If nobody else is
//! left it is used like any other, because it still serves.

use crate::model::{Locality, PlacedEndpoint};

/// Numbers of endpoints by priority, nearest first, none of them empty unless all are. `own` is `None` if it does not
/// matter how near they are.
pub(super) fn priorities(placed: &[PlacedEndpoint], own: Option<&Locality>) -> Vec<Vec<usize>> {
    let all_go = placed.iter().all(|endpoint| endpoint.draining);
    let mut priorities = vec![Vec::new(); super::spill::MOST];
    for (number, endpoint) in placed.iter().enumerate() {
        if all_go || !endpoint.draining {
            priorities[own.map_or(0, |own| own.distance(&endpoint.locality))].push(number);
        }
    }
    priorities.retain(|members| !members.is_empty());
    if priorities.is_empty() {
        priorities.push(Vec::new());
    }
    priorities
}

#[cfg(test)]
mod tests;
