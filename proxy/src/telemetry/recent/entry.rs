//! One entry, made from the end of a request or of a connection. Whatever a client chose is cut to a bound and cleaned of what
//! terminals take commands by. Called only for what is remembered or watched.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use weft_proto::telemetry::{
    AttemptRecord, Direction as WireDirection, EndpointRecord, RequestRecord,
};

use super::millis;
use crate::cluster::{Circuit, Cluster, Health};
use crate::error::{Error, Token};
use crate::record::Story;
use crate::telemetry::metrics::Direction;
use crate::telemetry::trace::Traced;
use crate::telemetry::{ConnectionEnd, RequestEnd, plain};

/// Bound: bytes of a path.
const MAX_PATH: usize = 256;
/// Bound: bytes of a name.
const MAX_NAME: usize = 256;
/// Bound: bytes of what is said.
const MAX_WORDS: usize = 512;
/// Bound: attempts, the last ones; endpoints.
const MAX_LIST: usize = 16;

/// Of a request.
pub(super) fn of_request(
    end: &RequestEnd<'_>,
    traced: Option<Traced>,
    slow: bool,
) -> RequestRecord {
    let now = Instant::now();
    let record = RequestRecord {
        at: millis(SystemTime::now()),
        direction: direction(end.direction),
        method: text(end.method.as_str(), MAX_NAME),
        path: text(end.path, MAX_PATH),
        host: text(end.host, MAX_NAME),
        service: text(end.service, MAX_NAME),
        route: text(end.route, MAX_NAME),
        peer_address: address(end.peer_address),
        peer_identity: text(end.peer_identity, MAX_NAME),
        total: micros(end.duration),
        status: end.status.into(),
        grpc_status: end.grpc_status.map(u32::from),
        error: token(end.error),
        detail: text(end.denial.map_or("", |(_, why)| why), MAX_WORDS),
        denied_by: text(end.denial.map_or("", |(by, _)| by), MAX_NAME),
        request_id: text(end.request_id, MAX_NAME),
        trace_id: traced.map(|trace| trace.id.to_string()).unwrap_or_default(),
        sampled: traced.is_some_and(|trace| trace.sampled),
        slow,
        fallback: end.fallback,
        request_bytes: end.request_bytes,
        response_bytes: end.response_bytes,
        ..RequestRecord::default()
    };
    match end.story {
        Some(story) => with_story(record, end, story, now),
        None => record,
    }
}

fn with_story(
    mut record: RequestRecord,
    end: &RequestEnd<'_>,
    story: &Story,
    now: Instant,
) -> RequestRecord {
    let since = |at: Option<Instant>, from: Instant| at.map_or(0, |at| micros(at - from));
    if let Some(failure) = story.failure() {
        record.detail = text(&failure.message, MAX_WORDS);
        record.origin = failure.origin.as_ref().map(ToString::to_string).unwrap_or_default();
        record.reason = failure.reason.unwrap_or_default().to_owned();
    }
    if let Some((token, details)) = story.report() {
        record.reported = text(token, MAX_NAME);
        record.reported_detail = text(details, MAX_WORDS);
    }
    record.first_byte = since(story.answered(), end.started);
    record.connect = story.began().map_or(0, |began| since(story.written(), began));
    record.stopped = story.why_stopped().map_or_else(String::new, |why| why.as_str().to_owned());
    if let Some(cluster) = story.cluster() {
        record.backend = text(&cluster.spec.name, MAX_NAME);
        record.peer_workload = workload(cluster, end.peer_address);
        record.endpoints_all = count(cluster.endpoints.len());
        let usable = cluster.endpoints.iter().filter(|endpoint| endpoint.is_usable(now));
        record.endpoints_ready = count(usable.count());
        record.endpoints = endpoints(cluster, now);
    }
    record.attempts = attempts(&record, end, story, now);
    record
}

