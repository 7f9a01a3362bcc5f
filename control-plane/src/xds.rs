//! The xDS server: delta ADS for the proxies of the mesh.
//!
//! ```text
//! watch<Mesh>, watch<bundle> ─► Publisher ─ translate, check ─► Cache (a change log per kind)
//!                                                                  │ watch<generation>
//!                     proxies ◄── Server: one task a stream ◄──────┘
//!                                   └► Registry ─► admin `GET /v1/proxies`
//!                                        └► Receipts (with `objects`: what is made from what) ─► status
//! ```
//!
//! `app` builds the four parts and mounts [`Server`] on the tonic router; TLS and the peer's identity
//! ([`crate::peer::AuthenticatedPeer`]) come from the listener in front of it. Reading order: `log` and
//! `cache` (what there is), `subscription` (what one proxy wants of one kind), `session` (in which order it
//! gets it), all three pure; `stream`, `body` and `server` are the I/O around them.
//!
//! # Pitfalls
//!
//! Met with real Envoys; the code refers to them by number and each has a test of that name.
//!
//! 1. A known EDS cluster that is sent again waits for its endpoints again, and the proxy does not ask for
//!    them: they are sent along, changed or not.
//! 2. A cluster that warms up withholds the ACK of all clusters: endpoints and secrets never wait for it,
//!    and every subscription is answered, with an empty assignment or a removal if need be.
//! 3. Removals of endpoints, routes and secrets are acknowledged and ignored: an empty assignment drains.
//! 4. An empty first request for clusters or listeners means all of them and is owed an answer even if
//!    there are none; the node comes with a stream's first request only, of whatever kind.
//! 5. A reconnecting proxy asks for endpoints, secrets, listeners and routes before clusters. Versions are
//!    hashes of content, so it is sent nothing that it has.
//! 6. Map fields encode in random order: the content is hashed, not the bytes.
//! 7. A listener is acknowledged before its routes are there: those are never held back from one that asks.
//! 8. Nonces are unique on a stream. One response of a kind in flight makes many changes one response. A
//!    refused version is not sent again.

mod body;
mod cache;
mod log;
mod node;
mod objects;
mod publisher;
mod receipts;
mod registry;
mod server;
mod session;
mod stream;
mod subscription;

pub use cache::{Applied, Cache};
pub use log::Changes;
pub use publisher::{Published, Publisher};
pub(crate) use receipts::MAX_NAMED;
pub use receipts::{Absence, Missing, Receipt, Receipts, Refusal};
pub use registry::{ProxyStatus, Registry, Rejection, TypeStatus};
pub use server::{Limits, Server};

/// The longest beginning of `text` that has at most `bytes` bytes.
fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
