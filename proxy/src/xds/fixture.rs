//! Envoy resources as the control plane sends them, for tests: whole and good; a test spoils what it is about.

mod cluster;
mod listener;
mod tls;

use prost::{Message, Name};
use weft_certs::{Authority, Lifetimes};
use weft_proto::envoy::core::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, DataSource, HealthStatus, Metadata,
    SocketAddress, address::Address as Of, config_source::ConfigSourceSpecifier, data_source,
    socket_address::PortSpecifier,
};
use weft_proto::envoy::discovery::Resource;
use weft_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
};
use weft_proto::envoy::route::route::Action;
use weft_proto::envoy::route::route_action::ClusterSpecifier;
use weft_proto::envoy::route::route_match::PathSpecifier;
use weft_proto::envoy::route::{
    RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use weft_proto::envoy::tls::{CertificateValidationContext, Secret, secret};
use weft_proto::google::{Any, Duration, Struct, UInt32Value, Value, value::Kind};
use weft_proto::names::{TRUST_BUNDLE_SECRET, metadata};
use weft_proto::origin::Origin;

use super::decode::Context;

pub(crate) use cluster::{cluster, peak_ewma, policy};
pub(crate) use listener::{
    chain, http_filter, http_listener, inbound, inbound_http, on_port, outbound, rds, tcp_filter,
};
pub(crate) use tls::{downstream, socket, upstream};

pub(crate) const PRODUCT: &str = "product.shop:8080";
pub(crate) const INBOUND: &str = "inbound/shop/product-v1";

pub(crate) fn context() -> Context {
    let trust_domain = "demo.local".parse().unwrap();
    Context { trust_domain, inbound_listener: INBOUND.to_owned() }
}

pub(crate) fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

pub(crate) fn resource<M: Message + Name>(name: &str, version: &str, message: &M) -> Resource {
    Resource {
        name: name.to_owned(),
        version: version.to_owned(),
        resource: Some(any(message)),
        ..Resource::default()
    }
}

pub(crate) fn origin() -> Origin {
    Origin {
        kind: "Service".to_owned(),
        namespace: "shop".to_owned(),
        name: "product".to_owned(),
        generation: 3,
        rule: String::new(),
    }
}

pub(crate) fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

pub(crate) fn fields<const N: usize>(fields: [(&str, &str); N]) -> Struct {
    Struct { fields: fields.map(|(key, value)| (key.to_owned(), text(value))).into() }
}

pub(crate) fn metadata<const N: usize>(parts: [(&str, Struct); N]) -> Option<Metadata> {
    let filter_metadata = parts.map(|(key, value)| (key.to_owned(), value)).into();
    Some(Metadata { filter_metadata, ..Metadata::default() })
}

pub(crate) fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(crate) fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

pub(super) fn ads() -> Option<ConfigSource> {
    Some(ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    })
}

pub(crate) fn address(ip: &str, port: u32) -> Option<Address> {
    Some(Address {
        address: Some(Of::SocketAddress(SocketAddress {
            address: ip.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(port)),
            ..SocketAddress::default()
        })),
    })
}

pub(crate) fn route(cluster: &str) -> Route {
    Route {
        name: "shop/product#0".to_owned(),
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        metadata: metadata([(metadata::SOURCE, origin().to_struct())]),
        action: Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
            timeout: seconds(0),
            retry_policy: Some(RetryPolicy {
                retry_on: "connect-failure,refused-stream".to_owned(),
                num_retries: number(2),
                ..RetryPolicy::default()
            }),
            ..RouteAction::default()
        })),
        ..Route::default()
    }
}

pub(crate) fn routes(routes: Vec<Route>) -> RouteConfiguration {
    let host = VirtualHost {
        name: "x".to_owned(),
        domains: vec!["*".to_owned()],
        routes,
        ..VirtualHost::default()
    };
    let name = PRODUCT.to_owned();
    RouteConfiguration { name, virtual_hosts: vec![host], ..RouteConfiguration::default() }
}

pub(crate) fn endpoint(ip: &str, identity: &str) -> LbEndpoint {
    let about = fields([("workload", "product-v1.shop"), ("identity", identity)]);
    let metadata = if identity.is_empty() {
        metadata([(metadata::ENDPOINT, about)])
    } else {
        let mesh = fields([("mesh", "true")]);
        metadata([(metadata::ENDPOINT, about), (metadata::TRANSPORT_SOCKET_MATCH, mesh)])
    };
    LbEndpoint {
        health_status: HealthStatus::Healthy as i32,
        load_balancing_weight: number(1),
        metadata,
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
            address: address(ip, 8080),
            ..Endpoint::default()
        })),
    }
}

pub(crate) fn endpoints(cluster: &str, lb_endpoints: Vec<LbEndpoint>) -> ClusterLoadAssignment {
    let group = LocalityLbEndpoints {
        load_balancing_weight: number(1),
        lb_endpoints,
        ..LocalityLbEndpoints::default()
    };
    let cluster_name = cluster.to_owned();
    ClusterLoadAssignment { cluster_name, endpoints: vec![group], ..Default::default() }
}

pub(crate) fn authority() -> Authority {
    let now = std::time::SystemTime::now();
    Authority::create(&"demo.local".parse().unwrap(), now, Lifetimes::default()).unwrap()
}

pub(crate) fn trust_bundle(pem: String) -> Secret {
    let specifier = Some(data_source::Specifier::InlineString(pem));
    let trusted_ca = Some(DataSource { specifier, ..DataSource::default() });
    Secret {
        name: TRUST_BUNDLE_SECRET.to_owned(),
        r#type: Some(secret::Type::ValidationContext(CertificateValidationContext {
            trusted_ca,
            ..Default::default()
        })),
    }
}
