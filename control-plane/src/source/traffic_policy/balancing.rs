//! `loadBalancer` and `sessionAffinity` of a TrafficPolicy.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::model::{Balancer, HashOn, RingHash, SessionAffinity, SlowStart};
use crate::source::duration;
use crate::source::names::{self, within};
use crate::source::problem::Problems;
use crate::source::schema::balancing::{
    BalancerName, HashOn as WrittenHash, LoadBalancer, LocalityMode,
    SessionAffinity as WrittenAffinity,
};

/// Bounds of Weft: a ring is built anew whenever an endpoint leaves or returns.
const MAX_RING: u32 = 65_536;
/// Envoy's.
const LARGEST_RING: u32 = 8_388_608;
const MAX_HASHES: usize = 8;

/// Reads it.
pub(super) fn balancer(spec: &LoadBalancer, problems: &mut Problems) -> Balancer {
    if spec.policy != BalancerName::RingHash {
        for (field, written) in
            [("hashOn", spec.hash_on.is_some()), ("ringSize", spec.ring_size.is_some())]
        {
            if written {
                let reason = "is for policy RingHash only";
                problems.invalid(format!("spec.loadBalancer.{field}"), reason);
            }
        }
    }
    match spec.policy {
        BalancerName::RoundRobin => Balancer::RoundRobin,
        BalancerName::Random => Balancer::Random,
        BalancerName::LeastRequest => Balancer::LeastRequest,
        BalancerName::PeakEwma => Balancer::PeakEwma,
        BalancerName::RingHash => Balancer::RingHash(ring_hash(spec, problems)),
    }
}

fn ring_hash(spec: &LoadBalancer, problems: &mut Problems) -> RingHash {
    let mut ring = RingHash::default();
    let written = spec.hash_on.as_deref().unwrap_or_default();
    let field = "spec.loadBalancer.hashOn";
    names::at_most(written.len(), MAX_HASHES, field, problems);
    if written.is_empty() {
        let hint = "write what the key is, as in hashOn: [{header: x-user}]";
        problems.invalid_hint(field, "RingHash needs at least one key", hint);
    }
    let parts = written.iter().enumerate().take(MAX_HASHES);
    let parts = parts.filter_map(|(at, part)| hash_on(part, &format!("{field}[{at}]"), problems));
    ring.hash_on = parts.collect();
    let size = spec.ring_size.as_ref();
    if let Some(minimum) = size.and_then(|size| size.minimum) {
        let field = "spec.loadBalancer.ringSize.minimum";
        ring.minimum = within(minimum, (1, MAX_RING), field, problems).unwrap_or(1);
    }
    let field = "spec.loadBalancer.ringSize.maximum";
    if let Some(maximum) = size.and_then(|size| size.maximum) {
        ring.maximum = within(maximum, (1, LARGEST_RING), field, problems).unwrap_or(LARGEST_RING);
    }
    if ring.maximum < ring.minimum {
        problems.invalid(field, format!("is less than the minimum, {}", ring.minimum));
    }
    ring
}

fn hash_on(part: &WrittenHash, field: &str, problems: &mut Problems) -> Option<HashOn> {
    match (&part.header, &part.cookie, &part.source_address) {
        (Some(header), None, None) => {
            if !names::is_token(header) {
                problems.invalid(format!("{field}.header"), format!("{header:?} is not a header"));
            }
            Some(HashOn::Header(header.to_ascii_lowercase()))
        }
        (None, Some(cookie), None) => {
            let name = &cookie.name;
            if !names::is_token(name) {
                let field = format!("{field}.cookie.name");
                problems.invalid(field, format!("{name:?} is not a cookie's name"));
            }
            Some(HashOn::Cookie(name.clone()))
        }
        (None, None, Some(_)) => Some(HashOn::SourceAddress),
        _ => {
            problems.invalid(field, "must have exactly one of header, cookie and sourceAddress");
            None
        }
    }
}

/// Reads `slowStart`.
pub(super) fn slow_start(spec: &LoadBalancer, problems: &mut Problems) -> Option<SlowStart> {
    let written = spec.slow_start.as_ref()?;
    let field = "spec.loadBalancer.slowStart";
    if matches!(spec.policy, BalancerName::Random | BalancerName::RingHash) {
        problems.invalid(field, "is for the policies RoundRobin, LeastRequest and PeakEwma only");
    }
    let window = duration::positive(Some(&written.window), &format!("{field}.window"), problems)?;
    let percent = written.minimum_percent.unwrap_or(10);
    let field = format!("{field}.minimumPercent");
    let minimum_percent = within(percent, (1, 100), &field, problems)?;
    Some(SlowStart { window, minimum_percent })
}

/// Reads `locality`.
pub(super) fn prefer_local(spec: &LoadBalancer) -> bool {
    spec.locality.as_ref().is_some_and(|locality| locality.mode == LocalityMode::PreferLocal)
}

/// Name of the cookie where none is written.
const AFFINITY_COOKIE: &str = "weft-affinity";

/// Reads `sessionAffinity`.
pub(super) fn affinity(written: WrittenAffinity, problems: &mut Problems) -> SessionAffinity {
    let cookie = written.cookie;
    let name = cookie.name.unwrap_or_else(|| AFFINITY_COOKIE.to_owned());
    if !names::is_token(&name) {
        let field = "spec.sessionAffinity.cookie.name";
        problems.invalid(field, format!("{name:?} is not a cookie's name"));
    }
    let path = cookie.path.unwrap_or_else(|| "/".to_owned());
    let plain = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b';';
    if !path.starts_with('/') || path.len() > 1024 || !path.bytes().all(plain) {
        let reason = format!("{path:?} is not a path; it begins with / and has no ; or space");
        problems.invalid("spec.sessionAffinity.cookie.path", reason);
    }
    let field = "spec.sessionAffinity.cookie.ttl";
    let ttl = duration::positive(cookie.ttl.as_deref(), field, problems);
    if ttl.is_some_and(|ttl| ttl < Duration::from_secs(1) && !ttl.is_zero()) {
        problems.invalid(field, "cookies live for whole seconds");
    }
    SessionAffinity { cookie: name, path, ttl }
}
