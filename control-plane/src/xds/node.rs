//! Who a stream speaks for: the node that the first request names, held against the identity that TLS
//! proved. What a proxy may see follows from the latter.

use tonic::Status;
use weft_proto::envoy::core::{Node as Claimed, node::UserAgentVersionType};

use super::cache::State;
use crate::peer::{self, AuthenticatedPeer};
use crate::translate::Node;

/// Bound on texts that a proxy says of itself, bytes.
const TEXT: usize = 128;

/// The node of that id if this peer may speak for it.
///
/// # Errors
/// `PERMISSION_DENIED`, with the reason in words.
pub(crate) fn authorize(
    id: &str,
    peer: &AuthenticatedPeer,
    state: &State,
) -> Result<Node, Box<Status>> {
    let id = clip(id);
    if let Some(denial) = state.denied().peer(&peer.id, &peer.serial) {
        return Err(Box::new(peer::denied(&denial)));
    }
    let peer = &peer.id;
    let denied = |reason: String| Err(Box::new(Status::permission_denied(reason)));
    match state.node(id) {
        None => denied(format!(
            "there is no workload {id} in this mesh; Node.id is <MeshWorkload>.<namespace>"
        )),
        Some(node) if node.identity != peer.as_str() => denied(format!(
            "workload {id} is {}, but the certificate presented is of {peer}",
            node.identity
        )),
        Some(node) => Ok(node.clone()),
    }
}

/// `weft-proxy/0.1.0`, `envoy/1.40.0`: as the proxy says.
pub(crate) fn user_agent(claimed: &Claimed) -> String {
    let version = match &claimed.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentVersion(version)) => version.clone(),
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => {
            build.version.as_ref().map_or_else(String::new, |version| {
                let (major, minor) = (version.major_number, version.minor_number);
                format!("{major}.{minor}.{}", version.patch)
            })
        }
        None => String::new(),
    };
    let text = format!("{}/{version}", claimed.user_agent_name);
    clip(text.trim_end_matches('/')).to_owned()
}

fn clip(text: &str) -> &str {
    super::clip(text, TEXT)
}

#[cfg(test)]
mod tests;
