//! The status of routes and policies on Kubernetes: is it in force, and how many proxies run it.
//!
//! ```text
//! objects, findings, mesh ─┐
//! receipts (xds) ──────────┴► desired (pure) ─► writer ─► API server
//!      └ replicas: all of them as one              ▲
//!                             lease: one replica writes
//! ```
//! `app` builds [`Lease`], [`StatusWriter`] and what replicas ask each other where the source is Kubernetes. Nothing that decides reads a status:
//! losing one costs nobody a request.

mod desired;
mod lease;
mod pace;
mod replicas;
mod writer;

pub use lease::Lease;
pub(crate) use replicas::{AskError, Own, ReceiptsService, Replicas};
pub use writer::{Inputs, Objects, StatusWriter};
