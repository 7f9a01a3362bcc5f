//! The control plane of Weft: reads what users write, tells the proxies, and issues their certificates.

pub mod finding;
pub mod model;
pub mod peer;
pub mod source;
pub mod translate;
pub mod xds;
