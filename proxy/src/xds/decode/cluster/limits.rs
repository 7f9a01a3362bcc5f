//! CircuitBreakers and the metadata beside them → [`LimitsSpec`] and [`BudgetSpec`].

use std::mem::take;
use std::time::Duration;

use weft_proto::envoy::cluster::{CircuitBreakers, circuit_breakers::Thresholds};
use weft_proto::envoy::core::Metadata;
use weft_proto::google::{Struct, value::Kind};
use weft_proto::names::metadata as keys;

use super::super::reject::{At, Reject, nothing_else};
use crate::model::{BudgetSpec, LimitsSpec};

/// What bounds retries where nobody says: 20 %, and 10 a second so that quiet clients may retry too.
const BUDGET: BudgetSpec = BudgetSpec { percent: 20, min_per_second: 10 };
/// Bound of a number in metadata; the control plane allows less.
const MOST: f64 = 1e9;

/// Absent is unlimited, where Envoy would take 1024: here the limits per endpoint of `upstream` remain.
pub(super) fn breakers(
    breakers: Option<CircuitBreakers>,
) -> Result<(LimitsSpec, BudgetSpec), Reject> {
    let Some(mut breakers) = breakers else { return Ok((LimitsSpec::default(), BUDGET)) };
    let mut lists = take(&mut breakers.thresholds);
    nothing_else(&breakers)?;
    let Some(thresholds) = lists.pop() else { return Ok((LimitsSpec::default(), BUDGET)) };
    if !lists.is_empty() {
        return Err(Reject::new("thresholds[1]", "only one priority is supported"));
    }
    of_priority(thresholds).at("thresholds[0]")
}

fn of_priority(mut thresholds: Thresholds) -> Result<(LimitsSpec, BudgetSpec), Reject> {
    let default = LimitsSpec::default();
    let pending = thresholds.max_pending_requests.take();
    let limits = LimitsSpec {
        connections: thresholds.max_connections.take().map(|limit| limit.value),
        requests: thresholds.max_requests.take().map(|limit| limit.value),
        retries: thresholds.max_retries.take().map(|limit| limit.value),
        pending: pending.map_or(default.pending, |limit| limit.value),
        ..default
    };
    for (field, limit) in
        [("max_connections", limits.connections), ("max_requests", limits.requests)]
    {
        if limit == Some(0) {
            return Err(Reject::new(field, "0 is not supported by weft-proxy"));
        }
    }
    let budget = retry_budget(&mut thresholds)?;
    nothing_else(&thresholds)?;
    Ok((limits, budget))
}

fn retry_budget(thresholds: &mut Thresholds) -> Result<BudgetSpec, Reject> {
    let Some(mut budget) = thresholds.retry_budget.take() else { return Ok(BUDGET) };
    let percent = budget.budget_percent.take().map_or(f64::from(BUDGET.percent), |p| p.value);
    let minimum = budget.min_retry_concurrency.take();
    nothing_else(&budget).at("retry_budget")?;
    if !(0.0..=100.0).contains(&percent) || percent.fract() != 0.0 {
        let reason = format!("{percent} is not a whole number from 0 to 100");
        return Err(Reject::new("retry_budget.budget_percent", reason));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let percent = percent as u32;
    let min_per_second = minimum.map_or(BUDGET.min_per_second, |minimum| minimum.value);
    Ok(BudgetSpec { percent, min_per_second })
}

/// `weft.limits`: the queue for a connection.
pub(super) fn queue(metadata: Option<&Metadata>, limits: &mut LimitsSpec) -> Result<(), Reject> {
    let Some(fields) = metadata.and_then(|all| all.filter_metadata.get(keys::LIMITS)) else {
        return Ok(());
    };
    if let Some(pending) = number(fields, "pending_requests")? {
        limits.pending = pending;
    }
    if let Some(milliseconds) = number(fields, "pending_timeout_ms")? {
        limits.pending_timeout = Duration::from_millis(milliseconds.into());
    }
    Ok(())
}

fn number(fields: &Struct, field: &str) -> Result<Option<u32>, Reject> {
    let at = format!("{}.{field}", keys::LIMITS);
    match fields.fields.get(field).map(|value| &value.kind) {
        None => Ok(None),
        Some(Some(Kind::NumberValue(number)))
            if (0.0..=MOST).contains(number) && number.fract() == 0.0 =>
        {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            Ok(Some(*number as u32))
        }
        Some(_) => Err(Reject::new(at, "must be a whole number")),
    }
}
