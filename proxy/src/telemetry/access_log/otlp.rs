//! A line as a log record of OTLP: its fields are attributes, and its body the one sentence that a person reads first.
//! Made by the export thread from the line as it was written.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value};

use crate::telemetry::export::otlp::{About, Request};
use crate::telemetry::export::settings::Read;
use crate::telemetry::export::{Batch, Item, Otlp};

/// What the environment says of the way to collectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `OTEL_SDK_DISABLED`, or a `OTEL_LOGS_EXPORTER` other than `otlp`: no collector gets lines.
    pub disabled: bool,
    /// The way there.
    pub otlp: Otlp,
}

impl Settings {
    /// Reads the variables with `read`. Unlike traces, lines go to a collector of the environment only where
    /// `OTEL_LOGS_EXPORTER` is `otlp`: its endpoint is that of traces as well. What cannot be heeded is told in words.
    pub fn from_vars(read: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
        let mut problems = Vec::new();
        let read: Read<'_> = &read;
        let found = Otlp::read(("LOGS", "OTEL_BLRP"), Batch::of_logs(), read, &mut problems);
        let switched_off =
            read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let mut settings =
            Self { disabled: switched_off || found.is_none(), otlp: found.unwrap_or_default() };
        match read("OTEL_LOGS_EXPORTER").as_deref() {
            Some("otlp") => {}
            None => settings.otlp.collector = None,
            Some("none") => settings.disabled = true,
            Some(other) => {
                settings.disabled = true;
                problems.push(format!("OTEL_LOGS_EXPORTER={other}: only otlp and none are known"));
            }
        }
        (settings, problems)
    }
}

/// A line on its way.
#[derive(Debug)]
pub(super) struct LogLine {
    pub(super) at: SystemTime,
    pub(super) trace_id: Option<TraceId>,
    pub(super) failed: bool,
    /// JSON, without a line feed.
    pub(super) text: Box<[u8]>,
}

impl Item for LogLine {
    const WHAT: &'static str = "log lines";
    const THREAD: &'static str = "weft-otlp-logs";

    fn request(batch: Vec<Self>, about: &About) -> Request {
        let resource =
            Resource { attributes: about.resource.attributes.0.clone(), ..Resource::default() };
        let scope_logs = ScopeLogs {
            scope: Some((&about.scope, None).into()),
            log_records: batch.into_iter().map(Self::record).collect(),
            ..ScopeLogs::default()
        };
        let logs = ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        Request::Logs(ExportLogsServiceRequest { resource_logs: vec![logs] })
    }
}

impl LogLine {
    fn record(self) -> LogRecord {
        let fields: Map<String, Value> = serde_json::from_slice(&self.text).unwrap_or_default();
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let (severity, word) = match self.failed {
            true => (SeverityNumber::Error, "ERROR"),
            false => (SeverityNumber::Info, "INFO"),
        };
        LogRecord {
            time_unix_nano: nanos,
            observed_time_unix_nano: nanos,
            severity_number: severity.into(),
            severity_text: word.to_owned(),
            body: any(Value::String(sentence(&fields))),
            trace_id: self.trace_id.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
            attributes: fields
                .into_iter()
                // They stand in the record itself.
                .filter(|(key, _)| !matches!(key.as_str(), "time" | "trace_id"))
                .map(|(key, value)| KeyValue { key, value: any(value), ..KeyValue::default() })
                .collect(),
            ..LogRecord::default()
        }
    }
}

/// `GET /products 503 connection_refused`, of what the line has of it.
fn sentence(fields: &Map<String, Value>) -> String {
    let words = ["method", "path", "status", "error"].map(|name| match fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    });
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => fields.get("protocol").and_then(Value::as_str).unwrap_or("request").to_owned(),
        false => words.join(" "),
    }
}

fn any(value: Value) -> Option<AnyValue> {
    let value = match value {
        Value::String(text) => Any::StringValue(text),
        Value::Bool(flag) => Any::BoolValue(flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Any::IntValue(whole),
            (None, Some(number)) => Any::DoubleValue(number),
            (None, None) => return None,
        },
        // A line is flat.
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(AnyValue { value: Some(value) })
}

#[cfg(test)]
mod tests;
