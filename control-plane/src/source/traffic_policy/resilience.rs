//! `limits` and `outlierDetection` of a `TrafficPolicy`. Read by [`super::read`]; every bound is told at its field.

use crate::model::{FailurePercentage, Limits, OutlierDetection};
use crate::source::duration;
use crate::source::names::within;
use crate::source::problem::Problems;
use crate::source::schema::policy::{
    FailurePercentage as PercentageSpec, Limits as LimitsSpec, OutlierDetection as OutlierSpec,
};

/// Bound of Weft: far beyond what a sidecar can have open.
const MOST: u32 = 1_000_000;
/// Bound of Weft on failures in a row.
const MOST_FAILURES: u32 = 10_000;

/// Reads `limits`. A limit of 0 connections or requests would be a Service that cannot be called.
pub(super) fn limits(spec: &LimitsSpec, problems: &mut Problems) -> Limits {
    let mut limit = |name: &str, least: u32, written: Option<i64>| {
        within(written?, (least, MOST), &format!("spec.limits.{name}"), problems)
    };
    let read = Limits {
        connections: limit("connections", 1, spec.connections),
        pending_requests: limit("pendingRequests", 0, spec.pending_requests),
        requests: limit("requests", 1, spec.requests),
        retries: limit("retries", 0, spec.retries),
        pending_timeout: None,
    };
    let field = "spec.limits.pendingTimeout";
    let pending_timeout = duration::positive(spec.pending_timeout.as_deref(), field, problems);
    Limits { pending_timeout, ..read }
}

/// Reads `outlierDetection`.
pub(super) fn outlier_detection(spec: &OutlierSpec, problems: &mut Problems) -> OutlierDetection {
    let mut outlier = OutlierDetection::default();
    for (name, written, count) in [
        ("consecutiveFailures", spec.consecutive_failures, &mut outlier.consecutive_failures),
        (
            "consecutiveGatewayFailures",
            spec.consecutive_gateway_failures,
            &mut outlier.consecutive_gateway_failures,
        ),
        (
            "consecutiveLocalFailures",
            spec.consecutive_local_failures,
            &mut outlier.consecutive_local_failures,
        ),
    ] {
        let Some(failures) = written else { continue };
        let field = format!("spec.outlierDetection.{name}");
        *count = within(failures, (0, MOST_FAILURES), &field, problems).unwrap_or(0);
    }
    if let Some(percent) = spec.max_ejected_percent {
        let field = "spec.outlierDetection.maxEjectedPercent";
        outlier.max_ejected_percent = within(percent, (0, 100), field, problems).unwrap_or(0);
    }
    let field = "spec.outlierDetection.baseEjection";
    if let Some(ejection) = duration::positive(spec.base_ejection.as_deref(), field, problems) {
        outlier.base_ejection = ejection;
    }
    outlier.failure_percentage =
        spec.failure_percentage.as_ref().map(|spec| failure_percentage(spec, problems));
    outlier
}

fn failure_percentage(spec: &PercentageSpec, problems: &mut Problems) -> FailurePercentage {
    let field = |name: &str| format!("spec.outlierDetection.failurePercentage.{name}");
    let mut read = FailurePercentage::default();
    if let Some(threshold) = spec.threshold {
        read.threshold = within(threshold, (1, 100), &field("threshold"), problems).unwrap_or(100);
    }
    if let Some(minimum) = spec.minimum_requests {
        let field = field("minimumRequests");
        read.minimum_requests = within(minimum, (1, MOST), &field, problems).unwrap_or(1);
    }
    if let Some(window) = duration::positive(spec.window.as_deref(), &field("window"), problems) {
        read.window = window;
    }
    read
}
