//! What rules do: weights, timeouts, retries, headers, redirects.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use weft_proto::envoy::core::{HeaderValue as ProtoHeader, HeaderValueOption};
use weft_proto::envoy::matcher::RegexMatchAndSubstitute;
use weft_proto::envoy::previous_hosts::PreviousHostsPredicate;
use weft_proto::envoy::route::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
use weft_proto::envoy::route::retry_policy::{
    RateLimitedRetryBackOff, ResetHeader, RetryBackOff, RetryHostPredicate, retry_host_predicate,
};
use weft_proto::envoy::route::route::Action as ProtoAction;
use weft_proto::envoy::route::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration,
};
use weft_proto::envoy::route::weighted_cluster::ClusterWeight;
use weft_proto::envoy::route::{
    DirectResponseAction, RedirectAction, RetryPolicy, Route, RouteAction, WeightedCluster,
};

use super::{forward, matching, refused, rule, safe_regex, table};
use crate::model::{Action, Backoff, HeaderChange, PathRewrite, Redirect, RetryOn};
use crate::xds::fixture::{any, number, route, routes, seconds};

fn option(key: &str, value: &str, append_action: i32) -> HeaderValueOption {
    let header = ProtoHeader { key: key.to_owned(), value: value.to_owned(), ..Default::default() };
    HeaderValueOption { header: Some(header), append_action, ..Default::default() }
}

fn weighted(clusters: &[(&str, u32)]) -> ClusterSpecifier {
    let one = |(name, weight): &(&str, u32)| ClusterWeight {
        name: (*name).to_owned(),
        weight: number(*weight),
        ..Default::default()
    };
    let clusters = clusters.iter().map(one).collect();
    ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..Default::default() })
}

#[test]
fn weights_and_clusters_that_cannot_exist() {
    let mut one = route("a");
    forward(&mut one).cluster_specifier = Some(weighted(&[("a", 90), ("invalid/1", 10), ("b", 0)]));
    forward(&mut one).cluster_not_found_response_code = 2;
    let (table, references) = table(&routes(vec![one, route("b")]));
    assert_eq!(table.clusters, ["a", "invalid/1", "b"]);
    let names: Vec<&str> = references.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "nobody asks for what cannot exist");
    let Action::Forward(splits) = &table.hosts[0].rules[0].action else { panic!() };
    let shares: Vec<_> = splits.iter().map(|split| (split.cluster, split.weight)).collect();
    assert_eq!(shares, [(0, 90), (1, 10), (2, 0)]);

    let no = |specifier: ClusterSpecifier, code: i32| {
        refused(|route| {
            forward(route).cluster_specifier = Some(specifier);
            forward(route).cluster_not_found_response_code = code;
        })
    };
    assert_eq!(
        no(weighted(&[("a", 1), ("invalid/1", 1)]), 0),
        ".route.cluster_not_found_response_code: must be INTERNAL_SERVER_ERROR"
    );
    // Where all requests are of gRPC, 503 is the right word for an invalid backend.
    let grpc = rule(|route| {
        matching(route).grpc = Some(Default::default());
        forward(route).cluster_specifier = Some(weighted(&[("a", 1), ("invalid/1", 1)]));
    });
    assert!(grpc.matcher.grpc);
    assert_eq!(
        no(ClusterSpecifier::Cluster("a".to_owned()), 1),
        ".route.cluster_not_found_response_code: not supported"
    );
    assert_eq!(
        no(weighted(&[("a", 0)]), 0),
        ".route.weighted_clusters.clusters: the weights sum up to 0"
    );
    assert_eq!(
        no(weighted(&[("a", u32::MAX), ("b", 1)]), 0),
        ".route.weighted_clusters.clusters: the weights sum up to 4294967296"
    );
    assert_eq!(no(weighted(&[("", 1)]), 0), ".route.weighted_clusters.clusters[0].name: missing");
    assert_eq!(
        no(ClusterSpecifier::ClusterHeader("h".to_owned()), 0),
        ".route.cluster_specifier: only `cluster` and `weighted_clusters` are supported"
    );
}

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

#[test]
fn header_changes_in_the_order_of_envoy() {
    let rule = rule(|route| {
        route.request_headers_to_add =
            vec![option("X-Set", "100%%", 2), option("x-add", "a", 0), {
                let mut empty = option("x-empty", "", 2);
                empty.keep_empty_value = true;
                empty
            }];
        route.request_headers_to_remove = vec!["x-gone".to_owned()];
        route.response_headers_to_add = vec![option("x-back", "b", 0)];
    });
    let name = |name: &'static str| HeaderName::from_static(name);
    let value = |value: &'static str| HeaderValue::from_static(value);
    let expected = [
        HeaderChange::Remove(name("x-gone")),
        HeaderChange::Set(name("x-set"), value("100%")),
        HeaderChange::Add(name("x-add"), value("a")),
        HeaderChange::Set(name("x-empty"), value("")),
    ];
    assert_eq!(rule.request_headers.changes, expected);
    assert_eq!(rule.response_headers.changes, [HeaderChange::Add(name("x-back"), value("b"))]);

    let no =
        |option: HeaderValueOption| refused(|route| route.request_headers_to_add = vec![option]);
    let start = ".request_headers_to_add[0]";
    let cases = [
        (
            option("x", "%REQ(:path)%", 0),
            ".header.value: \"%REQ(:path)%\": commands between % are not supported",
        ),
        (option("x", "a\r\nb", 0), ".header.value: \"a\\r\\nb\" is not a header value"),
        (option("x", "", 0), ".header.value: missing"),
        (option(":path", "/", 0), ".header.key: \":path\" is not a header name"),
        (option("Host", "h", 2), ".header.key: host belongs to the connection"),
        (option("x", "y", 1), ".append_action: only appending and overwriting are supported"),
    ];
    for (option, expected) in cases {
        assert_eq!(no(option), format!("{start}{expected}"));
    }
    assert_eq!(
        refused(|route| route.request_headers_to_remove = vec!["Transfer-Encoding".to_owned()]),
        ".request_headers_to_remove[0]: transfer-encoding belongs to the connection"
    );
}

