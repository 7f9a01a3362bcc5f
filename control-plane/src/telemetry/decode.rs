//! From the wire to the store's own words. Pure; called by the telemetry service for each message.
//!
//! What cannot be read is left out and counted: a proxy of another version must not lose its whole report
//! over one field.

use std::sync::Arc;

use weft_proto::latency;
use weft_proto::telemetry::{self as wire, EdgeDelta};

use super::broken::Broken;
use super::store::{Direction, EdgeKey, ProxyState};
use super::tally::{Counters, Increment};

// Bound: names of objects and SPIFFE ids are far shorter.
const MAX_TEXT: usize = 512;
// Bound: the proxy's table of error tokens is shorter.
const MAX_ERRORS: usize = 32;

/// SHA-256 in hexadecimal.
const ROOT_DIGITS: usize = 64;
// Bound: roots of a proxy; a trust bundle has less.
const MAX_ROOTS: usize = 100;

/// One edge's key and increment; `None` if it has no direction, an oversized text, or a bucket that the
/// histograms do not have.
pub(crate) fn edge(reporter: &Arc<str>, delta: EdgeDelta) -> Option<(EdgeKey, Increment)> {
    let direction = match delta.direction() {
        wire::Direction::Inbound => Direction::Inbound,
        wire::Direction::Outbound => Direction::Outbound,
        wire::Direction::Unspecified => return None,
    };
    let texts = [&delta.peer, &delta.route, &delta.backend];
    if texts.iter().any(|text| text.len() > MAX_TEXT) || delta.errors.len() > MAX_ERRORS {
        return None;
    }
    let increment = Increment {
        counters: counters(&delta),
        latency: histogram(&delta.latency)?,
        errors: errors(&delta)?,
    };
    let key = EdgeKey {
        direction,
        reporter: reporter.clone(),
        peer: delta.peer.into(),
        route: delta.route.into(),
        backend: delta.backend.into(),
    };
    Some((key, increment))
}

/// What a proxy says of itself, as of `now`.
pub(crate) fn proxy(state: wire::ProxyState, now: u64) -> ProxyState {
    let clip = |mut text: String| {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text
    };
    let is_root = |root: &String| root.len() == ROOT_DIGITS;
    let roots = state.roots.into_iter().filter(is_root).take(MAX_ROOTS).collect();
    let leaf_root = Some(state.leaf_root).filter(is_root).unwrap_or_default();
    ProxyState {
        version: clip(state.version),
        leaf_not_after: state.leaf_not_after,
        leaf_not_before: state.leaf_not_before,
        spans_started: state.spans_started,
        spans_exported: state.spans_exported,
        spans_dropped: state.spans_dropped,
        stale: state.stale,
        draining: state.draining,
        log_lines_dropped: state.log_lines_dropped,
        leaf_root,
        roots,
        config_version: clip(state.config_version),
        config_age: state.config_age_seconds,
        broken: None,
        reported: now,
    }
}

/// What it says of its workload.
pub(crate) fn broken(said: wire::BrokenTraces) -> Broken {
    Broken { since: said.since, calls: said.calls }
}

fn counters(delta: &EdgeDelta) -> Counters {
    Counters {
        requests: delta.requests,
        failures: delta.failures,
        retries: delta.retries,
        mtls: delta.mtls,
        connections: delta.connections,
        bytes_sent: delta.bytes_sent,
        bytes_received: delta.bytes_received,
    }
}

fn histogram(buckets: &[wire::Bucket]) -> Option<Vec<(u8, u32)>> {
    let mut increment = Increment::default();
    for bucket in buckets {
        let index =
            u8::try_from(bucket.index).ok().filter(|i| usize::from(*i) < latency::BUCKETS)?;
        let count = u32::try_from(bucket.count).unwrap_or(u32::MAX);
        increment.add_latency(index, count);
    }
    Some(increment.latency)
}

fn errors(delta: &EdgeDelta) -> Option<Vec<(Arc<str>, u32)>> {
    let mut errors = Vec::with_capacity(delta.errors.len());
    for (token, count) in &delta.errors {
        if token.len() > MAX_TEXT {
            return None;
        }
        errors.push((Arc::from(token.as_str()), u32::try_from(*count).unwrap_or(u32::MAX)));
    }
    Some(errors)
}

#[cfg(test)]
mod tests;
