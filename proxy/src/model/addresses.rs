//! Where applications find a Service port.

use std::net::SocketAddr;
use std::sync::Arc;

/// The addresses of one Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Its listener: `product.shop:8080`. Shared by all who keep it: a mesh has thousands.
    pub listener: Arc<str>,
    /// Of the Service: any endpoint is meant.
    pub service: Vec<SocketAddr>,
    /// Of endpoints: that very one is meant.
    pub endpoints: Vec<SocketAddr>,
}
