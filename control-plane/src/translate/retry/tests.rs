//! Retries: whose conditions, and Envoy's words for them.

use super::super::fixture::{BUNDLE, backend, key, route, shop};
use super::super::tests::decoded;
use super::super::{ResourceType, translate};
use super::*;
use crate::model::{self, RetryBudget, Timeouts, TrafficPolicy};
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::envoy::route::route::Action;

/// Of `product` under this policy and a rule.
fn retry_of(policy: Option<model::RetryPolicy>, rule: RouteRule) -> RetryPolicy {
    let mut mesh = shop();
    if policy.is_some() {
        let policy = TrafficPolicy { retries: policy, ..Default::default() };
        mesh.traffic_policies.insert((key("product"), None), policy);
    }
    let mut one = route("r", ("product", 8080), &[]);
    let (matches, backends) = (vec![Default::default()], vec![backend("web", 80, 1)]);
    one.rules = vec![RouteRule { matches, backends, ..rule }];
    mesh.routes.push(one);
    let set = translate(&mesh, BUNDLE);
    set.check().unwrap();
    let mut routes: RouteConfiguration = decoded(&set, ResourceType::Route, "product.shop:8080");
    match routes.virtual_hosts.remove(0).routes.remove(0).action {
        Some(Action::Route(action)) => action.retry_policy.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn policy() -> model::RetryPolicy {
    model::RetryPolicy {
        attempts: 5,
        on: vec![RetryOn::Reset],
        per_try_timeout: Some(Duration::from_millis(500)),
        backoff: Some(Backoff {
            base: Duration::from_millis(10),
            maximum: Duration::from_millis(70),
        }),
        budget: RetryBudget::default(),
    }
}

fn back_off(base: u64, maximum: u64) -> RetryBackOff {
    RetryBackOff {
        base_interval: Some(duration(Duration::from_millis(base))),
        max_interval: Some(duration(Duration::from_millis(maximum))),
    }
}

#[test]
fn retries_that_are_always_safe_are_always_there() {
    let retry = retry_of(None, RouteRule::default());
    assert_eq!(retry.retry_on, "connect-failure,refused-stream");
    assert_eq!(retry.num_retries.unwrap().value, 2);
    assert_eq!((retry.per_try_timeout, retry.retry_back_off), (None, None));
    // As are another endpoint and what the server asks for.
    assert_eq!(retry.retry_host_predicate.len(), 1);
    let hint = retry.rate_limited_retry_back_off.unwrap();
    assert_eq!(hint.reset_headers[0].name, "retry-after");
}

#[test]
fn a_traffic_policy_adds_its_conditions_in_envoys_words() {
    let on = vec![
        RetryOn::RefusedStream,
        RetryOn::Reset,
        RetryOn::GatewayError,
        RetryOn::ServerError,
        RetryOn::Status(429),
        RetryOn::Status(503),
        RetryOn::Cancelled,
        RetryOn::DeadlineExceeded,
        RetryOn::Internal,
        RetryOn::ResourceExhausted,
        RetryOn::Unavailable,
    ];
    let retry = retry_of(Some(model::RetryPolicy { on, ..policy() }), RouteRule::default());
    assert_eq!(
        retry.retry_on,
        "connect-failure,refused-stream,reset,gateway-error,5xx,retriable-status-codes,\
         cancelled,deadline-exceeded,internal,resource-exhausted,unavailable"
    );
    assert_eq!(retry.retriable_status_codes, [429, 503]);
    assert_eq!(retry.num_retries.unwrap().value, 5);
    assert_eq!(retry.per_try_timeout, Some(duration(Duration::from_millis(500))));
    assert_eq!(retry.retry_back_off, Some(back_off(10, 70)));
}

#[test]
fn the_rules_own_limit_on_an_attempt_goes_before_the_policys() {
    let limit = |backend_request| {
        let timeouts = Timeouts { backend_request: Some(backend_request), ..Default::default() };
        let rule = RouteRule { timeouts, ..Default::default() };
        retry_of(Some(policy()), rule).per_try_timeout
    };
    assert_eq!(limit(Duration::from_secs(2)), Some(duration(Duration::from_secs(2))));
    // None written is none meant.
    assert_eq!(limit(Duration::ZERO), None);
}

#[test]
fn a_rules_own_retry_goes_before_the_policys() {
    let of = |retry| RouteRule { retry: Some(retry), ..Default::default() };
    let own = RuleRetry {
        codes: vec![500, 429],
        attempts: Some(1),
        backoff: Some(Duration::from_millis(100)),
    };
    let retry = retry_of(Some(policy()), of(own));
    assert_eq!(retry.retry_on, "connect-failure,refused-stream,reset,retriable-status-codes");
    assert_eq!(retry.retriable_status_codes, [500, 429]);
    assert_eq!(retry.num_retries.unwrap().value, 1);
    assert_eq!(retry.retry_back_off, Some(back_off(100, 1000)));
    assert_eq!(retry.per_try_timeout, Some(duration(Duration::from_millis(500))));

    let retry = retry_of(Some(policy()), of(RuleRetry::default()));
    assert_eq!(retry.retry_on, "connect-failure,refused-stream,reset");
    assert_eq!((retry.num_retries.unwrap().value, retry.retry_back_off), (2, None));
}
