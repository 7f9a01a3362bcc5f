//! Log records to the letter, and what the environment says.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;

use super::{LogLine, Settings};
use crate::telemetry::export::Collector;

#[test]
fn fields_are_attributes_and_the_body_is_a_sentence() {
    let text = r#"{"time":"x","method":"GET","path":"/a","status":503,"error":"connection_refused","duration_ms":1.5,"mtls":true,"trace_id":"7"}"#;
    let line = LogLine {
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
        trace_id: Some(TraceId::from(7)),
        failed: true,
        text: text.as_bytes().into(),
    };
    let record = line.record();
    let body = record.body.unwrap().value.unwrap();
    assert_eq!(body, Any::StringValue("GET /a 503 connection_refused".to_owned()));
    assert_eq!((record.time_unix_nano, record.severity_text.as_str()), (1_500_000_000, "ERROR"));
    assert_eq!((record.trace_id.len(), record.trace_id[15]), (16, 7));
    let attributes: Vec<_> = record
        .attributes
        .into_iter()
        .map(|pair| (pair.key, pair.value.unwrap().value.unwrap()))
        .collect();
    let text = |text: &str| Any::StringValue(text.to_owned());
    let mut expected = vec![
        ("method".to_owned(), text("GET")),
        ("path".to_owned(), text("/a")),
        ("status".to_owned(), Any::IntValue(503)),
        ("error".to_owned(), text("connection_refused")),
        ("duration_ms".to_owned(), Any::DoubleValue(1.5)),
        ("mtls".to_owned(), Any::BoolValue(true)),
    ];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let mut attributes = attributes;
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(attributes, expected);
}

#[test]
fn the_environment_sends_lines_only_where_it_says_so() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317");
    let exporter = |name| ("OTEL_LOGS_EXPORTER", name);
    for (vars, disabled, endpoint, problems) in [
        (vec![endpoint], false, None, 0),
        (vec![endpoint, exporter("otlp")], false, Some("http://all:4317"), 0),
        (vec![endpoint, exporter("none")], true, Some("http://all:4317"), 0),
        (vec![endpoint, exporter("console")], true, Some("http://all:4317"), 1),
        (
            vec![endpoint, exporter("otlp"), ("OTEL_SDK_DISABLED", "true")],
            true,
            Some("http://all:4317"),
            0,
        ),
        (vec![("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json")], true, None, 1),
    ] {
        let (settings, told) = Settings::from_vars(|name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        let collector =
            settings.otlp.collector.as_ref().map(|Collector { endpoint, .. }| &**endpoint);
        assert_eq!(
            (settings.disabled, collector, told.len()),
            (disabled, endpoint, problems),
            "{vars:?}"
        );
    }
}
