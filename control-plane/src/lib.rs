//! The control plane of Weft: reads what users write, tells the proxies, and issues their certificates.
//!
//! # Three rings
//!
//! ```text
//!   outside             inside                                   outside
//!   ┌──────────┐        ┌───────┐        ┌───────────┐        ┌───────┐
//!   │ source/* │ ─────► │ model │ ─────► │ translate │ ─────► │  xds  │ ══► proxies (delta ADS)
//!   └──────────┘  watch │ Mesh  │  watch └───────────┘        └───────┘
//!  files, API server    └───────┘         pure functions       streams
//!                           │
//!                           ├──────────► ca ═══════════════════════════► proxies (weft.identity.v1)
//!                           ├──────────► telemetry ◄════════════════════ proxies (weft.telemetry.v1)
//!                           ├──────────► admin ◄──── weft, scripts, Prometheus (Unix socket)
//!                           └──────────► status ═════════════════════► API server     (in a cluster,
//!                                        webhook ◄════════════════════ API server      with `injection`)
//! ```
//!
//! A source turns what users wrote into one [`model::Mesh`], a whole and consistent version of everything, and
//! puts it into a `watch` channel. Everybody else reads that channel. The gRPC services share one TLS
//! port (`server`); the admin socket is a file.
//!
//! # Reading order
//!
//! 1. [`model`]: the mesh in our own words.
//! 2. [`app`]: which parts there are and how they hang together; the one place where anything is built.
//! 3. [`source`] and [`finding`]: from files to a mesh, and what is said about the bad ones.
//! 4. [`translate`], then [`xds`]: from a mesh to resources, and who gets which.
//! 5. `server` and [`peer`]: the port, and how a request comes to have an authenticated sender.
//! 6. `ca`: from a join token, a service account's token or a certificate to the next certificate.
//! 7. `telemetry`: from the sidecars' reports to `weft stat`.
//! 8. `trust`: how the mesh's roots change, and whether everybody is ready for it.
//! 9. `admin`: what people and programs may ask; `access`: who can reach what, and what a policy would do; `policies`: what is in
//!    force at a workload; `requests`: what went wrong lately, and what the model says of it.
//! 10. [`injection`], then [`webhook`]: from a pod to a pod with a sidecar, and how the API server comes to ask.
//! 11. [`crd`]: our kinds as Kubernetes is told of them, made from the types that sources read.
//! 12. [`status`]: on Kubernetes, what is written back about the objects.
//!
//! # Invariants
//!
//! - The model knows nobody: no file, no protobuf, no socket, no clock. Sources know the model and findings;
//!   `translate` knows the model and Envoy's types; neither knows the other.
//! - Who a caller is follows from the TLS handshake and from nothing that it says ([`peer::AuthenticatedPeer`]);
//!   it is looked at again for each request. What it may see or ask follows from that identity.
//! - A broken file, object, report or request costs itself and nothing else. What is dropped is counted or shown.
//! - Private keys do not travel, tokens are not stored, and neither reaches a log. In a cluster the CA's keys lie in a
//!   Secret that the replicas share; nothing else is kept anywhere.
//! - Everything that a proxy can make grow has a bound, stated where it grows.
//! - What is done for the whole mesh is done a fifth of the time at most, however often the mesh changes (`throttle`).
//! - The environment is read in [`config`] only; the time comes from a [`clock::Clock`].
//! - Telemetry decides nothing: it is what others say they measured. Two words in it have a consequence: that a workload
//!   is leaving, and which roots its sidecar has to do with.

pub mod app;
pub mod clock;
pub mod config;
pub mod crd;
pub mod finding;
pub mod injection;
pub mod model;
pub mod peer;
pub mod source;
pub mod status;
pub mod translate;
pub mod webhook;
pub mod xds;

mod access;
mod admin;
mod ca;
mod histogram;
mod log;
mod outage;
mod policies;
mod program;
mod relay;
mod requests;
mod server;
mod share;
mod tap;
mod telemetry;
#[cfg(test)]
mod testing;
mod throttle;
mod trust;

pub use program::main;