/// Those before the last, and the last: what becomes of the request.
fn attempts(
    record: &RequestRecord,
    end: &RequestEnd<'_>,
    story: &Story,
    now: Instant,
) -> Vec<AttemptRecord> {
    let of = |endpoint: Option<SocketAddr>, began: Option<Instant>| AttemptRecord {
        endpoint: address(endpoint),
        workload: story.cluster().map_or_else(String::new, |cluster| workload(cluster, endpoint)),
        began: began.map_or(0, |began| micros(began - end.started)),
        ..AttemptRecord::default()
    };
    let tried = story.all_tried();
    let before = tried.iter().skip((tried.len() + 1).saturating_sub(MAX_LIST));
    let mut all: Vec<_> = before
        .map(|one| AttemptRecord {
            took: micros(one.took),
            status: one.status.into(),
            error: token(one.error),
            detail: text(&one.detail, MAX_WORDS),
            ..of(one.endpoint, one.began)
        })
        .collect();
    if end.attempts > 0 {
        let over = story.answered().unwrap_or(now);
        all.push(AttemptRecord {
            took: story.began().map_or(0, |began| micros(over - began)),
            status: record.status,
            error: record.error.clone(),
            detail: record.detail.clone(),
            ..of(end.peer_address, story.began())
        });
    }
    all
}

fn endpoints(cluster: &Cluster, now: Instant) -> Vec<EndpointRecord> {
    let one = |(number, endpoint): (usize, &std::sync::Arc<crate::cluster::Endpoint>)| {
        let circuit = endpoint.outlier.circuit(now);
        let (state, left) = match circuit {
            Circuit::Open(left) => ("ejected", left),
            Circuit::HalfOpen => ("half-open", Duration::ZERO),
            Circuit::Closed if endpoint.checked.health() == Health::Unhealthy => {
                ("unhealthy", Duration::ZERO)
            }
            Circuit::Closed if cluster.is_draining(number) => ("draining", Duration::ZERO),
            Circuit::Closed => ("ready", Duration::ZERO),
        };
        EndpointRecord {
            address: endpoint.spec.address.to_string(),
            workload: text(&endpoint.spec.workload, MAX_NAME),
            state: state.to_owned(),
            ejected_for: u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX),
        }
    };
    cluster.endpoints.iter().enumerate().take(MAX_LIST).map(one).collect()
}

/// Of a connection whose bytes are opaque.
pub(super) fn of_connection(end: &ConnectionEnd<'_>) -> RequestRecord {
    RequestRecord {
        at: millis(SystemTime::now()),
        direction: direction(end.direction),
        opaque: true,
        service: text(end.service, MAX_NAME),
        route: text(end.route, MAX_NAME),
        peer_address: address(end.peer_address),
        peer_identity: text(end.peer_identity, MAX_NAME),
        total: micros(end.duration),
        error: token(end.error),
        detail: text(end.denial.map_or("", |(_, why)| why), MAX_WORDS),
        denied_by: text(end.denial.map_or("", |(by, _)| by), MAX_NAME),
        request_bytes: end.sent,
        response_bytes: end.received,
        ..RequestRecord::default()
    }
}

/// Of a connection that was not let in.
pub(super) fn of_refusal(workload: &str, client: SocketAddr, error: &Error) -> RequestRecord {
    RequestRecord {
        at: millis(SystemTime::now()),
        direction: direction(Direction::Inbound),
        opaque: true,
        service: text(workload, MAX_NAME),
        peer_address: client.to_string(),
        error: error.token().as_str().to_owned(),
        detail: text(error.message(), MAX_WORDS),
        reason: error.reason().unwrap_or_default().to_owned(),
        denied_by: text(error.denial().map_or("", |(by, _)| by), MAX_NAME),
        origin: error.origin().map(ToString::to_string).unwrap_or_default(),
        ..RequestRecord::default()
    }
}

fn direction(direction: Direction) -> i32 {
    match direction {
        Direction::Outbound => WireDirection::Outbound.into(),
        Direction::Inbound => WireDirection::Inbound.into(),
    }
}

fn workload(cluster: &Cluster, at: Option<SocketAddr>) -> String {
    let Some(at) = at else { return String::new() };
    let found = cluster.endpoints.iter().find(|endpoint| endpoint.spec.address == at);
    found.map(|endpoint| text(&endpoint.spec.workload, MAX_NAME)).unwrap_or_default()
}

fn token(token: Option<Token>) -> String {
    token.map_or_else(String::new, |token| token.as_str().to_owned())
}

fn address(address: Option<SocketAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

fn text(text: &str, most: usize) -> String {
    plain(text, most).into_owned()
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
