//! The sidecar.

pub mod error;
pub mod model;
pub mod telemetry;
