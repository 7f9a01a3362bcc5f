//! The wire contracts of Weft: its own gRPC services, and the Envoy v3 types that the two planes exchange.
//!
//! Both planes depend on this crate and on nothing else in common but `weft-certs`. It holds generated
//! code, short names for it, and the few words on which both sides must agree to the letter: resource
//! names ([`names`]), metadata ([`origin`]), ALPN protocols ([`alpn`]) and latency buckets ([`latency`]).
//! It must never hold behaviour: the proxy decodes into its own model, the control plane encodes from its
//! own, and neither lets these types travel inward.

pub mod alpn;
pub mod latency;
pub mod names;
pub mod origin;

/// `weft.identity.v1`: certificates for workloads.
#[allow(warnings, reason = "generated")]
pub mod identity {
    tonic::include_proto!("weft.identity.v1");
}

/// `weft.telemetry.v1`: golden metrics from the proxies.
#[allow(warnings, reason = "generated")]
pub mod telemetry {
    tonic::include_proto!("weft.telemetry.v1");
}

/// `weft.status.v1`: receipts, between replicas of the control plane.
#[allow(warnings, reason = "generated")]
pub mod status {
    tonic::include_proto!("weft.status.v1");
}

/// `weft.trust.v1`: sidecars' roots, between replicas of the control plane.
#[allow(warnings, reason = "generated")]
pub mod trust {
    tonic::include_proto!("weft.trust.v1");
}

/// `weft.config.v1`: typed extensions of Envoy's API.
#[allow(warnings, reason = "generated")]
pub mod config {
    tonic::include_proto!("weft.config.v1");
}

/// The part of Envoy's v3 API that Weft speaks, under short names.
pub mod envoy {
    pub use envoy_types::pb::envoy::config::cluster::v3 as cluster;
    pub use envoy_types::pb::envoy::config::core::v3 as core;
    pub use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
    pub use envoy_types::pb::envoy::config::listener::v3 as listener;
    pub use envoy_types::pb::envoy::config::rbac::v3 as rbac;
    pub use envoy_types::pb::envoy::config::route::v3 as route;
    pub use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as ratelimit;
    pub use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3 as local_ratelimit;
    pub use envoy_types::pb::envoy::extensions::filters::http::rbac::v3 as http_rbac;
    pub use envoy_types::pb::envoy::extensions::filters::http::router::v3 as router;
    pub use envoy_types::pb::envoy::extensions::filters::http::stateful_session::v3 as stateful_session;
    pub use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3 as http_inspector;
    pub use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3 as tls_inspector;
    pub use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
    pub use envoy_types::pb::envoy::extensions::filters::network::rbac::v3 as network_rbac;
    pub use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp_proxy;
    pub use envoy_types::pb::envoy::extensions::http::stateful_session::cookie::v3 as session_cookie;
    pub use envoy_types::pb::envoy::extensions::load_balancing_policies as lb;
    pub use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3 as uri_template;
    pub use envoy_types::pb::envoy::extensions::rate_limit_descriptors::expr::v3 as rate_limit_expression;
    pub use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3 as previous_hosts;
    pub use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3 as raw_buffer;
    pub use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
    pub use envoy_types::pb::envoy::extensions::upstreams::http::v3 as http_options;
    pub use envoy_types::pb::envoy::service::discovery::v3 as discovery;
    pub use envoy_types::pb::envoy::r#type::http::v3 as http_types;
    pub use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
    pub use envoy_types::pb::envoy::r#type::v3 as types;
}

/// Google's well-known types as Envoy's API uses them.
pub mod google {
    pub use envoy_types::pb::google::protobuf::*;
    pub use envoy_types::pb::google::rpc::Status;
}
