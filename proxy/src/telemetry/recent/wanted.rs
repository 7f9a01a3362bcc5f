//! Which entries somebody wants: for an answer, and for a tap. Pure.

use std::sync::Arc;

use weft_proto::telemetry::{
    AskRequests, Direction as WireDirection, RequestFilter, RequestRecord,
};

use super::Recent;
use crate::telemetry::RequestEnd;
use crate::telemetry::metrics::Direction;

/// The newest of those that are asked for, of each direction at most `(where nothing is said, at most)`.
pub(super) fn choose(
    mut all: Vec<Arc<RequestRecord>>,
    ask: &AskRequests,
    now: i64,
    (usual, most): (usize, usize),
) -> Vec<Arc<RequestRecord>> {
    let since = match ask.seconds {
        0 => i64::MIN,
        seconds => now.saturating_sub(i64::from(seconds) * 1000),
    };
    let filter = ask.filter.clone().unwrap_or_default();
    all.retain(|record| {
        record.at >= since
            && (ask.request_id.is_empty() || record.request_id == ask.request_id)
            && (ask.trace_id.is_empty() || record.trace_id.eq_ignore_ascii_case(&ask.trace_id))
            && matches(record, &filter)
    });
    all.sort_by_key(|record| std::cmp::Reverse(record.at));
    let limit = match ask.limit {
        0 => usual,
        limit => usize::try_from(limit).unwrap_or(most).min(most),
    };
    let mut counts = std::collections::HashMap::<i32, usize>::new();
    all.retain(|record| {
        let count = counts.entry(record.direction).or_default();
        *count += 1;
        *count <= limit
    });
    all
}

/// Is it among those?
pub(crate) fn matches(record: &RequestRecord, filter: &RequestFilter) -> bool {
    let grpc = record.grpc_status.unwrap_or(0);
    let said = !record.error.is_empty() || !record.reported.is_empty();
    let seen = Seen {
        direction: record.direction,
        service: &record.service,
        method: &record.method,
        path: &record.path,
        status: record.status,
        peer: &record.peer_identity,
        is_error: said || record.status >= 500 || grpc > 0,
    };
    seen.matches(filter)
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    direction: i32,
    service: &'a str,
    method: &'a str,
    path: &'a str,
    status: u32,
    peer: &'a str,
    is_error: bool,
}

impl<'a> Seen<'a> {
    /// Of a request that ends.
    pub(crate) fn of_end(end: &RequestEnd<'a>) -> Self {
        let direction = match end.direction {
            Direction::Outbound => WireDirection::Outbound,
            Direction::Inbound => WireDirection::Inbound,
        };
        Self {
            direction: direction.into(),
            service: end.service,
            method: end.method.as_str(),
            path: end.path,
            status: end.status.into(),
            peer: end.peer_identity,
            is_error: Recent::is_failure(end) || end.grpc_status.is_some_and(|code| code > 0),
        }
    }

    /// Is it among those?
    pub(crate) fn matches(&self, filter: &RequestFilter) -> bool {
        let RequestFilter { service, method, path, status, peer, errors, direction } = filter;
        (service.is_empty() || is_service(self.service, service))
            && (method.is_empty() || self.method == *method)
            && (path.is_empty() || is_under(self.path, path))
            && is_status(self.status, *status)
            && (peer.is_empty() || self.peer == *peer)
            && (!errors || self.is_error)
            && (*direction == 0 || self.direction == *direction)
    }
}

/// `payment.shop:8080` is `payment.shop`.
fn is_service(service: &str, wanted: &str) -> bool {
    let rest = service.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn is_under(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

fn is_status(status: u32, wanted: u32) -> bool {
    match wanted {
        0 => true,
        class @ 1..=9 => status / 100 == class,
        exactly => status == exactly,
    }
}
