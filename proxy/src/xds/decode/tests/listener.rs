//! Outbound listeners.

use prost::Message as _;
use weft_proto::config::HttpLimits;
use weft_proto::envoy::core::{Http2ProtocolOptions, HttpProtocolOptions, TypedExtensionConfig};
use weft_proto::envoy::hcm::{self, HttpConnectionManager, HttpFilter};
use weft_proto::envoy::http_inspector::HttpInspector;
use weft_proto::envoy::http_types::Cookie;
use weft_proto::envoy::listener::{Listener, ListenerFilter, listener_filter};
use weft_proto::envoy::session_cookie::CookieBasedSessionState;
use weft_proto::envoy::stateful_session::StatefulSession;
use weft_proto::envoy::types::Percent;
use weft_proto::google::Any;

use super::{change, refusal};
use crate::model::{AppProtocol, HttpSettings, OutboundListener, SessionAffinity, Tracing};
use crate::xds::decode::Key;
use crate::xds::fixture::{
    PRODUCT, any, chain, http_filter, http_listener, number, origin, outbound, rds, seconds,
    tcp_filter,
};
use crate::xds::{Change, Kind};

fn found(message: &Listener) -> (OutboundListener, Vec<Key>) {
    match change(Kind::Listener, PRODUCT, message) {
        (Change::Outbound(listener), references) => (listener, references),
        other => panic!("{other:?}"),
    }
}

fn refused(message: &Listener) -> String {
    refusal(Kind::Listener, PRODUCT, message)
}

fn refused_http(spoil: impl FnOnce(&mut HttpConnectionManager)) -> String {
    let mut http = http_filter(rds(PRODUCT));
    spoil(&mut http);
    refused(&outbound(vec![chain(&http, &[])], None))
}

#[test]
fn http_tcp_and_detection() {
    let routes = (Kind::Routes, PRODUCT.to_owned());
    let cluster = (Kind::Cluster, PRODUCT.to_owned());
    let (listener, references) = found(&http_listener());
    let expected = OutboundListener {
        name: PRODUCT.to_owned(),
        origin: origin(),
        protocol: AppProtocol::Http,
        routes: Some(PRODUCT.to_owned()),
        tcp_cluster: None,
        affinity: None,
        http: HttpSettings::default(),
        tracing: Tracing { sampling: 0.25, collector: None },
    };
    assert_eq!((listener, references), (expected, vec![routes.clone()]));

    let (listener, references) = found(&outbound(vec![chain(&tcp_filter(PRODUCT), &[])], None));
    assert_eq!((listener.protocol, listener.routes), (AppProtocol::Tcp, None));
    assert_eq!(
        (listener.tcp_cluster.as_deref(), references),
        (Some(PRODUCT), vec![cluster.clone()])
    );

    let mut detect = outbound(
        vec![chain(&http_filter(rds(PRODUCT)), &["http/1.1", "h2c"])],
        Some(chain(&tcp_filter(PRODUCT), &[])),
    );
    let inspector = listener_filter::ConfigType::TypedConfig(any(&HttpInspector::default()));
    detect.listener_filters.push(ListenerFilter {
        name: "x".to_owned(),
        config_type: Some(inspector),
        ..ListenerFilter::default()
    });
    detect.listener_filters_timeout = seconds(1);
    detect.continue_on_listener_filters_timeout = true;
    let (listener, references) = found(&detect);
    assert_eq!((listener.protocol, references), (AppProtocol::Detect, vec![routes, cluster]));
    detect.continue_on_listener_filters_timeout = false;
    assert_eq!(refused(&detect), "listener_filters_timeout: not supported by weft-proxy");
}

fn session_filter(spoil: impl FnOnce(&mut StatefulSession, &mut Cookie)) -> HttpFilter {
    let mut cookie =
        Cookie { name: "sid".into(), path: "/a".into(), ttl: seconds(60), ..Cookie::default() };
    let mut filter = StatefulSession::default();
    spoil(&mut filter, &mut cookie);
    let state = CookieBasedSessionState { cookie: Some(cookie) };
    filter.session_state =
        Some(TypedExtensionConfig { name: "x".to_owned(), typed_config: Some(any(&state)) });
    HttpFilter {
        name: "x".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&filter))),
        ..HttpFilter::default()
    }
}

