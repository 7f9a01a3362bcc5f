//! TrafficPolicy: defaults, bounds, conditions.

use std::time::Duration;

use super::*;
use crate::model::{
    Backoff, Balancer, FailurePercentage, HeaderChange, Limits, OutlierDetection, RetryBudget,
    RetryOn,
};
use crate::source::testing::{beside_shop, object};

const TARGET: &str = "targetRefs: [{kind: Service, name: web}]";

fn policy(fields: &str) -> (Option<TrafficPolicy>, Vec<String>) {
    let spec = format!("{{{TARGET}, {fields}}}");
    let (mesh, findings) = beside_shop(&object("TrafficPolicy", "p", &spec));
    (mesh.traffic_policy(&Key::new("shop", "web"), 80).cloned(), findings)
}

#[test]
fn every_field_is_read() {
    let (read, findings) = policy(
        "loadBalancer: {policy: RoundRobin}, connectTimeout: 1s, \
         limits: {connections: 9, pendingRequests: 0, requests: 8, retries: 7, pendingTimeout: 20ms}, \
         outlierDetection: {consecutiveFailures: 3, consecutiveGatewayFailures: 2, \
                            consecutiveLocalFailures: 4, \
                            failurePercentage: {threshold: 30, minimumRequests: 5, window: 2s}, \
                            baseEjection: 5s, maxEjectedPercent: 10}, \
         retries: {attempts: 3, conditions: [reset, 5xx, 503, '429', reset], perTryTimeout: 500ms, \
                   budget: {percent: 30, minRetriesPerSecond: 1}}",
    );
    assert!(findings.is_empty(), "{findings:?}");
    let read = read.unwrap();
    assert_eq!(
        (read.balancer, read.connect_timeout),
        (Balancer::RoundRobin, Some(Duration::from_secs(1)))
    );
    let limits = Limits {
        connections: Some(9),
        pending_requests: Some(0),
        requests: Some(8),
        retries: Some(7),
        pending_timeout: Some(Duration::from_millis(20)),
    };
    assert_eq!(read.limits, limits);
    let outlier = read.outlier_detection.unwrap();
    assert_eq!((outlier.consecutive_gateway_failures, outlier.consecutive_local_failures), (2, 4));
    let share = outlier.failure_percentage.unwrap();
    assert_eq!((share.threshold, share.minimum_requests), (30, 5));
    assert_eq!(share.window, Duration::from_secs(2));
    assert_eq!((outlier.consecutive_failures, outlier.max_ejected_percent), (3, 10));
    assert_eq!(outlier.base_ejection, Duration::from_secs(5));
    let retries = read.retries.unwrap();
    assert_eq!(retries.attempts, 3);
    assert_eq!(
        retries.on,
        [RetryOn::Reset, RetryOn::ServerError, RetryOn::Status(503), RetryOn::Status(429)]
    );
    assert_eq!(retries.per_try_timeout, Some(Duration::from_millis(500)));
    assert_eq!(retries.budget, RetryBudget { percent: 30, min_per_second: 1 });
}

#[test]
fn what_is_not_written_has_its_default() {
    let (read, _) = policy("retries: {}, outlierDetection: {}, limits: {}");
    let read = read.unwrap();
    assert_eq!(read.limits, Limits::default());
    let (share, _) = policy("outlierDetection: {failurePercentage: {}}");
    let share = share.unwrap().outlier_detection.unwrap().failure_percentage.unwrap();
    assert_eq!(share, FailurePercentage::default());
    assert_eq!((share.threshold, share.minimum_requests), (50, 20));
    assert_eq!((read.balancer, read.connect_timeout), (Balancer::PeakEwma, None));
    assert_eq!(read.outlier_detection, Some(OutlierDetection::default()));
    let retries = read.retries.unwrap();
    assert_eq!(
        (retries.attempts, retries.on, retries.budget),
        (
            2,
            vec![
                RetryOn::ConnectFailure,
                RetryOn::RefusedStream,
                RetryOn::Reset,
                RetryOn::GatewayError
            ],
            RetryBudget::default()
        )
    );
    assert_eq!(policy("").0.unwrap().retries, None);
}

