//! RetryPolicy → [`RetryPolicy`]. What the application surely never saw is retried in any case, at another endpoint
//! first, so the words for that (`connect-failure`, `refused-stream`, `previous_hosts`) are taken and change nothing.

use std::mem::take;
use std::time::Duration;

use http::StatusCode;
use weft_proto::envoy::previous_hosts::PreviousHostsPredicate;
use weft_proto::envoy::route::RetryPolicy as ProtoPolicy;
use weft_proto::envoy::route::retry_policy::{
    RateLimitedRetryBackOff, ResetHeader, ResetHeaderFormat, RetryBackOff, RetryHostPredicate,
    retry_host_predicate,
};

use super::super::reject::{At, Reject, each, nothing_else};
use super::super::value::{duration, required, unpack};
use crate::model::{Backoff, RetryOn, RetryPolicy};

/// Bound: attempts of one request.
const MAX_ATTEMPTS: u32 = 100;

/// Decodes it; absent means that nothing is asked for.
pub(super) fn policy(policy: Option<ProtoPolicy>) -> Result<RetryPolicy, Reject> {
    let Some(mut policy) = policy else { return Ok(RetryPolicy::default()) };
    let attempts = policy.num_retries.take().map_or(1, |retries| retries.value);
    if attempts > MAX_ATTEMPTS {
        return Err(Reject::new("num_retries", format!("{attempts} is more than {MAX_ATTEMPTS}")));
    }
    let per_try_timeout = duration("per_try_timeout", &mut policy.per_try_timeout)?;
    let on = conditions(&mut policy)?;
    let backoff = match policy.retry_back_off.take() {
        Some(backoff) => Some(self::backoff(backoff).at("retry_back_off")?),
        None => None,
    };
    let longest_retry_after = match policy.rate_limited_retry_back_off.take() {
        Some(limited) => Some(retry_after(limited).at("rate_limited_retry_back_off")?),
        None => None,
    };
    each("retry_host_predicate", take(&mut policy.retry_host_predicate), previous_hosts)?;
    // All endpoints are looked at, however many Envoy would try.
    policy.host_selection_retry_max_attempts = 0;
    nothing_else(&policy)?;
    let per_try_timeout = per_try_timeout.filter(|limit| !limit.is_zero());
    Ok(RetryPolicy { attempts, on, per_try_timeout, backoff, longest_retry_after })
}

fn conditions(policy: &mut ProtoPolicy) -> Result<Vec<RetryOn>, Reject> {
    let mut on = Vec::new();
    let mut statuses = false;
    let words = take(&mut policy.retry_on);
    for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "connect-failure" | "refused-stream" => {}
            "reset" => on.push(RetryOn::Reset),
            "gateway-error" => on.push(RetryOn::GatewayError),
            "5xx" => on.push(RetryOn::ServerError),
            "retriable-status-codes" => statuses = true,
            "cancelled" => on.push(RetryOn::Grpc(1)),
            "deadline-exceeded" => on.push(RetryOn::Grpc(4)),
            "resource-exhausted" => on.push(RetryOn::Grpc(8)),
            "internal" => on.push(RetryOn::Grpc(13)),
            "unavailable" => on.push(RetryOn::Grpc(14)),
            _ => return Err(Reject::new("retry_on", format!("{word:?} is not supported"))),
        }
    }
    if statuses {
        let codes = take(&mut policy.retriable_status_codes);
        on.extend(each("retriable_status_codes", codes, status)?);
    }
    Ok(on)
}

/// Envoy's longest pause, where only the shortest is named, is ten times that.
fn backoff(mut backoff: RetryBackOff) -> Result<Backoff, Reject> {
    let base = duration("base_interval", &mut backoff.base_interval)?.unwrap_or_default();
    let maximum = duration("max_interval", &mut backoff.max_interval)?;
    nothing_else(&backoff)?;
    if base < Duration::from_millis(1) {
        return Err(Reject::new("base_interval", "must be at least 1 ms"));
    }
    let maximum = maximum.unwrap_or(base * 10);
    if maximum < base {
        return Err(Reject::new("max_interval", "is shorter than base_interval"));
    }
    Ok(Backoff { base, maximum })
}

/// The longest `Retry-After` that counts.
fn retry_after(mut limited: RateLimitedRetryBackOff) -> Result<Duration, Reject> {
    let headers = take(&mut limited.reset_headers);
    let longest = duration("max_interval", &mut limited.max_interval)?;
    nothing_else(&limited)?;
    let is_retry_after = |header: &ResetHeader| {
        header.name.eq_ignore_ascii_case("retry-after")
            && header.format == ResetHeaderFormat::Seconds as i32
    };
    if headers.len() != 1 || !is_retry_after(&headers[0]) {
        return Err(Reject::new("reset_headers", "only retry-after in seconds is supported"));
    }
    // Envoy's own bound.
    Ok(longest.unwrap_or(Duration::from_mins(5)))
}

fn previous_hosts(mut predicate: RetryHostPredicate) -> Result<(), Reject> {
    predicate.name = String::new();
    let config = required("typed_config", &mut predicate.config_type)?;
    let retry_host_predicate::ConfigType::TypedConfig(config) = config;
    let _: PreviousHostsPredicate = unpack("typed_config", Some(config))?;
    nothing_else(&predicate)
}

fn status(code: u32) -> Result<RetryOn, Reject> {
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| Reject::new("", format!("{code} is not a status")))?;
    Ok(RetryOn::Status(status))
}
