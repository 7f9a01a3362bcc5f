//! RetryPolicy → [`RetryPolicy`]. What the application surely never saw is retried in any case, so the words
//! for that (`connect-failure`, `refused-stream`) are taken and change nothing.

use std::mem::take;

use http::StatusCode;
use weft_proto::envoy::route::RetryPolicy as ProtoPolicy;

use super::super::reject::{Reject, each, nothing_else};
use super::super::value::duration;
use crate::model::{RetryOn, RetryPolicy};

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
            _ => return Err(Reject::new("retry_on", format!("{word:?} is not supported"))),
        }
    }
    if statuses {
        let codes = take(&mut policy.retriable_status_codes);
        on.extend(each("retriable_status_codes", codes, status)?);
    }
    nothing_else(&policy)?;
    let per_try_timeout = per_try_timeout.filter(|limit| !limit.is_zero());
    Ok(RetryPolicy { attempts, on, per_try_timeout })
}

fn status(code: u32) -> Result<RetryOn, Reject> {
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| Reject::new("", format!("{code} is not a status")))?;
    Ok(RetryOn::Status(status))
}
