//! The sidecar.

pub mod bootstrap;
pub mod control_channel;
pub mod error;
pub mod identity;
pub mod model;
pub mod telemetry;
pub mod xds;
