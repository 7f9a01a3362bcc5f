//! Outbound listeners by protocol.

use prost::Message as _;
use weft_proto::envoy::hcm::HttpConnectionManager;
use weft_proto::envoy::hcm::http_connection_manager::RouteSpecifier;
use weft_proto::envoy::hcm::http_filter::ConfigType;
use weft_proto::envoy::session_cookie::CookieBasedSessionState;
use weft_proto::envoy::stateful_session::StatefulSession;
use weft_proto::envoy::tcp_proxy::{TcpProxy, tcp_proxy::ClusterSpecifier};

use super::super::fixture::{BUNDLE, key, shop};
use super::super::tests::{decoded, filter};
use super::super::{ResourceType, translate};
use super::*;
use crate::model::{HttpLimits, SessionAffinity, TrafficPolicy};

fn listener(name: &str) -> Listener {
    decoded(&translate(&shop(), BUNDLE), ResourceType::Listener, name)
}

#[test]
fn http() {
    let listener = listener("product.shop:8080");
    assert_eq!(listener.traffic_direction(), TrafficDirection::Outbound);
    assert_eq!(listener.bind_to_port, Some(boolean(false)));
    assert!(listener.listener_filters.is_empty() && listener.default_filter_chain.is_none());
    let [chain] = &listener.filter_chains[..] else { panic!() };
    assert_eq!(chain.filter_chain_match, None);
    let ("HttpConnectionManager", config) = filter(chain) else { panic!() };
    let manager = HttpConnectionManager::decode(config).unwrap();
    let Some(RouteSpecifier::Rds(rds)) = manager.route_specifier else { panic!() };
    assert_eq!(rds.route_config_name, "product.shop:8080");
    // Envoy would forward the host without its port.
    assert_eq!(manager.strip_port_mode, None);
    assert_eq!(manager.tracing.unwrap().random_sampling.unwrap().value, 10.0);
    assert_eq!(manager.upgrade_configs[0].upgrade_type, "websocket");
    assert_eq!(manager.normalize_path, Some(boolean(true)));
    assert!(manager.merge_slashes, "paths have one form");
    let http1 = manager.http_protocol_options.unwrap();
    assert!(http1.accept_http_10 && http1.enable_trailers);
    assert_eq!(http1.default_host_for_http_10, "product.shop:8080");
    assert_eq!(manager.http_filters.len(), 1);
}

#[test]
fn a_session_is_a_filter_before_the_router() {
    let mut mesh = shop();
    let ttl = Some(Duration::from_secs(60));
    let affinity = SessionAffinity { cookie: "sid".into(), path: "/a".into(), ttl };
    let policy = TrafficPolicy { affinity: Some(affinity), ..Default::default() };
    mesh.traffic_policies.insert((key("product"), None), policy);
    let listener: Listener =
        decoded(&translate(&mesh, BUNDLE), ResourceType::Listener, "product.shop:8080");
    let (_, config) = filter(&listener.filter_chains[0]);
    let filters = HttpConnectionManager::decode(config).unwrap().http_filters;
    let names: Vec<_> = filters.iter().map(|filter| filter.name.as_str()).collect();
    assert_eq!(names, ["envoy.filters.http.stateful_session", "envoy.filters.http.router"]);
    let Some(ConfigType::TypedConfig(any)) = &filters[0].config_type else { panic!() };
    let session = StatefulSession::decode(&*any.value).unwrap();
    assert!(!session.strict);
    let state = session.session_state.unwrap().typed_config.unwrap();
    let cookie = CookieBasedSessionState::decode(&*state.value).unwrap().cookie.unwrap();
    assert_eq!((cookie.name.as_str(), cookie.path.as_str()), ("sid", "/a"));
    assert_eq!(cookie.ttl.unwrap().seconds, 60);
}

#[test]
fn tcp() {
    let listener = listener("db.shop:5432");
    let [chain] = &listener.filter_chains[..] else { panic!() };
    let ("TcpProxy", config) = filter(chain) else { panic!() };
    let proxy = TcpProxy::decode(config).unwrap();
    assert_eq!(proxy.cluster_specifier, Some(ClusterSpecifier::Cluster("db.shop:5432".to_owned())));
}

#[test]
fn detected() {
    let listener = listener("mail.shop:25");
    assert_eq!(listener.listener_filters.len(), 1);
    // A server that speaks first is not waited for.
    assert!(listener.continue_on_listener_filters_timeout);
    assert_eq!(listener.listener_filters_timeout, Some(duration(DETECT_TIMEOUT)));
    let [http] = &listener.filter_chains[..] else { panic!() };
    let wanted = http.filter_chain_match.as_ref().unwrap();
    assert_eq!(wanted.application_protocols, ["http/1.1", "h2c"]);
    assert_eq!(filter(http).0, "HttpConnectionManager");
    assert_eq!(filter(listener.default_filter_chain.as_ref().unwrap()).0, "TcpProxy");
}

#[test]
fn limits_of_http_are_in_envoys_fields_where_it_has_one() {
    let mut mesh = shop();
    mesh.config.http = HttpLimits {
        head_timeout: Some(Duration::from_secs(5)),
        header_fields: Some(50),
        streams: Some(10),
        header_budget: Some(64),
        memory: None,
        local_resets: Some(20),
        stall_timeout: Some(Duration::from_secs(60)),
    };
    let resources = translate(&mesh, BUNDLE);
    for name in ["product.shop:8080", "inbound/shop/product-v1"] {
        let listener: Listener = decoded(&resources, ResourceType::Listener, name);
        let ("HttpConnectionManager", config) = filter(&listener.filter_chains[0]) else {
            panic!()
        };
        let manager = HttpConnectionManager::decode(config).unwrap();
        assert_eq!(manager.request_headers_timeout, Some(duration(Duration::from_secs(5))));
        assert_eq!(manager.stream_flush_timeout, Some(duration(Duration::from_secs(60))));
        let common = manager.common_http_protocol_options.unwrap();
        assert_eq!(common.max_headers_count.unwrap().value, 50);
        let http2 = manager.http2_protocol_options.unwrap();
        assert_eq!(http2.max_concurrent_streams.unwrap().value, 10);
        let any = &listener.metadata.unwrap().typed_filter_metadata["weft.http_limits"];
        let own = weft_proto::config::HttpLimits::decode(&*any.value).unwrap();
        assert_eq!((own.http2_header_budget_kib, own.http2_memory_mib), (64, 0));
        assert_eq!(own.http2_local_resets, 20);
    }
    let plain = listener("product.shop:8080");
    assert!(plain.metadata.unwrap().typed_filter_metadata.is_empty());
}
