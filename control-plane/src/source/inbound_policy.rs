//! `InboundPolicy` to [`model::InboundPolicy`](crate::model::InboundPolicy).

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::model::{InboundPolicy, Key, Origin, RateLimit, RateLimitKey};

use super::duration;
use super::mesh_config::{default_access, mode};
use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::policy::{InboundPolicySpec, RateLimit as LimitSpec, RateLimitKey as KeySpec};

/// A policy with its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InboundDraft {
    pub(crate) key: Key,
    pub(crate) policy: InboundPolicy,
}

/// Bound: ports of one policy.
const MAX_PORTS: usize = 256;
/// Bounds of rate limits. A shorter period than 50 ms is none that Envoy takes.
const MAX_LIMITS: usize = 8;
const MAX_REQUESTS: u32 = 1_000_000;
const PERIOD: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3600));

/// Reads one.
pub(crate) fn read(spec: InboundPolicySpec, id: Identity, problems: &mut Problems) -> InboundDraft {
    if spec.selector.match_expressions.is_some() {
        let field = "spec.selector.matchExpressions";
        problems.unsupported(field, "only matchLabels is supported");
    }
    names::at_most(spec.ports.len(), MAX_PORTS, "spec.ports", problems);
    let mut ports = Vec::new();
    for (index, port) in spec.ports.iter().enumerate().take(MAX_PORTS) {
        ports.extend(names::port(*port, &format!("spec.ports[{index}]"), problems));
    }
    let rate_limits = rate_limits(&spec.rate_limits, problems);
    if spec.mtls.is_none() && spec.default_access.is_none() && rate_limits.is_empty() {
        let hint = "write mtls, defaultAccess or rateLimits";
        problems.invalid_hint("spec", "the policy asks for nothing", hint);
    }
    let policy = InboundPolicy {
        origin: Origin::default(),
        created: id.created,
        namespace: id.key.namespace.clone(),
        selector: spec.selector.match_labels,
        ports,
        mtls: spec.mtls.map(mode),
        default_access: spec.default_access.map(default_access),
        rate_limits,
    };
    InboundDraft { key: id.key, policy }
}

fn rate_limits(written: &[LimitSpec], problems: &mut Problems) -> Vec<RateLimit> {
    names::at_most(written.len(), MAX_LIMITS, "spec.rateLimits", problems);
    let mut limits: Vec<RateLimit> = Vec::new();
    for (index, spec) in written.iter().enumerate().take(MAX_LIMITS) {
        let field = format!("spec.rateLimits[{index}]");
        let at = |name: &str| format!("{field}.{name}");
        let requests = names::within(spec.requests, (1, MAX_REQUESTS), &at("requests"), problems);
        let burst = spec.burst.unwrap_or(0);
        let burst = names::within(burst, (0, MAX_REQUESTS), &at("burst"), problems);
        let per = duration::optional(Some(&spec.per), &at("per"), problems);
        if per.is_some_and(|per| per < PERIOD.0 || per > PERIOD.1) {
            problems.invalid(at("per"), "must be within 50ms and 1h");
        }
        limits.push(RateLimit {
            requests: requests.unwrap_or(1),
            per: per.unwrap_or(PERIOD.1),
            burst: burst.unwrap_or(0),
            key: key(spec.key.as_ref(), &at("key.header"), problems),
        });
    }
    limits
}

fn key(written: Option<&KeySpec>, field: &str, problems: &mut Problems) -> RateLimitKey {
    match written {
        None => RateLimitKey::Everybody,
        Some(KeySpec::CallerIdentity) => RateLimitKey::CallerIdentity,
        Some(KeySpec::Header(name)) => {
            if !names::is_token(name) {
                problems.invalid(field, format!("{name:?} is not a header name"));
            }
            RateLimitKey::Header(name.to_ascii_lowercase())
        }
    }
}
