//! What is read of traces and logs, and what is refused.

use weft_proto::envoy::core::Metadata;
use weft_proto::envoy::route::Tracing;
use weft_proto::envoy::types::FractionalPercent;
use weft_proto::google::{ListValue, Struct, Value, value::Kind};
use weft_proto::names::metadata::{ACCESS_LOG, TRACING};

use super::{collector, log_rules, sampling};
use crate::model::LogRules;
use crate::telemetry::access_log::Fields;
use crate::telemetry::export::{Collector, Protocol};

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn text(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

fn list(values: Vec<Value>) -> Value {
    value(Kind::ListValue(ListValue { values }))
}

fn metadata(key: &str, fields: &[(&str, Value)]) -> Metadata {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let filter_metadata = [(key.to_owned(), Struct { fields })].into();
    Metadata { filter_metadata, ..Metadata::default() }
}

#[test]
fn a_routes_share() {
    let of = |numerator, denominator| {
        let random_sampling = Some(FractionalPercent { numerator, denominator });
        sampling(Some(Tracing { random_sampling, ..Tracing::default() }))
    };
    assert_eq!(sampling(None).unwrap(), None);
    assert_eq!(of(25, 0).unwrap(), Some(0.25));
    assert_eq!(of(5, 2).unwrap(), Some(0.000_005));
    assert_eq!(of(200, 0).unwrap(), Some(1.0));
    assert!(of(1, 7).is_err());
    let more =
        Tracing { overall_sampling: Some(FractionalPercent::default()), ..Tracing::default() };
    assert!(sampling(Some(more)).is_err(), "what is not done is refused");
}

#[test]
fn collectors() {
    let endpoint = ("endpoint", text("http://jaeger:4318"));
    let found = |fields: &[(&str, Value)]| collector(Some(&metadata(TRACING, fields)), TRACING);
    assert_eq!(collector(None, TRACING).unwrap(), None);
    assert_eq!(found(&[]).unwrap(), None);
    let plain = Collector::at("http://jaeger:4318");
    assert_eq!(found(std::slice::from_ref(&endpoint)).unwrap(), Some(plain.clone()));
    let over_http = Collector { protocol: Some(Protocol::HttpProtobuf), ..plain };
    let authorities = ("certificate_authorities", text("-----BEGIN"));
    let believed = found(&[endpoint.clone(), authorities]).unwrap().unwrap().authorities;
    assert_eq!(believed.as_deref(), Some("-----BEGIN"));
    let protocol = |word| ("protocol", text(word));
    assert_eq!(found(&[endpoint.clone(), protocol("http/protobuf")]).unwrap(), Some(over_http));
    assert!(found(&[endpoint, protocol("http/json")]).is_err());
}

#[test]
fn what_is_logged() {
    let found = |fields: &[(&str, Value)]| log_rules(Some(&metadata(ACCESS_LOG, fields)));
    let share = |share| ("successes", value(Kind::NumberValue(share)));
    assert_eq!(log_rules(None).unwrap(), None);
    assert_eq!(found(&[("endpoint", text("http://x:1"))]).unwrap(), None);
    let all = LogRules { successes: 0.25, fields: Fields::ALL };
    assert_eq!(found(&[share(0.25)]).unwrap(), Some(all));
    let some = Fields::of(["status", "path"]).unwrap();
    let names = ("fields", list(vec![text("status"), text("path")]));
    assert_eq!(
        found(&[share(1.0), names]).unwrap(),
        Some(LogRules { successes: 1.0, fields: some })
    );
    for wrong in [vec![share(1.5)], vec![("successes", text("1"))]] {
        assert!(found(&wrong).is_err(), "{wrong:?}");
    }
    for names in [list(vec![text("colour")]), text("status")] {
        assert!(found(&[share(1.0), ("fields", names.clone())]).is_err(), "{names:?}");
    }
}