#[test]
fn a_session_is_kept_by_a_cookie() {
    let with = |filters: Vec<HttpFilter>| {
        let mut http = http_filter(rds(PRODUCT));
        http.http_filters.splice(0..0, filters);
        outbound(vec![chain(&http, &[])], None)
    };
    let (listener, _) = found(&with(vec![session_filter(|_, _| {})]));
    let ttl = Some(std::time::Duration::from_secs(60));
    let expected = SessionAffinity { cookie: "sid".into(), path: "/a".into(), ttl };
    assert_eq!(listener.affinity, Some(expected));
    let at = "filter_chains[0].filters[0].typed_config.http_filters";
    for (filters, reason) in [
        (
            vec![session_filter(|filter, _| filter.strict = true)],
            "[0].typed_config.strict: not supported by weft-proxy",
        ),
        (
            vec![session_filter(|_, cookie| cookie.name = "a;b".into())],
            "[0].typed_config.session_state.typed_config.cookie.name: \"a;b\" is not a cookie's name",
        ),
        (vec![session_filter(|_, _| {}), session_filter(|_, _| {})], "[1]: one is enough"),
        (
            vec![http_filter(rds(PRODUCT)).http_filters.remove(0)],
            "[0].typed_config: envoy.extensions.filters.http.router.v3.Router is not supported",
        ),
    ] {
        assert_eq!(refused(&with(filters)), format!("{at}{reason}"));
    }
}

