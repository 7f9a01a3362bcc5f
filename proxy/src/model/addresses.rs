//! Where applications find a Service port.

use std::net::SocketAddr;

/// The addresses of one Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Its listener: `product.shop:8080`.
    pub listener: String,
    /// Of the Service: any endpoint is meant.
    pub service: Vec<SocketAddr>,
    /// Of endpoints: that very one is meant.
    pub endpoints: Vec<SocketAddr>,
}
