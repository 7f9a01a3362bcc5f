//! Network filters of listeners: the HTTP connection manager and the TCP proxy. Outbound and inbound
//! listeners differ in where their routes come from, in nothing else.

use std::time::Duration;

use prost::{Message, Name};
use weft_proto::config;
use weft_proto::envoy::core::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions, Metadata, TypedExtensionConfig,
};
use weft_proto::envoy::hcm::http_connection_manager::{
    PathWithEscapedSlashesAction, RouteSpecifier, Tracing, UpgradeConfig,
};
use weft_proto::envoy::hcm::{HttpConnectionManager, HttpFilter, Rds, http_filter};
use weft_proto::envoy::http_types::Cookie;
use weft_proto::envoy::listener::{Filter, ListenerFilter, filter, listener_filter};
use weft_proto::envoy::session_cookie::CookieBasedSessionState;
use weft_proto::envoy::stateful_session::StatefulSession;
use weft_proto::envoy::tcp_proxy::{TcpProxy, tcp_proxy};
use weft_proto::envoy::{http_inspector, router, tls_inspector};
use weft_proto::google::Any;
use weft_proto::names::metadata;

use super::value::{ads, any, boolean, duration, percent, uint32};
use crate::model::{HttpLimits, MeshConfig, SessionAffinity};

/// Protocols by which Envoy's HTTP inspector says that it saw plaintext HTTP.
pub(super) const PLAINTEXT_HTTP: [&str; 2] = ["http/1.1", "h2c"];

/// Bound of a request's headers: weft-proxy's own, a little over Envoy's 60.
const MAX_HEADERS_KIB: u32 = 64;

/// Our own message, which knows no type name of itself.
const HTTP_LIMITS: &str = "type.googleapis.com/weft.config.v1.HttpLimits";

/// Routes by name, from RDS.
pub(super) fn rds(name: &str) -> RouteSpecifier {
    let route_config_name = name.to_owned();
    RouteSpecifier::Rds(Rds { config_source: Some(ads()), route_config_name })
}

/// An HTTP filter by Envoy's name for it.
pub(super) fn http_filter<M: Message + Name>(name: &str, config: &M) -> HttpFilter {
    HttpFilter {
        name: name.to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(any(config))),
        ..Default::default()
    }
}

/// HTTP connection manager: HTTP/1 or HTTP/2, told apart by the preface. `host` is whom an HTTP/1.0 request that
/// names nobody is for, `sampling` the share of the traces begun there, `before` are the filters before the router.
///
/// Paths come to routes, policies and applications in one form: unreserved characters unescaped, `\` as `/`, dot
/// segments resolved, slashes merged; escaped slashes stay, because many an API has them in its data.
pub(super) fn http(
    stat_prefix: &str,
    host: &str,
    routes: RouteSpecifier,
    (config, sampling): (&MeshConfig, f64),
    before: Vec<HttpFilter>,
) -> Filter {
    let router = http_filter("envoy.filters.http.router", &router::Router::default());
    let manager = HttpConnectionManager {
        stat_prefix: stat_prefix.to_owned(),
        http_filters: before.into_iter().chain([router]).collect(),
        route_specifier: Some(routes),
        tracing: Some(Tracing {
            random_sampling: Some(percent(sampling * 100.0)),
            ..Default::default()
        }),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        http_protocol_options: Some(Http1ProtocolOptions {
            accept_http_10: true,
            default_host_for_http_10: host.to_owned(),
            enable_trailers: true,
            ..Default::default()
        }),
        normalize_path: Some(boolean(true)),
        merge_slashes: true,
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::KeepUnchanged.into(),
        max_request_headers_kb: Some(uint32(MAX_HEADERS_KIB)),
        request_headers_timeout: config.http.head_timeout.map(duration),
        stream_flush_timeout: config.http.stall_timeout.map(duration),
        common_http_protocol_options: config.http.header_fields.map(|count| HttpProtocolOptions {
            max_headers_count: Some(uint32(count)),
            ..Default::default()
        }),
        http2_protocol_options: config.http.streams.map(|count| Http2ProtocolOptions {
            max_concurrent_streams: Some(uint32(count)),
            ..Default::default()
        }),
        ..Default::default()
    };
    Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(any(&manager))),
    }
}

/// Limits that Envoy has no field for go beside the origin of a listener. An Envoy leaves them alone.
pub(super) fn limits(limits: &HttpLimits, mut metadata: Metadata) -> Metadata {
    let own = config::HttpLimits {
        http2_header_budget_kib: limits.header_budget.unwrap_or_default(),
        http2_memory_mib: limits.memory.unwrap_or_default(),
        http2_local_resets: limits.local_resets.unwrap_or_default(),
    };
    if own != config::HttpLimits::default() {
        let any = Any { type_url: HTTP_LIMITS.to_owned(), value: own.encode_to_vec() };
        metadata.typed_filter_metadata.insert(metadata::HTTP_LIMITS.to_owned(), any);
    }
    metadata
}

/// Sessions by a cookie. Not strict: a session whose endpoint is gone goes on at another.
pub(super) fn session(affinity: &SessionAffinity) -> HttpFilter {
    let cookie = Cookie {
        name: affinity.cookie.clone(),
        path: affinity.path.clone(),
        ttl: affinity.ttl.map(|ttl| duration(Duration::from_secs(ttl.as_secs()))),
        ..Default::default()
    };
    let state = TypedExtensionConfig {
        name: "envoy.http.stateful_session.cookie".to_owned(),
        typed_config: Some(any(&CookieBasedSessionState { cookie: Some(cookie) })),
    };
    let filter = StatefulSession { session_state: Some(state), ..Default::default() };
    http_filter("envoy.filters.http.stateful_session", &filter)
}

/// Opaque bytes to one cluster.
pub(super) fn tcp(stat_prefix: &str, cluster: &str) -> Filter {
    let proxy = TcpProxy {
        stat_prefix: stat_prefix.to_owned(),
        cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    };
    Filter {
        name: "envoy.filters.network.tcp_proxy".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(any(&proxy))),
    }
}

/// Sees HTTP in the first bytes of plaintext.
pub(super) fn http_inspector() -> ListenerFilter {
    let config = any(&http_inspector::HttpInspector::default());
    ListenerFilter {
        name: "envoy.filters.listener.http_inspector".to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

/// Sees TLS and its ALPN in the first bytes.
pub(super) fn tls_inspector() -> ListenerFilter {
    let config = any(&tls_inspector::TlsInspector::default());
    ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}
