//! How long and how often: timeouts, retries, pauses.

use std::time::Duration;

use http::StatusCode;
use weft_proto::envoy::previous_hosts::PreviousHostsPredicate;
use weft_proto::envoy::route::retry_policy::{
    RateLimitedRetryBackOff, ResetHeader, RetryBackOff, RetryHostPredicate, retry_host_predicate,
};
use weft_proto::envoy::route::route_action::MaxStreamDuration;
use weft_proto::envoy::route::{RetryPolicy, Route};

use super::{forward, refused, rule};
use crate::model::{Backoff, RetryOn};
use crate::xds::fixture::{any, number, seconds};

#[test]
fn timeouts_and_retries() {
    let rule = rule(|route| {
        let action = forward(route);
        action.timeout = Some(weft_proto::google::Duration { seconds: 1, nanos: 500_000_000 });
        action.retry_policy = Some(RetryPolicy {
            retry_on: "connect-failure, reset,gateway-error,5xx,retriable-status-codes".to_owned(),
            num_retries: number(3),
            per_try_timeout: seconds(2),
            retriable_status_codes: vec![429, 503],
            ..Default::default()
        });
    });
    assert_eq!(rule.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(
        (rule.retry.attempts, rule.retry.per_try_timeout),
        (3, Some(Duration::from_secs(2)))
    );
    let status = |code| RetryOn::Status(StatusCode::from_u16(code).unwrap());
    let expected =
        [RetryOn::Reset, RetryOn::GatewayError, RetryOn::ServerError, status(429), status(503)];
    assert_eq!(rule.retry.on, expected);

    let absent = self::rule(|route| {
        forward(route).timeout = None;
        forward(route).retry_policy = None;
    });
    assert_eq!(absent.timeout, Some(Duration::from_secs(15)), "Envoy's own default");
    assert_eq!(absent.retry.attempts, 0);

    let no = |spoil: &dyn Fn(&mut RetryPolicy)| {
        refused(|route| spoil(forward(route).retry_policy.as_mut().unwrap()))
    };
    assert_eq!(
        no(&|policy| policy.retry_on = "retriable-4xx".to_owned()),
        ".route.retry_policy.retry_on: \"retriable-4xx\" is not supported"
    );
    assert_eq!(
        no(&|policy| policy.retriable_status_codes = vec![503]),
        ".route.retry_policy.retriable_status_codes: not supported by weft-proxy",
        "set, but no word in retry_on calls for it"
    );
    assert_eq!(
        no(&|policy| {
            policy.retry_on = "retriable-status-codes".to_owned();
            policy.retriable_status_codes = vec![503, 9];
        }),
        ".route.retry_policy.retriable_status_codes[1]: 9 is not a status"
    );
    assert_eq!(
        no(&|policy| policy.num_retries = number(101)),
        ".route.retry_policy.num_retries: 101 is more than 100"
    );
    assert_eq!(
        no(&|policy| policy.refresh_cluster_on_retry = true),
        ".route.retry_policy.refresh_cluster_on_retry: not supported by weft-proxy"
    );
}

#[test]
fn codes_of_grpc_pauses_and_hints() {
    let read = |spoil: &dyn Fn(&mut RetryPolicy)| {
        rule(|route| spoil(forward(route).retry_policy.as_mut().unwrap())).retry
    };
    let words = "cancelled,deadline-exceeded,resource-exhausted,internal,unavailable";
    let retry = read(&|policy| policy.retry_on = words.to_owned());
    assert_eq!(retry.on, [1, 4, 8, 13, 14].map(RetryOn::Grpc));
    assert_eq!((retry.backoff, retry.longest_retry_after), (None, None));

    let back_off =
        |base, maximum| Some(RetryBackOff { base_interval: seconds(base), max_interval: maximum });
    let backoff = |maximum| Backoff { base: Duration::from_secs(1), maximum };
    let retry = read(&|policy| policy.retry_back_off = back_off(1, seconds(2)));
    assert_eq!(retry.backoff, Some(backoff(Duration::from_secs(2))));
    let retry = read(&|policy| policy.retry_back_off = back_off(1, None));
    assert_eq!(retry.backoff, Some(backoff(Duration::from_secs(10))));
    let limited = |name: &str, format| {
        let reset_headers = vec![ResetHeader { name: name.to_owned(), format }];
        Some(RateLimitedRetryBackOff { reset_headers, max_interval: seconds(5) })
    };
    let retry = read(&|policy| policy.rate_limited_retry_back_off = limited("Retry-After", 0));
    assert_eq!(retry.longest_retry_after, Some(Duration::from_secs(5)));
    let predicate = |config: weft_proto::google::Any| RetryHostPredicate {
        name: "any".to_owned(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(config)),
    };
    read(&|policy| {
        policy.retry_host_predicate = vec![predicate(any(&PreviousHostsPredicate::default()))];
        policy.host_selection_retry_max_attempts = 3;
    });

    let no = |spoil: &dyn Fn(&mut RetryPolicy)| {
        refused(|route| spoil(forward(route).retry_policy.as_mut().unwrap()))
    };
    let start = ".route.retry_policy.";
    let cases = [
        (
            no(&|policy| policy.retry_back_off = back_off(0, None)),
            "retry_back_off.base_interval: must be at least 1 ms",
        ),
        (
            no(&|policy| policy.retry_back_off = back_off(2, seconds(1))),
            "retry_back_off.max_interval: is shorter than base_interval",
        ),
        (
            no(&|policy| policy.rate_limited_retry_back_off = limited("x-reset", 1)),
            "rate_limited_retry_back_off.reset_headers: only retry-after in seconds is supported",
        ),
        (
            no(&|policy| {
                let other = any(&weft_proto::envoy::router::Router::default());
                policy.retry_host_predicate = vec![predicate(other)];
            }),
            "retry_host_predicate[0].typed_config: envoy.extensions.filters.http.router.v3.Router is not supported",
        ),
    ];
    for (got, expected) in cases {
        assert_eq!(got, format!("{start}{expected}"));
    }
}

#[test]
fn a_limit_and_the_callers_own_where_it_is_shorter() {
    let with = |all, most| {
        move |route: &mut Route| {
            forward(route).max_stream_duration = Some(MaxStreamDuration {
                max_stream_duration: all,
                grpc_timeout_header_max: most,
                ..Default::default()
            });
        }
    };
    let read = |all, most| {
        let rule = rule(with(all, most));
        (rule.timeout.map(|limit| limit.as_secs()), rule.grpc_timeout)
    };
    assert!(!rule(|_| {}).grpc_timeout);
    assert_eq!(read(None, seconds(0)), (None, true));
    assert_eq!(read(seconds(2), seconds(2)), (Some(2), true));
    assert_eq!(read(seconds(2), None), (Some(2), false));
    for (all, most) in [(None, seconds(9)), (seconds(2), seconds(0))] {
        let text = refused(with(all, most));
        assert!(text.contains("max_stream_duration.grpc_timeout_header_max: only"), "{text}");
    }
    let text = refused(|route| {
        with(seconds(2), None)(route);
        forward(route).timeout = seconds(1);
    });
    assert!(text.starts_with(".route.timeout: has no effect"), "{text}");
}
