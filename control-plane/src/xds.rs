//! The xDS server: delta ADS for the proxies of the mesh.
//!
//! ```text
//! watch<Mesh>, watch<bundle> ─► Publisher ─ translate, check ─► Cache (change log per kind)
//!                                                                  │ watch<sequence>
//!                     proxies ◄── Server: one task a stream ◄──────┘
//!                                   └► Registry ─► admin `GET /v1/proxies`
//! ```
//!
//! `app` builds the four parts and mounts [`Server`] on the tonic router; TLS and the peer's identity
//! ([`crate::peer::AuthenticatedPeer`]) come from the listener in front of it.

mod cache;
mod publisher;
mod registry;
mod server;

pub use cache::Cache;
pub use publisher::Publisher;
pub use registry::{ProxyStatus, Registry, Rejection, TypeStatus};
pub use server::{Limits, Server};
