//! `TrafficPolicy` to [`model::TrafficPolicy`](crate::model::TrafficPolicy); its targets are looked up by
//! `assemble`.

mod balancing;
mod fallback;
mod health_check;
mod resilience;
mod retries;
#[cfg(test)]
mod tests;

use crate::model::{Key, Origin, TrafficPolicy};

use super::duration;
use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::NumberOrText;
use super::schema::policy::{TargetRef, TrafficPolicySpec};

/// A policy whose targets are still names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrafficDraft {
    pub(crate) key: Key,
    pub(crate) created: i64,
    pub(crate) policy: TrafficPolicy,
    pub(crate) targets: Vec<Target>,
}

/// One `targetRef`, in the policy's namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) service: Key,
    /// Port name or number; absent means the whole Service.
    pub(crate) section: Option<NumberOrText>,
}

/// Bound of the Gateway API on `targetRefs`.
const MAX_TARGETS: usize = 16;

/// Reads one.
pub(crate) fn read(spec: TrafficPolicySpec, id: Identity, problems: &mut Problems) -> TrafficDraft {
    let targets = targets(&spec.target_refs, &id.key.namespace, problems);
    let timeout = spec.connect_timeout.as_deref();
    let balancer = spec.load_balancer.as_ref();
    let policy = TrafficPolicy {
        origin: Origin::default(),
        slow_start: balancer.and_then(|spec| balancing::slow_start(spec, problems)),
        prefer_local: balancer.is_some_and(balancing::prefer_local),
        balancer: balancer.map(|spec| balancing::balancer(spec, problems)).unwrap_or_default(),
        health_check: spec.health_check.and_then(|written| health_check::read(&written, problems)),
        affinity: spec.session_affinity.map(|written| balancing::affinity(written, problems)),
        connect_timeout: duration::positive(timeout, "spec.connectTimeout", problems),
        limits: spec.limits.map(|spec| resilience::limits(&spec, problems)).unwrap_or_default(),
        outlier_detection: spec
            .outlier_detection
            .map(|spec| resilience::outlier_detection(&spec, problems)),
        retries: spec.retries.map(|spec| retries::read(&spec, problems)),
        fallback: spec.fallback.map(|spec| fallback::read(&spec, problems)),
    };
    TrafficDraft { key: id.key, created: id.created, policy, targets }
}

fn targets(refs: &[TargetRef], namespace: &str, problems: &mut Problems) -> Vec<Target> {
    names::at_most(refs.len(), MAX_TARGETS, "spec.targetRefs", problems);
    if refs.is_empty() {
        problems.invalid("spec.targetRefs", "must name at least one Service");
    }
    let mut targets = Vec::new();
    for (index, target) in refs.iter().enumerate().take(MAX_TARGETS) {
        let field = format!("spec.targetRefs[{index}]");
        if !matches!((target.group.as_str(), target.kind.as_str()), ("" | "core", "Service")) {
            problems.invalid_hint(
                format!("{field}.kind"),
                format!("a TrafficPolicy cannot target a {}", target.kind),
                "target a Service (group \"\", kind Service)",
            );
        }
        let service = Key::new(namespace, &target.name);
        targets.push(Target { service, section: target.section_name.clone() });
    }
    targets
}
