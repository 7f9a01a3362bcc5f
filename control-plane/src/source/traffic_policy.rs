//! `TrafficPolicy` to [`model::TrafficPolicy`](crate::model::TrafficPolicy); its targets are looked up by
//! `assemble`.

mod balancing;
mod resilience;
#[cfg(test)]
mod tests;

use crate::model::{Balancer, Key, Origin, RetryBudget, RetryOn, RetryPolicy, TrafficPolicy};

use super::duration;
use super::metadata::Identity;
use super::names::{self, within};
use super::problem::Problems;
use super::schema::NumberOrText;
use super::schema::policy::{Retries, TargetRef, TrafficPolicySpec};

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
/// Bounds of Weft.
const MAX_ATTEMPTS: u32 = 10;
const MAX_CONDITIONS: usize = 16;

/// What is retried where a policy asks for retries and does not say when.
const DEFAULT_ON: [RetryOn; 4] =
    [RetryOn::ConnectFailure, RetryOn::RefusedStream, RetryOn::Reset, RetryOn::GatewayError];
/// How often where it does not say how often.
const DEFAULT_ATTEMPTS: u32 = 2;

/// Reads one.
pub(crate) fn read(spec: TrafficPolicySpec, id: Identity, problems: &mut Problems) -> TrafficDraft {
    let targets = targets(&spec.target_refs, &id.key.namespace, problems);
    let timeout = spec.connect_timeout.as_deref();
    let policy = TrafficPolicy {
        origin: Origin::default(),
        balancer: spec
            .load_balancer
            .map_or_else(Balancer::default, |spec| balancing::balancer(&spec, problems)),
        affinity: spec.session_affinity.map(|written| balancing::affinity(written, problems)),
        connect_timeout: duration::positive(timeout, "spec.connectTimeout", problems),
        limits: spec.limits.map(|spec| resilience::limits(&spec, problems)).unwrap_or_default(),
        outlier_detection: spec
            .outlier_detection
            .map(|spec| resilience::outlier_detection(&spec, problems)),
        retries: spec.retries.map(|spec| retries(&spec, problems)),
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

fn retries(spec: &Retries, problems: &mut Problems) -> RetryPolicy {
    let bounds = (0, MAX_ATTEMPTS);
    let attempts = spec.attempts.map_or(Some(DEFAULT_ATTEMPTS), |attempts| {
        within(attempts, bounds, "spec.retries.attempts", problems)
    });
    let mut budget = RetryBudget::default();
    if let Some(spec) = &spec.budget {
        let field = |name: &str| format!("spec.retries.budget.{name}");
        if let Some(percent) = spec.percent {
            budget.percent = within(percent, (0, 100), &field("percent"), problems).unwrap_or(0);
        }
        if let Some(floor) = spec.min_retries_per_second {
            let field = field("minRetriesPerSecond");
            budget.min_per_second = within(floor, (0, 10_000), &field, problems).unwrap_or(0);
        }
    }
    let per_try = spec.per_try_timeout.as_deref();
    RetryPolicy {
        attempts: attempts.unwrap_or(0),
        on: conditions(spec.conditions.as_deref(), problems),
        per_try_timeout: duration::positive(per_try, "spec.retries.perTryTimeout", problems),
        budget,
    }
}

fn conditions(written: Option<&[NumberOrText]>, problems: &mut Problems) -> Vec<RetryOn> {
    let Some(written) = written else { return DEFAULT_ON.to_vec() };
    names::at_most(written.len(), MAX_CONDITIONS, "spec.retries.conditions", problems);
    let mut conditions = Vec::new();
    for (index, word) in written.iter().enumerate().take(MAX_CONDITIONS) {
        match condition(word) {
            Some(condition) if conditions.contains(&condition) => {}
            Some(condition) => conditions.push(condition),
            None => problems.invalid_hint(
                format!("spec.retries.conditions[{index}]"),
                match word {
                    NumberOrText::Number(number) => format!("{number} is not a status to retry"),
                    NumberOrText::Text(text) => format!("{text:?} is not a condition"),
                },
                "connect-failure, refused-stream, reset, gateway-error, 5xx, or a status from 400 to 599",
            ),
        }
    }
    conditions
}

fn condition(word: &NumberOrText) -> Option<RetryOn> {
    let number = match word {
        NumberOrText::Number(number) => Some(*number),
        NumberOrText::Text(text) => text.parse().ok(),
    };
    if let Some(number) = number {
        let status = u16::try_from(number).ok().filter(|status| (400..600).contains(status));
        return status.map(RetryOn::Status);
    }
    match word {
        NumberOrText::Text(text) => match text.as_str() {
            "connect-failure" => Some(RetryOn::ConnectFailure),
            "refused-stream" => Some(RetryOn::RefusedStream),
            "reset" => Some(RetryOn::Reset),
            "gateway-error" => Some(RetryOn::GatewayError),
            "5xx" => Some(RetryOn::ServerError),
            _ => None,
        },
        NumberOrText::Number(_) => None,
    }
}