#[test]
fn codes_of_grpc_and_pauses_are_read() {
    let (read, findings) = policy(
        "retries: {conditions: [cancelled, deadline-exceeded, internal, resource-exhausted, unavailable], \
         backoff: {base: 10ms, maximum: 1s}}",
    );
    assert!(findings.is_empty(), "{findings:?}");
    let retries = read.unwrap().retries.unwrap();
    let expected = [
        RetryOn::Cancelled,
        RetryOn::DeadlineExceeded,
        RetryOn::Internal,
        RetryOn::ResourceExhausted,
        RetryOn::Unavailable,
    ];
    assert_eq!(retries.on, expected);
    let backoff = |base, maximum| {
        let (base, maximum) = (Duration::from_millis(base), Duration::from_millis(maximum));
        Some(Backoff { base, maximum })
    };
    assert_eq!(retries.backoff, backoff(10, 1000));
    let (read, _) = policy("retries: {backoff: {}}");
    assert_eq!(read.unwrap().retries.unwrap().backoff, backoff(25, 250));
}

#[test]
fn a_fallback_is_read() {
    let (read, findings) =
        policy("fallback: {status: 200, headers: [{name: X-A, value: b}], body: later}");
    assert!(findings.is_empty(), "{findings:?}");
    let fallback = read.unwrap().fallback.unwrap();
    assert_eq!((fallback.status, fallback.body.as_str()), (200, "later"));
    assert_eq!(fallback.headers, [HeaderChange { name: "x-a".into(), value: "b".into() }]);
    assert_eq!(policy("fallback: {}").0.unwrap().fallback.unwrap().status, 503);
}

#[test]
fn what_is_wrong_with_a_policy_is_told_at_its_field() {
    for (fields, field) in [
        ("loadBalancer: {policy: Fastest}", "spec.loadBalancer.policy"),
        ("connectTimeout: 0s", "spec.connectTimeout"),
        ("connectTimeout: 1.5s", "spec.connectTimeout"),
        ("outlierDetection: {maxEjectedPercent: 101}", "spec.outlierDetection.maxEjectedPercent"),
        (
            "outlierDetection: {consecutiveFailures: -1}",
            "spec.outlierDetection.consecutiveFailures",
        ),
        ("limits: {connections: 0}", "spec.limits.connections"),
        ("limits: {requests: 0}", "spec.limits.requests"),
        ("limits: {retries: -1}", "spec.limits.retries"),
        ("limits: {pendingRequests: -3}", "spec.limits.pendingRequests"),
        ("limits: {connections: 1, pendingTimeout: soon}", "spec.limits.pendingTimeout"),
        ("limits: {pendingTimeout: 0s}", "spec.limits.pendingTimeout"),
        ("limits: {conections: 1}", "spec.limits.conections"),
        (
            "outlierDetection: {failurePercentage: {threshold: 0}}",
            "spec.outlierDetection.failurePercentage.threshold",
        ),
        (
            "outlierDetection: {failurePercentage: {minimumRequests: 0}}",
            "spec.outlierDetection.failurePercentage.minimumRequests",
        ),
        (
            "outlierDetection: {failurePercentage: {window: 0s}}",
            "spec.outlierDetection.failurePercentage.window",
        ),
        ("retries: {attempts: 11}", "spec.retries.attempts"),
        ("retries: {conditions: [sometimes]}", "spec.retries.conditions[0]"),
        ("retries: {conditions: [reset, 200]}", "spec.retries.conditions[1]"),
        ("retries: {budget: {percent: 200}}", "spec.retries.budget.percent"),
        ("retries: {backoff: {base: 0s}}", "spec.retries.backoff.base"),
        ("retries: {backoff: {base: 1s, maximum: 10ms}}", "spec.retries.backoff.maximum"),
        ("fallback: {status: 199}", "spec.fallback.status"),
        ("fallback: {status: 204, body: x}", "spec.fallback.body"),
        ("fallback: {headers: [{name: Connection, value: x}]}", "spec.fallback.headers[0].name"),
        ("retrys: {}", "spec.retrys"),
    ] {
        let (read, findings) = policy(fields);
        assert_eq!(findings, [format!("WEFT0205 {field}")], "{fields}");
        assert_eq!(read, None);
    }
    for (targets, field) in [
        ("[]", "spec.targetRefs"),
        ("[{kind: Deployment, name: web}]", "spec.targetRefs[0].kind"),
        ("[{group: apps, kind: Service, name: web}]", "spec.targetRefs[0].kind"),
        ("[{kind: Service}]", "spec.targetRefs[0]"),
    ] {
        let text = object("TrafficPolicy", "p", &format!("{{targetRefs: {targets}}}"));
        assert_eq!(beside_shop(&text).1, [format!("WEFT0205 {field}")], "{targets}");
    }
}
