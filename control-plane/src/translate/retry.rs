//! Retries of one rule: the rule's own, else what the policy of the Service that the caller named asks for.

use std::time::Duration;

use weft_proto::envoy::previous_hosts::PreviousHostsPredicate;
use weft_proto::envoy::route::RetryPolicy;
use weft_proto::envoy::route::retry_policy::{
    RateLimitedRetryBackOff, ResetHeader, ResetHeaderFormat, RetryBackOff, RetryHostPredicate,
    retry_host_predicate,
};

use super::ports::Port;
use super::value::{any, duration, uint32};
use crate::model::{Backoff, RetryOn, RouteRule, RuleRetry};

/// Retries where neither rule nor policy says how many.
const DEFAULT_RETRIES: u32 = 2;
/// Always retried: it is certain that no application saw the request.
const ALWAYS: [&str; 2] = ["connect-failure", "refused-stream"];
/// The longest `Retry-After` that is waited for; a longer one ends the retries.
const LONGEST_HINT: Duration = Duration::from_secs(5);
/// How often an Envoy draws again while it draws endpoints that the request has been at: so often that it errs once in
/// 300,000 where one of three is left. weft-proxy looks at all.
const OTHER_HOSTS: i64 = 30;

/// What is retried, how often, how fast.
struct Wanted<'a> {
    on: Vec<&'a str>,
    statuses: Vec<u32>,
    attempts: u32,
    backoff: Option<Backoff>,
}

/// The policy of one rule. The limit on one attempt comes from the rule, which is nearer to the request, else from
/// the policy.
pub(super) fn policy(port: &Port<'_>, rule: &RouteRule) -> RetryPolicy {
    let policy = port.policy.and_then(|policy| policy.retries.as_ref());
    let wanted = match (&rule.retry, policy) {
        (Some(retry), _) => of_rule(retry),
        (None, Some(policy)) => {
            Wanted { attempts: policy.attempts, backoff: policy.backoff, ..conditions(&policy.on) }
        }
        (None, None) => conditions(&[]),
    };
    let per_try = policy.and_then(|policy| policy.per_try_timeout);
    let limit = rule.timeouts.backend_request.or(per_try);
    RetryPolicy {
        retry_on: wanted.on.join(","),
        num_retries: Some(uint32(wanted.attempts)),
        retriable_status_codes: wanted.statuses,
        per_try_timeout: limit.filter(|limit| !limit.is_zero()).map(duration),
        retry_back_off: wanted.backoff.map(|backoff| RetryBackOff {
            base_interval: Some(duration(backoff.base)),
            max_interval: Some(duration(backoff.maximum)),
        }),
        rate_limited_retry_back_off: Some(retry_after()),
        retry_host_predicate: vec![previous_hosts()],
        host_selection_retry_max_attempts: OTHER_HOSTS,
        ..Default::default()
    }
}

/// GEP-1731: whoever asks for retries of answers has connections that fail retried too.
fn of_rule(retry: &RuleRetry) -> Wanted<'static> {
    let codes = retry.codes.iter().map(|code| RetryOn::Status(*code));
    let conditions: Vec<_> = std::iter::once(RetryOn::Reset).chain(codes).collect();
    let wanted = self::conditions(&conditions);
    Wanted {
        attempts: retry.attempts.unwrap_or(DEFAULT_RETRIES),
        // Compat: Envoy takes no pause of nothing.
        backoff: retry
            .backoff
            .filter(|base| !base.is_zero())
            .map(|base| Backoff { base, maximum: base * 10 }),
        ..wanted
    }
}

fn conditions(conditions: &[RetryOn]) -> Wanted<'static> {
    let mut on: Vec<&'static str> = ALWAYS.to_vec();
    let mut statuses = Vec::new();
    for condition in conditions {
        let word = match condition {
            RetryOn::ConnectFailure => "connect-failure",
            RetryOn::RefusedStream => "refused-stream",
            RetryOn::Reset => "reset",
            RetryOn::GatewayError => "gateway-error",
            RetryOn::ServerError => "5xx",
            RetryOn::Status(status) => {
                statuses.push(u32::from(*status));
                "retriable-status-codes"
            }
            RetryOn::Cancelled => "cancelled",
            RetryOn::DeadlineExceeded => "deadline-exceeded",
            RetryOn::Internal => "internal",
            RetryOn::ResourceExhausted => "resource-exhausted",
            RetryOn::Unavailable => "unavailable",
        };
        if !on.contains(&word) {
            on.push(word);
        }
    }
    Wanted { on, statuses, attempts: DEFAULT_RETRIES, backoff: None }
}

fn retry_after() -> RateLimitedRetryBackOff {
    RateLimitedRetryBackOff {
        reset_headers: vec![ResetHeader {
            name: "retry-after".to_owned(),
            format: ResetHeaderFormat::Seconds.into(),
        }],
        max_interval: Some(duration(LONGEST_HINT)),
    }
}

fn previous_hosts() -> RetryHostPredicate {
    let config = any(&PreviousHostsPredicate::default());
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(config)),
    }
}

#[cfg(test)]
mod tests;