#[test]
fn redirects_and_fixed_answers() {
    let action = |action| rule(|route| route.action = Some(action)).action;
    let redirect = ProtoAction::Redirect(RedirectAction {
        host_redirect: "example.com".to_owned(),
        port_redirect: 8443,
        response_code: 4,
        scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::HttpsRedirect(true)),
        path_rewrite_specifier: Some(PathRewriteSpecifier::PrefixRewrite("/new".to_owned())),
        ..Default::default()
    });
    let Action::Redirect(found) = action(redirect) else { panic!("no redirect") };
    let expected = Redirect {
        scheme: Some("https".to_owned()),
        host: Some("example.com".to_owned()),
        port: Some(8443),
        path: Some(PathRewrite::Prefix("/new".to_owned())),
        status: StatusCode::PERMANENT_REDIRECT,
    };
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    let answer = DirectResponseAction { status: 500, ..Default::default() };
    let Action::Respond(status) = action(ProtoAction::DirectResponse(answer)) else { panic!() };
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);

    let no = |action| refused(|route| route.action = Some(action));
    let redirect = |spoil: &dyn Fn(&mut RedirectAction)| {
        let mut action = RedirectAction::default();
        spoil(&mut action);
        no(ProtoAction::Redirect(action))
    };
    assert_eq!(
        redirect(&|r| r.strip_query = true),
        ".redirect.strip_query: not supported by weft-proxy"
    );
    assert_eq!(
        redirect(&|r| r.host_redirect = "a b".to_owned()),
        ".redirect.host_redirect: \"a b\" is not a host"
    );
    assert_eq!(
        redirect(&|r| {
            let to = PathRewriteSpecifier::PathRedirect("/a\r\n".to_owned());
            r.path_rewrite_specifier = Some(to);
        }),
        ".redirect.path_redirect: \"/a\\r\\n\" is not an absolute path"
    );
    let informational = DirectResponseAction { status: 101, ..Default::default() };
    assert_eq!(
        no(ProtoAction::DirectResponse(informational)),
        ".direct_response.status: 101 is not a final status"
    );
    assert_eq!(
        refused(|route| route.action = None),
        ".action: only `route`, `redirect` and `direct_response` are supported"
    );
}

#[test]
fn rewrites_of_host_and_path() {
    let regex = |pattern: &str, by: &str| {
        Some(RegexMatchAndSubstitute {
            pattern: Some(safe_regex(pattern)),
            substitution: by.into(),
        })
    };
    let rewrite = |spoil: &dyn Fn(&mut RouteAction)| {
        rule(|route| spoil(forward(route))).rewrite.expect("it rewrites")
    };
    assert!(rule(|_| {}).rewrite.is_none());
    let host = HostRewriteSpecifier::HostRewriteLiteral("b.example:81".to_owned());
    let read = rewrite(&|action| action.host_rewrite_specifier = Some(host.clone()));
    assert_eq!(read.host.unwrap().value, "b.example:81");
    let read = rewrite(&|action| action.prefix_rewrite = "/x".to_owned());
    assert!(matches!(read.path, Some(PathRewrite::Prefix(with)) if with == "/x"));
    let read = rewrite(&|action| action.regex_rewrite = regex("^/.*$", "/x"));
    assert!(matches!(read.path, Some(PathRewrite::Full(with)) if with == "/x"));
    let read = rewrite(&|action| action.regex_rewrite = regex("^/(a)/?", "/\\1$\\\\"));
    let Some(PathRewrite::Regex(pattern, by)) = read.path else { panic!("{:?}", read.path) };
    assert_eq!(pattern.replace_all("/a/b", &by), "/a$\\b");

    let no = |spoil: &dyn Fn(&mut RouteAction)| refused(|route| spoil(forward(route)));
    assert_eq!(
        no(&|action| {
            let header = HostRewriteSpecifier::HostRewriteHeader("x".to_owned());
            action.host_rewrite_specifier = Some(header);
        }),
        ".route.host_rewrite_specifier: only `host_rewrite_literal` is supported"
    );
    assert_eq!(
        no(&|action| {
            let user = HostRewriteSpecifier::HostRewriteLiteral("a@b".to_owned());
            action.host_rewrite_specifier = Some(user);
        }),
        ".route.host_rewrite_literal: \"a@b\" is not a host"
    );
    assert_eq!(
        no(&|action| action.prefix_rewrite = "x".to_owned()),
        ".route.prefix_rewrite: \"x\" is not an absolute path"
    );
    assert_eq!(
        no(&|action| {
            action.prefix_rewrite = "/x".to_owned();
            action.regex_rewrite = regex("a", "b");
        }),
        ".route.regex_rewrite: stands beside prefix_rewrite"
    );
    for by in ["\\1", "\\x", "\\"] {
        assert_eq!(
            no(&|action| action.regex_rewrite = regex("a", by)),
            format!(
                ".route.regex_rewrite.substitution: {by:?} refers to a group that the pattern does not have"
            )
        );
    }
}
