//! One line: its fields, their order and their bounds. What has no value is left out.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::Version;
use opentelemetry::trace::TraceId;
use serde::{Serialize, Serializer};

use crate::telemetry::{ConnectionEnd, RequestEnd, plain};

/// Bound: bytes of a text that a client chose.
const MAX_TEXT: usize = 1024;

/// Fields in the order written.
#[derive(Debug, Default, Serialize)]
pub(super) struct Line<'a> {
    /// RFC 3339, milliseconds, UTC; the end of the request or connection.
    time: String,
    /// `http` or `tcp`.
    protocol: &'static str,
    direction: &'static str,
    workload: &'a str,
    #[serde(skip_serializing_if = "is_none")]
    service: Text<'a>,
    #[serde(skip_serializing_if = "is_none")]
    method: Text<'a>,
    #[serde(skip_serializing_if = "is_none")]
    host: Text<'a>,
    #[serde(skip_serializing_if = "is_none")]
    path: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// The rule about access that denies it, or `none`.
    #[serde(skip_serializing_if = "is_none")]
    denied_by: Text<'a>,
    /// With the nearest miss.
    #[serde(skip_serializing_if = "is_none")]
    denial: Text<'a>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Written where it is so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fallback: bool,
    #[serde(skip_serializing_if = "is_none")]
    route: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "is_none")]
    peer_identity: Text<'a>,
    mtls: bool,
    bytes_sent: u64,
    bytes_received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "is_none")]
    request_id: Text<'a>,
}

/// A text of bounded length without what is no letter. Serde escapes quotes and controls below U+0020, and nothing else.
#[derive(Debug, Default)]
struct Text<'a>(&'a str);

fn is_none(text: &Text<'_>) -> bool {
    text.0.is_empty()
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&plain(self.0, MAX_TEXT))
    }
}

impl<'a> Line<'a> {
    pub(super) fn of_request(
        end: &RequestEnd<'a>,
        trace_id: Option<TraceId>,
        workload: &'a str,
        now: SystemTime,
    ) -> Self {
        Self {
            time: rfc3339(now),
            protocol: "http",
            direction: end.direction.as_str(),
            workload,
            service: Text(end.service),
            method: Text(end.method.as_str()),
            host: Text(end.host),
            path: Text(end.path),
            http_version: Some(version(end.version)),
            status: (end.status > 0).then_some(end.status),
            grpc_status: end.grpc_status,
            error: end.error.map(crate::error::Token::as_str),
            denied_by: Text(end.denial.map_or("", |(by, _)| by)),
            denial: Text(end.denial.map_or("", |(_, why)| why)),
            duration_ms: millis(end.duration),
            attempts: Some(end.attempts),
            fallback: end.fallback,
            route: Text(end.route),
            peer_address: end.peer_address,
            peer_identity: Text(end.peer_identity),
            mtls: end.mtls,
            bytes_sent: end.request_bytes,
            bytes_received: end.response_bytes,
            trace_id: trace_id.map(|id| id.to_string()),
            request_id: Text(end.request_id),
        }
    }

    pub(super) fn of_connection(
        end: &ConnectionEnd<'a>,
        workload: &'a str,
        now: SystemTime,
    ) -> Self {
        Self {
            time: rfc3339(now),
            protocol: "tcp",
            direction: end.direction.as_str(),
            workload,
            service: Text(end.service),
            error: end.error.map(crate::error::Token::as_str),
            denied_by: Text(end.denial.map_or("", |(by, _)| by)),
            denial: Text(end.denial.map_or("", |(_, why)| why)),
            duration_ms: millis(end.duration),
            route: Text(end.route),
            peer_address: end.peer_address,
            peer_identity: Text(end.peer_identity),
            mtls: end.mtls,
            bytes_sent: end.sent,
            bytes_received: end.received,
            ..Self::default()
        }
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// To the microsecond.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn rfc3339(at: SystemTime) -> String {
    let at = time::OffsetDateTime::from(at);
    let (hour, minute, second, milli) = at.to_hms_milli();
    let month = u8::from(at.month());
    let (year, day) = (at.year(), at.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests;
