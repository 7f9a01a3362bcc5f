//! This workload's own certificate.

use weft_certs::{Leaf, TrustBundle};

/// What this workload proves itself with, and whom it believes.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Certificate and key. Valid when it was published.
    pub leaf: Leaf,
    /// Roots that peers' chains must lead to.
    pub bundle: TrustBundle,
    /// Counts changes of `bundle`: TLS sessions of another epoch must not be resumed.
    pub epoch: u64,
}
