//! One line: its fields, their order and their bounds. What has no value is left out, and so is what nobody chose.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceId;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::Speaker;
use crate::telemetry::{ConnectionEnd, RequestEnd, conventions, plain};

/// Bound: bytes of a text that a client chose.
const MAX_TEXT: usize = 1024;

/// A set of a line's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields(u32);

impl Fields {
    /// Every field.
    pub const ALL: Self = Self(u32::MAX);

    /// Those of these names.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, String> {
        names.into_iter().try_fold(Self(0), |all, name| {
            let at = NAMES.iter().position(|known| *known == name);
            at.map(|at| Self(all.0 | 1 << at)).ok_or_else(|| name.to_owned())
        })
    }
}

/// The fields of a line in the order written; the number is the bit in [`Fields`].
macro_rules! fields {
    ($($bit:literal $name:ident: $kind:ty, $help:literal;)+) => {
        /// Names of all fields, in the order written: those of [`weft_proto::names::ACCESS_LOG_FIELDS`].
        const NAMES: &[&str] = &[$(stringify!($name)),+];

        /// All that is known of a request or connection.
        #[derive(Debug, Default)]
        pub(super) struct Line<'a> {
            $(#[doc = $help] $name: $kind,)+
        }

        impl Serialize for Chosen<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self(line, Fields(chosen)) = self;
                let mut map = serializer.serialize_map(None)?;
                $(
                    if chosen & 1 << $bit != 0 && line.$name.is_there() {
                        map.serialize_entry(stringify!($name), &line.$name)?;
                    }
                )+
                map.end()
            }
        }
    };
}

fields! {
    0 time: String, "RFC 3339, milliseconds, UTC; the end of the request or connection.";
    1 protocol: Word, "`http` or `tcp`.";
    2 direction: Word, "`outbound` of the caller's sidecar, `inbound` of the receiver's.";
    3 workload: Text<'a>, "Whose sidecar it is.";
    4 identity: Text<'a>, "Its SPIFFE id.";
    5 service: Text<'a>, "Service port that was asked for; inbound the workload's own.";
    6 method: Text<'a>, "Method.";
    7 host: Text<'a>, "Host as the client sent it.";
    8 path: Text<'a>, "Path without query.";
    9 http_version: Option<Word>, "`1.0`, `1.1` or `2`.";
    10 status: Option<u16>, "Status of the response.";
    11 grpc_status: Option<u16>, "`grpc-status`.";
    12 error: Option<Word>, "The sidecar's token, if it failed.";
    13 denied_by: Text<'a>, "The rule about access that denies it, or `none`.";
    14 denial: Text<'a>, "With the nearest miss.";
    15 duration_ms: f64, "To the last byte of the response.";
    16 connect_ms: Option<f64>, "How long the last attempt waited for its connection.";
    17 first_byte_ms: Option<f64>, "To the head of the response.";
    18 attempts: Option<u32>, "Attempts made.";
    19 fallback: Option<bool>, "Written where the answer is a policy's.";
    20 route: Text<'a>, "The route object.";
    21 peer_address: Option<SocketAddr>, "Outbound the endpoint, inbound the client.";
    22 peer_identity: Text<'a>, "The other side's SPIFFE id.";
    23 mtls: bool, "Did it travel over mutual TLS?";
    24 bytes_sent: u64, "Of the request's body, or to the accepting side.";
    25 bytes_received: u64, "Of the response's body, or from the accepting side.";
    26 trace_id: Option<String>, "Trace.";
    27 request_id: Text<'a>, "`x-request-id`.";
}

/// A word of ours.
type Word = &'static str;

/// The chosen fields of a line.
pub(super) struct Chosen<'l, 'a>(&'l Line<'a>, Fields);

/// A text of bounded length without what is no letter. Serde escapes quotes and controls below U+0020, and nothing else.
#[derive(Debug, Default)]
struct Text<'a>(&'a str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&plain(self.0, MAX_TEXT))
    }
}

/// What has no value is not written.
trait Field {
    fn is_there(&self) -> bool {
        true
    }
}

impl Field for Word {}
impl Field for String {}
impl Field for f64 {}
impl Field for u64 {}
impl Field for bool {}

impl Field for Text<'_> {
    fn is_there(&self) -> bool {
        !self.0.is_empty()
    }
}

impl<T> Field for Option<T> {
    fn is_there(&self) -> bool {
        self.is_some()
    }
}

impl<'a> Line<'a> {
    pub(super) fn chosen(&self, fields: Fields) -> Chosen<'_, 'a> {
        Chosen(self, fields)
    }

    pub(super) fn of_request(
        end: &RequestEnd<'a>,
        trace_id: Option<TraceId>,
        speaker: Speaker<'a>,
        now: SystemTime,
    ) -> Self {
        Self {
            time: rfc3339(now),
            protocol: "http",
            direction: end.direction.as_str(),
            workload: Text(speaker.workload),
            identity: Text(speaker.identity),
            service: Text(end.service),
            method: Text(end.method.as_str()),
            host: Text(end.host),
            path: Text(end.path),
            http_version: Some(conventions::version(end.version)),
            status: (end.status > 0).then_some(end.status),
            grpc_status: end.grpc_status,
            error: end.error.map(crate::error::Token::as_str),
            denied_by: Text(end.denial.map_or("", |(by, _)| by)),
            denial: Text(end.denial.map_or("", |(_, why)| why)),
            duration_ms: millis(end.duration),
            connect_ms: end.connect.map(millis),
            first_byte_ms: end.first_byte.map(millis),
            attempts: Some(end.attempts),
            fallback: end.fallback.then_some(true),
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
        speaker: Speaker<'a>,
        now: SystemTime,
    ) -> Self {
        Self {
            time: rfc3339(now),
            protocol: "tcp",
            direction: end.direction.as_str(),
            workload: Text(speaker.workload),
            identity: Text(speaker.identity),
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