#[test]
fn listeners_without_a_sense_are_refused() {
    let http = || chain(&http_filter(rds(PRODUCT)), &[]);
    let tcp = || chain(&tcp_filter(PRODUCT), &[]);
    let cases = [
        (outbound(vec![], None), "filter_chains: missing"),
        (
            outbound(vec![http(), tcp()], None),
            "filter_chains[1]: only one is supported beside the default",
        ),
        (
            outbound(vec![http()], Some(tcp())),
            "filter_chains[0].filter_chain_match.application_protocols: must be http/1.1 and h2c",
        ),
        (
            outbound(vec![chain(&tcp_filter(PRODUCT), &["h2c"])], Some(tcp())),
            "filter_chains[0].filters[0]: must be HTTP",
        ),
        (
            outbound(vec![chain(&http_filter(rds(PRODUCT)), &["h2c"])], Some(http())),
            "default_filter_chain.filters[0]: must take its routes by `rds`, once",
        ),
        (
            Listener { traffic_direction: 0, ..http_listener() },
            "traffic_direction: must be INBOUND or OUTBOUND",
        ),
        (
            Listener { traffic_direction: 1, ..http_listener() },
            "name: must be inbound/shop/product-v1",
        ),
        (
            Listener { tcp_backlog_size: number(7), ..http_listener() },
            "tcp_backlog_size: not supported by weft-proxy",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(refused(&message), expected);
    }
    let mut two = http_listener();
    let filter = two.filter_chains[0].filters[0].clone();
    two.filter_chains[0].filters.push(filter);
    assert_eq!(
        refused(&two),
        "filter_chains[0].filters[0].typed_config: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager is not supported"
    );
}

#[test]
fn http_settings_that_are_not_honoured_are_named() {
    let start = "filter_chains[0].filters[0].typed_config";
    let cases: [(&str, String); 7] = [
        (".codec_type: only AUTO is supported", refused_http(|http| http.codec_type = 2)),
        (
            ".request_timeout: not supported by weft-proxy",
            refused_http(|http| http.request_timeout = seconds(1)),
        ),
        (
            ".tracing.random_sampling: 101 is not between 0 and 100",
            refused_http(|http| {
                http.tracing.as_mut().unwrap().random_sampling = Some(Percent { value: 101.0 });
            }),
        ),
        (
            ".tracing.verbose: not supported by weft-proxy",
            refused_http(|http| http.tracing.as_mut().unwrap().verbose = true),
        ),
        (
            ".upgrade_configs[0].upgrade_type: only websocket is supported",
            refused_http(|http| http.upgrade_configs[0].upgrade_type = "CONNECT".to_owned()),
        ),
        (".http_filters: missing", refused_http(|http| http.http_filters.clear())),
        (
            ".rds.config_source: missing",
            refused_http(|http| {
                let mut named = rds(PRODUCT);
                if let hcm::http_connection_manager::RouteSpecifier::Rds(rds) = &mut named {
                    rds.config_source = None;
                }
                http.route_specifier = Some(named);
            }),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, format!("{start}{expected}"));
    }
}

/// What this proxy always does must be asked for, or a real Envoy would do otherwise.
#[test]
fn http_settings_that_must_be_there() {
    let start = "filter_chains[0].filters[0].typed_config";
    let cases: [(&str, String); 6] = [
        (
            ".upgrade_configs: must have websocket",
            refused_http(|http| http.upgrade_configs.clear()),
        ),
        (".normalize_path: must be true", refused_http(|http| http.normalize_path = None)),
        (".merge_slashes: must be true", refused_http(|http| http.merge_slashes = false)),
        (
            ".path_with_escaped_slashes_action: only KEEP_UNCHANGED is supported",
            refused_http(|http| http.path_with_escaped_slashes_action = 2),
        ),
        (
            ".http_protocol_options.accept_http_10: must be true",
            refused_http(|http| {
                http.http_protocol_options.as_mut().unwrap().accept_http_10 = false;
            }),
        ),
        (
            ".http_protocol_options.default_host_for_http_10: must be product.shop:8080",
            refused_http(|http| {
                let options = http.http_protocol_options.as_mut().unwrap();
                options.default_host_for_http_10 = "other".to_owned();
            }),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, format!("{start}{expected}"));
    }
}

#[test]
fn limits_of_http() {
    let limited = |streams: u32, fields: u32, own: HttpLimits| {
        let mut http = http_filter(rds(PRODUCT));
        http.request_headers_timeout = seconds(5);
        http.stream_flush_timeout = seconds(60);
        http.common_http_protocol_options = Some(HttpProtocolOptions {
            max_headers_count: number(fields),
            ..HttpProtocolOptions::default()
        });
        http.http2_protocol_options = Some(Http2ProtocolOptions {
            max_concurrent_streams: number(streams),
            ..Http2ProtocolOptions::default()
        });
        let mut listener = outbound(vec![chain(&http, &[])], None);
        let metadata = listener.metadata.get_or_insert_default();
        let type_url = "type.googleapis.com/weft.config.v1.HttpLimits".to_owned();
        let own = Any { type_url, value: own.encode_to_vec() };
        metadata.typed_filter_metadata.insert("weft.http_limits".to_owned(), own);
        listener
    };
    let own =
        HttpLimits { http2_header_budget_kib: 64, http2_local_resets: 20, ..HttpLimits::default() };
    let expected = HttpSettings {
        head_timeout: Some(std::time::Duration::from_secs(5)),
        header_fields: Some(50),
        streams: Some(10),
        header_budget: Some(64),
        memory: None,
        local_resets: Some(20),
        stall: Some(std::time::Duration::from_secs(60)),
    };
    assert_eq!(found(&limited(10, 50, own)).0.http, expected);
    let at = "filter_chains[0].filters[0].typed_config";
    let small = HttpLimits { http2_header_budget_kib: 63, ..HttpLimits::default() };
    let key = "metadata.typed_filter_metadata[weft.http_limits].http2_header_budget_kib";
    for (listener, expected) in [
        (
            limited(0, 50, own),
            format!(
                "{at}.http2_protocol_options.max_concurrent_streams: 0 is not within 1 and 10000"
            ),
        ),
        (
            limited(10, 9, own),
            format!(
                "{at}.common_http_protocol_options.max_headers_count: 9 is not within 10 and 10000"
            ),
        ),
        (limited(10, 50, small), format!("{key}: 63 is not within 64 and 1048576")),
    ] {
        assert_eq!(refused(&listener), expected);
    }
    let hasty = refused_http(|http| http.stream_flush_timeout = seconds(0));
    assert_eq!(hasty, format!("{at}.stream_flush_timeout: must be more than zero"));
}
