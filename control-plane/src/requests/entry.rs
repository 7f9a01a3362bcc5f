//! One remembered request as JSON, a contract with `weft` and with scripts: fields are added, never renamed or removed. What a
//! sidecar says is cut to a bound and cleaned: it may be anybody's who has an identity.

use serde::Serialize;
use weft_proto::telemetry::{AttemptRecord, Direction, EndpointRecord, RequestRecord};

/// Bound: bytes of one text.
const MAX_TEXT: usize = 1024;
/// Bound: attempts or endpoints.
const MAX_LIST: usize = 16;

/// One request, or one opaque connection, as one sidecar saw it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// Whose sidecar tells: `gateway.shop`.
    pub(crate) workload: String,
    /// SPIFFE id of that workload; empty if the mesh does not know it any more.
    pub(crate) identity: String,
    /// `outbound` or `inbound`.
    pub(crate) direction: &'static str,
    /// Milliseconds since the Unix epoch: its end.
    pub(crate) at_ms: i64,
    pub(crate) opaque: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) service: String,
    pub(crate) route: String,
    pub(crate) backend: String,
    pub(crate) peer_address: String,
    pub(crate) peer_identity: String,
    pub(crate) peer_workload: String,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) total_us: u64,
    pub(crate) connect_us: u64,
    pub(crate) first_byte_us: u64,
    pub(crate) status: u32,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) error: String,
    pub(crate) detail: String,
    /// The object that caused it, as the sidecar says.
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) reported: String,
    pub(crate) reported_detail: String,
    pub(crate) denied_by: String,
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    /// Has the sidecar a span of it?
    pub(crate) sampled: bool,
    pub(crate) stopped: String,
    pub(crate) config_version: String,
    pub(crate) out_of_touch_s: u64,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) endpoints_all: u32,
    pub(crate) endpoints_ready: u32,
    pub(crate) slow: bool,
    pub(crate) fallback: bool,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub(crate) endpoint: String,
    pub(crate) workload: String,
    pub(crate) began_us: u64,
    pub(crate) took_us: u64,
    pub(crate) status: u32,
    pub(crate) error: String,
    pub(crate) detail: String,
}

/// One endpoint of the backend, as the caller's sidecar had it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) workload: String,
    pub(crate) state: String,
    pub(crate) ejected_for_s: u32,
}

impl Entry {
    /// What the sidecar of `workload` says.
    pub(crate) fn of(workload: &str, identity: &str, record: RequestRecord) -> Self {
        let direction = match record.direction() {
            Direction::Inbound => "inbound",
            Direction::Outbound | Direction::Unspecified => "outbound",
        };
        Self {
            workload: workload.to_owned(),
            identity: identity.to_owned(),
            direction,
            at_ms: record.at,
            opaque: record.opaque,
            method: clean(record.method),
            path: clean(record.path),
            host: clean(record.host),
            service: clean(record.service),
            route: clean(record.route),
            backend: clean(record.backend),
            peer_address: clean(record.peer_address),
            peer_identity: clean(record.peer_identity),
            peer_workload: clean(record.peer_workload),
            attempts: record.attempts.into_iter().take(MAX_LIST).map(attempt).collect(),
            total_us: record.total,
            connect_us: record.connect,
            first_byte_us: record.first_byte,
            status: record.status,
            grpc_status: record.grpc_status,
            error: clean(record.error),
            detail: clean(record.detail),
            object: clean(record.origin),
            reason: clean(record.reason),
            reported: clean(record.reported),
            reported_detail: clean(record.reported_detail),
            denied_by: clean(record.denied_by),
            request_id: clean(record.request_id),
            trace_id: clean(record.trace_id),
            sampled: record.sampled,
            stopped: clean(record.stopped),
            config_version: clean(record.config_version),
            out_of_touch_s: record.out_of_touch,
            endpoints: record.endpoints.into_iter().take(MAX_LIST).map(endpoint).collect(),
            endpoints_all: record.endpoints_all,
            endpoints_ready: record.endpoints_ready,
            slow: record.slow,
            fallback: record.fallback,
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
        }
    }
}

fn attempt(of: AttemptRecord) -> Attempt {
    Attempt {
        endpoint: clean(of.endpoint),
        workload: clean(of.workload),
        began_us: of.began,
        took_us: of.took,
        status: of.status,
        error: clean(of.error),
        detail: clean(of.detail),
    }
}

fn endpoint(of: EndpointRecord) -> Endpoint {
    Endpoint {
        address: clean(of.address),
        workload: clean(of.workload),
        state: clean(of.state),
        ejected_for_s: of.ejected_for,
    }
}

fn clean(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sidecar_says_drives_no_terminal_and_has_an_end() {
        let record = RequestRecord {
            direction: Direction::Inbound.into(),
            path: "/a\u{1b}[2J".to_owned(),
            detail: "ä".repeat(MAX_TEXT),
            attempts: vec![AttemptRecord::default(); 100],
            ..RequestRecord::default()
        };
        let entry = Entry::of("product-v1.shop", "", record);
        assert_eq!((entry.direction, entry.path.as_str()), ("inbound", "/a\u{fffd}[2J"));
        assert_eq!((entry.detail.len(), entry.attempts.len()), (MAX_TEXT, MAX_LIST));
    }
}
