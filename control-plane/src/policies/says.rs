//! What one object says, in a line. Pure. Only what is written shows: what is left to the defaults is not repeated.

use std::time::Duration;

use crate::model::{
    AccessAction, AccessLog, AccessPolicy, Balancer, InboundPolicy, MeshConfig, MtlsMode, Origin,
    Route, TelemetryPolicy, TrafficPolicy,
};

/// `2 rules`, and for whom.
pub(super) fn route(route: &Route, callers: Option<&str>) -> String {
    let rules = count(route.rules.len(), "rule");
    match callers {
        None => rules,
        Some(namespace) => format!("{rules}, for callers in {namespace} only"),
    }
}

pub(super) fn traffic(policy: &TrafficPolicy) -> String {
    let limits = policy.limits;
    let bound = |of: Option<u32>, what: &str| of.map(|most| format!("at most {most} {what}"));
    let parts = [
        balancer(&policy.balancer).map(str::to_owned),
        policy.slow_start.map(|slow| format!("slow start over {}", span(slow.window))),
        policy.prefer_local.then(|| "near endpoints first".to_owned()),
        policy.affinity.as_ref().map(|affinity| format!("sessions by cookie {}", affinity.cookie)),
        policy.connect_timeout.map(|limit| format!("connect within {}", span(limit))),
        bound(limits.requests, "requests at once"),
        bound(limits.connections, "connections"),
        bound(limits.pending_requests, "requests waiting"),
        bound(limits.retries, "retries at once"),
        policy.retries.as_ref().map(|retries| {
            let each =
                retries.per_try_timeout.map(|limit| format!(", each within {}", span(limit)));
            let attempts = usize::try_from(retries.attempts).unwrap_or(usize::MAX);
            let retries = if attempts == 1 { "retry" } else { "retries" };
            format!("{attempts} {retries}{}", each.unwrap_or_default())
        }),
        policy.outlier_detection.as_ref().map(|found| match found.consecutive_failures {
            0 => "ejection as written".to_owned(),
            failures => format!("ejection after {failures} failures in a row"),
        }),
        policy.health_check.as_ref().map(|check| format!("checked every {}", span(check.interval))),
        policy.fallback.as_ref().map(|fallback| format!("falls back to {}", fallback.status)),
    ];
    joined(parts)
}

pub(super) fn inbound(policy: &InboundPolicy) -> String {
    let limits = policy.rate_limits.len();
    joined([
        policy.mtls.map(|mode| format!("mTLS {}", mtls(mode))),
        policy.default_access.map(|default| format!("access {}", default.name())),
        (limits > 0).then(|| count(limits, "rate limit")),
    ])
}

pub(super) fn access(policy: &AccessPolicy) -> String {
    if policy.origin == Origin::default() {
        return "a policy that cannot be read, so everything is denied".to_owned();
    }
    let action = match policy.action {
        AccessAction::Allow => "allows",
        AccessAction::Deny => "denies",
        AccessAction::Audit => "audits",
    };
    let names: Vec<&str> = policy.rules.iter().map(|rule| rule.name.as_str()).take(8).collect();
    let more = if policy.rules.len() > names.len() { " …" } else { "" };
    format!("{action} by {}: {}{more}", count(policy.rules.len(), "rule"), names.join(", "))
}

pub(super) fn telemetry(policy: &TelemetryPolicy) -> String {
    joined([policy.sampling.map(sampled), policy.access_log.as_ref().map(logged)])
}

pub(super) fn defaults(config: &MeshConfig) -> String {
    joined([
        Some(format!("mTLS {}", mtls(config.mtls))),
        Some(format!("access {}", config.default_access.name())),
        Some(sampled(config.tracing_sampling)),
        config.access_log.as_ref().map(logged),
    ])
}

fn sampled(share: f64) -> String {
    format!("{} of traces", percent(share))
}

fn logged(log: &AccessLog) -> String {
    format!("logs what fails and {} of the rest", percent(log.successes))
}

fn mtls(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Strict => "STRICT",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Disable => "DISABLE",
    }
}

fn balancer(balancer: &Balancer) -> Option<&'static str> {
    match balancer {
        Balancer::RoundRobin => Some("in turn"),
        Balancer::Random => Some("at random"),
        Balancer::LeastRequest => Some("least requests"),
        Balancer::PeakEwma => None,
        Balancer::RingHash(_) => Some("hash ring"),
    }
}

/// With what is written; a policy that writes nothing says so.
fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing but the defaults".to_owned() } else { parts.join(", ") }
}

fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn span(of: Duration) -> String {
    match of.as_millis() {
        millis if millis.is_multiple_of(1000) => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}
