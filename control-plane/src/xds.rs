//! The xDS server: delta ADS for the proxies of the mesh.
//!
//! ```text
//! watch<Mesh>, watch<bundle> ─► Publisher ─ translate, check ─► Cache (a change log per kind)
//!                                                                  │ watch<generation>
//!                     proxies ◄── Server: one task a stream ◄──────┘
//!                                   └► Registry ─► admin `GET /v1/proxies`
//! ```
//!
//! `app` builds the four parts and mounts [`Server`] on the tonic router; TLS and the peer's identity
//! ([`crate::peer::AuthenticatedPeer`]) come from the listener in front of it. Reading order: `log` and
//! `cache` (what there is), `subscription` (what one proxy wants of one kind), `session` (in which order it
//! gets it), all three pure; `stream`, `body` and `server` are the I/O around them.

mod body;
mod cache;
mod log;
mod node;
mod publisher;
mod registry;
mod server;
mod session;
mod stream;
mod subscription;

pub use cache::{Applied, Cache};
pub use log::Changes;
pub use publisher::Publisher;
pub use registry::{ProxyStatus, Registry, Rejection, TypeStatus};
pub use server::{Limits, Server};

/// The longest beginning of `text` that has at most `bytes` bytes.
fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
