//! The status of routes and policies on Kubernetes: is it in force, and how many proxies run it.
//!
//! ```text
//! objects, findings, mesh ─┐
//! receipts (xds) ──────────┴► desired (pure) ─► writer ─► API server
//!                                                  ▲
//!                             lease: one replica writes
//! ```
//! `app` builds [`Lease`] and [`StatusWriter`] where the source is Kubernetes. Nothing that decides reads a status:
//! losing one costs nobody a request.

mod desired;
mod lease;
mod pace;
mod writer;

pub use lease::Lease;
pub use writer::{Inputs, Objects, StatusWriter};
