//! The part of a cluster that keeps a failing or slow Service from taking its callers with it: limits
//! (`circuit_breakers`) and ejection (`outlier_detection`).
//!
//! What weft-proxy does otherwise than a real Envoy with the same cluster, because Envoy has no word for it: a
//! waiting request is shed after a time; retries have a limit beside their budget; an ejected endpoint comes back
//! through one trial; ejections double instead of growing by the base; overload (429, or 503 with `Retry-After`)
//! ejects nobody; the share that may be out is rounded down, not up.

use std::time::Duration;

use weft_proto::envoy::cluster::circuit_breakers::{Thresholds, thresholds};
use weft_proto::envoy::cluster::{CircuitBreakers, OutlierDetection};
use weft_proto::envoy::core::Metadata;
use weft_proto::google::{Struct, Value, value::Kind};
use weft_proto::names::metadata as keys;
use weft_proto::origin::Origin;

use super::super::value::{duration, metadata_of, percent, source, uint32};
use crate::model::{self, Limits, RetryBudget};

/// How often Envoy looks whether an ejection is over; its default, 10 s, would lengthen short ones.
const ENVOY_INTERVAL: Duration = Duration::from_secs(1);
/// Envoy's own bound on one ejection, and ours.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);
/// The longest jitter is the base ejection over this.
const JITTER_SHARE: u32 = 10;

/// The cluster's metadata: its origin, and what `circuit_breakers` cannot say.
pub(super) fn metadata(origin: &Origin, limits: &Limits) -> Metadata {
    let number = |value: f64| Value { kind: Some(Kind::NumberValue(value)) };
    let mut fields = Vec::new();
    if let Some(pending) = limits.pending_requests {
        fields.push(("pending_requests".to_owned(), number(pending.into())));
    }
    if let Some(timeout) = limits.pending_timeout {
        fields.push(("pending_timeout_ms".to_owned(), number(timeout.as_secs_f64() * 1000.0)));
    }
    if fields.is_empty() {
        return source(origin);
    }
    let queue = Struct { fields: fields.into_iter().collect() };
    metadata_of([(keys::SOURCE, origin.to_struct()), (keys::LIMITS, queue)])
}

/// Limits and the budget of retries.
pub(super) fn breakers(limits: &Limits, budget: RetryBudget) -> CircuitBreakers {
    let retry_budget = thresholds::RetryBudget {
        budget_percent: Some(percent(budget.percent.into())),
        min_retry_concurrency: Some(uint32(budget.min_per_second)),
        ..Default::default()
    };
    let thresholds = Thresholds {
        max_connections: limits.connections.map(uint32),
        // In Envoy every request waits that needs a new connection: with 0 it would serve none.
        max_pending_requests: limits.pending_requests.map(|pending| uint32(pending.max(1))),
        max_requests: limits.requests.map(uint32),
        max_retries: limits.retries.map(uint32),
        retry_budget: Some(retry_budget),
        ..Default::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..Default::default() }
}

/// Ejection.
pub(super) fn outliers(detection: &model::OutlierDetection) -> OutlierDetection {
    let on = |switch: bool| Some(uint32(if switch { 100 } else { 0 }));
    let counted = |count: u32| (count > 0).then(|| uint32(count));
    let base = detection.base_ejection.max(Duration::from_millis(1)); // Envoy refuses zero.
    let (gateway, local) =
        (detection.consecutive_gateway_failures, detection.consecutive_local_failures);
    let share = detection.failure_percentage;
    OutlierDetection {
        interval: Some(duration(share.map_or(ENVOY_INTERVAL, |share| share.window))),
        consecutive_5xx: Some(uint32(detection.consecutive_failures)),
        enforcing_consecutive_5xx: on(detection.consecutive_failures > 0),
        consecutive_gateway_failure: counted(gateway),
        enforcing_consecutive_gateway_failure: on(gateway > 0),
        split_external_local_origin_errors: local > 0,
        consecutive_local_origin_failure: counted(local),
        enforcing_consecutive_local_origin_failure: on(local > 0),
        failure_percentage_threshold: share.map(|share| uint32(share.threshold)),
        failure_percentage_request_volume: share.map(|share| uint32(share.minimum_requests)),
        failure_percentage_minimum_hosts: share.map(|_| uint32(1)),
        enforcing_failure_percentage: on(share.is_some()),
        enforcing_failure_percentage_local_origin: on(share.is_some() && local > 0),
        // Envoy would also eject by success rate, which nobody asked for.
        enforcing_success_rate: Some(uint32(0)),
        enforcing_local_origin_success_rate: Some(uint32(0)),
        base_ejection_time: Some(duration(base)),
        max_ejection_time: Some(duration(base.max(LONGEST_EJECTION))),
        max_ejection_time_jitter: Some(duration(base / JITTER_SHARE)),
        max_ejection_percent: Some(uint32(detection.max_ejected_percent.min(100))),
        ..Default::default()
    }
}
