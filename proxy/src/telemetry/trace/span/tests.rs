//! Names, attributes and status by the semantic conventions.

use std::collections::BTreeMap;

use http::{Method, Version};
use opentelemetry::trace::{SpanId, SpanKind as Kind, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::super::{Outgoing, Settings, SpanKind};
use super::{About, Open, Workload, resource};
use crate::error::Token;
use crate::telemetry::RequestEnd;
use crate::telemetry::metrics::Direction;
use crate::telemetry::tests::end;

fn open(kind: SpanKind, parent: u64) -> Open {
    let outgoing = Outgoing {
        trace_id: TraceId::from(7),
        span_id: SpanId::from(8),
        sampled: true,
        debug: false,
        random: false,
    };
    Open::new(kind, outgoing, SpanId::from(parent))
}

fn scope() -> opentelemetry::InstrumentationScope {
    About::new(&opentelemetry_sdk::Resource::builder_empty().build()).scope
}

fn data(kind: SpanKind, end: &RequestEnd<'_>) -> SpanData {
    open(kind, 9).close(end, None).into_data(&scope())
}

fn attributes(data: &SpanData) -> BTreeMap<&str, String> {
    data.attributes.iter().map(|kv| (kv.key.as_str(), kv.value.to_string())).collect()
}

#[test]
fn a_client_span_in_full() {
    let end = RequestEnd {
        error: Some(Token::ConnectionRefused),
        status: 503,
        method: &Method::POST,
        request_bytes: 5,
        version: Version::HTTP_2,
        ..end()
    };
    let data =
        open(SpanKind::Client, 9).resend(SpanId::from(10), 2).close(&end, None).into_data(&scope());
    assert_eq!(data.name, "POST /products");
    assert_eq!(data.span_kind, Kind::Client);
    assert_eq!(data.parent_span_id, SpanId::from(9));
    assert_eq!(data.span_context.span_id(), SpanId::from(10));
    assert!(data.span_context.is_sampled() && data.parent_span_is_remote);
    assert!(data.end_time >= data.start_time);
    assert_eq!(data.status, Status::error(Token::ConnectionRefused.meaning().trim()));
    assert_eq!(data.instrumentation_scope.name(), "weft-proxy");
    let expected = BTreeMap::from([
        ("http.request.method", "POST"),
        ("url.scheme", "http"),
        ("url.path", "/products/7"),
        ("url.full", "http://product.shop:8080/products/7"),
        ("server.address", "product.shop"),
        ("server.port", "8080"),
        ("network.peer.address", "127.66.0.4"),
        ("network.peer.port", "8080"),
        ("http.route", "/products"),
        ("network.protocol.name", "http"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "503"),
        ("error.type", "connection_refused"),
        ("http.request.resend_count", "2"),
        ("http.request.body.size", "5"),
        ("http.response.body.size", "42"),
        ("weft.direction", "outbound"),
        ("weft.route", "HTTPRoute/shop/web#0"),
        ("weft.peer.identity", "spiffe://demo.local/ns/shop/sa/product"),
    ]);
    let expected = expected.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
    assert_eq!(attributes(&data), expected);
}

#[test]
fn names_never_hold_a_path_or_a_method_that_somebody_made_up() {
    let odd = Method::from_bytes(b"BREW").unwrap();
    for (method, http_route, name) in [
        (&Method::GET, Some("/products"), "GET /products"),
        (&Method::GET, None, "GET"),
        (&odd, Some("/products"), "HTTP /products"),
        (&odd, None, "HTTP"),
    ] {
        let data = data(SpanKind::Server, &RequestEnd { method, http_route, ..end() });
        assert_eq!(data.name, name);
        let attributes = attributes(&data);
        let other = *method == odd;
        assert_eq!(attributes["http.request.method"] == "_OTHER", other);
        assert_eq!(attributes.contains_key("http.request.method_original"), other);
    }
}

#[test]
fn a_call_of_grpc_is_named_by_its_method_if_there_is_one() {
    let long = format!("/shop.Cart/{}", "x".repeat(200));
    for (path, grpc_status, server, client) in [
        ("/shop.Cart/Add", Some(0), "shop.Cart/Add", "shop.Cart/Add"),
        ("/shop.Cart/Add", Some(14), "shop.Cart/Add", "shop.Cart/Add"),
        ("/shop.Cart/Made-Up", Some(0), "grpc", "grpc"),
        ("/shop.Cart/MadeUp", Some(12), "grpc", "grpc"),
        ("/shop.Cart/Unasked", None, "grpc", "shop.Cart/Unasked"),
        ("/shop.Cart/Add/7", Some(0), "grpc", "grpc"),
        ("/shop.Cart/", Some(0), "grpc", "grpc"),
        ("/", Some(0), "grpc", "grpc"),
        (&long, Some(0), "grpc", "grpc"),
    ] {
        for (kind, name) in [(SpanKind::Server, server), (SpanKind::Client, client)] {
            let end = RequestEnd { grpc: true, path, grpc_status, ..end() };
            let data = data(kind, &end);
            assert_eq!(data.name, name, "{kind:?} {path} {grpc_status:?}");
            let attributes = attributes(&data);
            assert_eq!(attributes["rpc.system.name"], "grpc");
            let (method, known) = (&attributes["rpc.method"], name != "grpc");
            assert_eq!((method == "_OTHER", *method == name), (!known, known), "{path}");
        }
    }
}

#[test]
fn whose_fault_it_is_depends_on_the_side() {
    let failed = Some(Token::ResponseTimeout);
    for (status, grpc_status, error, server, client) in [
        (200, None, None, None, None),
        (302, None, None, None, None),
        (404, None, None, None, Some("404")),
        (503, None, None, Some("503"), Some("503")),
        (504, None, failed, Some("http_response_timeout"), Some("http_response_timeout")),
        (200, Some(0), None, None, None),
        (200, Some(5), None, None, Some("NOT_FOUND")),
        (200, Some(14), None, Some("UNAVAILABLE"), Some("UNAVAILABLE")),
        (200, Some(99), None, None, Some("99")),
    ] {
        for (kind, expected) in [(SpanKind::Server, server), (SpanKind::Client, client)] {
            let end = RequestEnd { status, grpc_status, error, ..end() };
            let data = data(kind, &end);
            let attributes = attributes(&data);
            assert_eq!(attributes.get("error.type").map(String::as_str), expected, "{end:?}");
            let failed = matches!(data.status, Status::Error { .. });
            assert_eq!(failed, expected.is_some(), "{kind:?} {end:?}");
        }
    }
}

#[test]
fn a_token_for_a_clients_mistake_leaves_the_servers_span_unset() {
    let end = RequestEnd { status: 400, error: Some(Token::RequestError), ..end() };
    let data = data(SpanKind::Server, &RequestEnd { direction: Direction::Inbound, ..end });
    assert_eq!(data.status, Status::Unset);
    assert_eq!(attributes(&data)["error.type"], "http_request_error");
}

#[test]
fn no_response_is_a_span_all_the_same() {
    let end = RequestEnd { status: 0, error: Some(Token::ConnectionTimeout), ..end() };
    let data = data(SpanKind::Client, &end);
    assert!(!attributes(&data).contains_key("http.response.status_code"));
    assert!(matches!(data.status, Status::Error { .. }));
}

#[test]
fn texts_are_cut_at_a_character() {
    let path = format!("/{}", "ü".repeat(1024));
    let data = data(SpanKind::Server, &RequestEnd { path: &path, ..end() });
    assert_eq!(attributes(&data)["url.path"].len(), 1023);
}

#[test]
fn a_retry_of_a_root_hangs_below_it() {
    let root = open(SpanKind::Client, 0);
    let retry = root.resend(SpanId::from(10), 1).close(&end(), None).into_data(&scope());
    assert_eq!((retry.parent_span_id, retry.parent_span_is_remote), (SpanId::from(8), false));
    let data = root.close(&end(), None).into_data(&scope());
    assert_eq!((data.parent_span_id, data.parent_span_is_remote), (SpanId::INVALID, false));
}

#[test]
fn the_environment_names_the_resource_before_the_workload() {
    let workload = Workload {
        name: "product".into(),
        namespace: "shop".into(),
        version: "v1".into(),
        instance: "product-v1.shop".into(),
        pod: None,
    };
    let text = |settings: &Settings| {
        let resource = resource(settings, &workload);
        let mut pairs: Vec<_> = resource.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.sort();
        pairs.join(" ")
    };
    assert_eq!(
        text(&Settings::default()),
        "service.instance.id=product-v1.shop service.name=product service.namespace=shop service.version=v1"
    );
    let settings = Settings {
        service_name: Some("mine".into()),
        resource: vec![("service.version".into(), "9".into()), ("a".into(), "b".into())],
        ..Settings::default()
    };
    assert_eq!(
        text(&settings),
        "a=b service.instance.id=product-v1.shop service.name=mine service.namespace=shop service.version=9"
    );
}

#[test]
fn a_pod_is_named_as_kubernetes_names_it() {
    let workload = Workload {
        name: "product".into(),
        namespace: "shop".into(),
        version: String::new(),
        instance: "shop.product-v1-6d4f.weft-proxy".into(),
        pod: Some("product-v1-6d4f".into()),
    };
    let resource = resource(&Settings::default(), &workload);
    let mut pairs: Vec<_> = resource.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.sort();
    assert_eq!(
        pairs.join(" "),
        "k8s.namespace.name=shop k8s.pod.name=product-v1-6d4f service.instance.id=shop.product-v1-6d4f.weft-proxy \
         service.name=product service.namespace=shop"
    );
}
