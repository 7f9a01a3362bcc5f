//! Where shares and logs stand on the wire, and which object is named for them.

use weft_proto::envoy::listener::Listener;
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::envoy::types::FractionalPercent;
use weft_proto::google::value::Kind;
use weft_proto::names::metadata;

use super::super::fixture::{BUNDLE, key, origin, route, shop};
use super::super::tests::decoded;
use super::super::{ResourceType, translate};
use crate::model::{AccessLog, Collector, Mesh, OtlpProtocol, RouteKind, TelemetryPolicy};

const PRODUCT: &str = "inbound/shop/product-v1";

fn policy(name: &str) -> TelemetryPolicy {
    TelemetryPolicy {
        origin: origin("TelemetryPolicy", name),
        namespace: "shop".to_owned(),
        ..TelemetryPolicy::default()
    }
}

fn origins(mesh: &Mesh, kind: ResourceType, name: &str) -> Vec<String> {
    let set = translate(mesh, BUNDLE);
    let resource = set.get(kind, name).unwrap();
    resource.origins.iter().map(|origin| origin.to_string()).collect()
}

#[test]
fn a_share_of_a_route_is_in_its_rules_and_named() {
    let mut mesh = shop();
    let mut one = route("r", ("product", 8080), &[("web", 80, 1)]);
    one.rules.push(crate::model::RouteRule { name: "1".to_owned(), ..one.rules[0].clone() });
    mesh.routes.push(one);
    let share = TelemetryPolicy { sampling: Some(0.000_25), ..policy("few") };
    mesh.route_telemetry.insert((RouteKind::Http, key("r"), Some("1".to_owned())), share);
    let table: RouteConfiguration =
        decoded(&translate(&mesh, BUNDLE), ResourceType::Route, "product.shop:8080");
    let shares: Vec<_> = table.virtual_hosts[0]
        .routes
        .iter()
        .map(|route| route.tracing.as_ref().and_then(|tracing| tracing.random_sampling))
        .collect();
    let few = FractionalPercent { numerator: 250, denominator: 2 };
    assert_eq!(shares, [None, Some(few)]);
    let named = origins(&mesh, ResourceType::Route, "product.shop:8080");
    assert!(named.contains(&"TelemetryPolicy/shop/few".to_owned()), "{named:?}");
}

#[test]
fn what_a_workload_logs_is_in_its_own_listener_and_named() {
    let mut mesh = shop();
    let listener = |mesh: &Mesh| -> Listener {
        decoded(&translate(mesh, BUNDLE), ResourceType::Listener, PRODUCT)
    };
    let said =
        |mesh: &Mesh| listener(mesh).metadata.unwrap().filter_metadata.remove(metadata::ACCESS_LOG);
    assert_eq!(said(&mesh), None);
    mesh.config.log_collector = Some(Collector {
        endpoint: "http://otel:4318".to_owned(),
        protocol: Some(OtlpProtocol::HttpProtobuf),
        authorities: Some("PEM".to_owned()),
    });
    let text = |text: &str| Some(Kind::StringValue(text.to_owned()));
    let found = said(&mesh).unwrap();
    assert_eq!(found.fields["endpoint"].kind, text("http://otel:4318"));
    assert_eq!(found.fields["protocol"].kind, text("http/protobuf"));
    assert_eq!(found.fields["certificate_authorities"].kind, text("PEM"));
    assert!(!found.fields.contains_key("successes"), "nothing is logged: {found:?}");
    let log = AccessLog { successes: 0.5, fields: vec!["status".to_owned()] };
    mesh.telemetry_policies =
        vec![TelemetryPolicy { access_log: Some(log), sampling: Some(1.0), ..policy("all") }];
    let found = said(&mesh).unwrap();
    assert_eq!(found.fields["successes"].kind, Some(Kind::NumberValue(0.5)));
    let Some(Kind::ListValue(fields)) = &found.fields["fields"].kind else { panic!() };
    assert_eq!(fields.values.len(), 1);
    let named = origins(&mesh, ResourceType::Listener, PRODUCT);
    assert!(named.contains(&"TelemetryPolicy/shop/all".to_owned()), "{named:?}");
}
