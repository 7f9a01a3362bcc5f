//! A request's end as the tests of all parts use it, and the record as a whole.

use std::time::Duration;

use http::{Method, Version};

use super::RequestEnd;
use super::metrics::Direction;

/// A good one; tests change what they are about.
pub(crate) fn end() -> RequestEnd<'static> {
    RequestEnd {
        direction: Direction::Outbound,
        method: &Method::GET,
        path: "/products/7",
        host: "product.shop:8080",
        version: Version::HTTP_11,
        status: 200,
        grpc: false,
        grpc_status: None,
        error: None,
        duration: Duration::from_micros(1_500),
        attempts: 1,
        connect: Some(Duration::from_micros(250)),
        first_byte: Some(Duration::from_micros(1_250)),
        fallback: false,
        http_route: Some("/products"),
        route: "HTTPRoute/shop/web#0",
        service: "product.shop:8080",
        peer_identity: "spiffe://demo.local/ns/shop/sa/product",
        peer_address: Some(([127, 66, 0, 4], 8080).into()),
        mtls: true,
        request_bytes: 0,
        response_bytes: 42,
        request_id: "given",
        denial: None,
        started: tokio::time::Instant::now(),
        story: None,
    }
}
