//! Which rule a request meets, as tables, and how weights are spent.

use http::{HeaderMap, Method, StatusCode};
use regex::Regex;
use weft_proto::origin::Origin;

use super::{RequestView, route, split};
use crate::model::{
    Action, HeaderMatch, HeaderOps, HostPattern, Matcher, PathMatch, QueryMatch, RetryPolicy,
    RouteTable, Rule, Split, ValueMatch, VirtualHost,
};
use crate::random::Random;

mod agreement;

fn rule(name: &str, matcher: Matcher) -> Rule {
    Rule {
        origin: Origin { rule: name.into(), ..Origin::default() },
        matcher,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        rewrite: None,
        mirrors: Vec::new(),
        action: Action::Respond(StatusCode::OK),
        timeout: None,
        grpc_timeout: false,
        retry: RetryPolicy::default(),
        sampling: None,
    }
}

fn table(hosts: Vec<(HostPattern, Vec<Rule>)>) -> RouteTable {
    let hosts =
        hosts.into_iter().map(|(host, rules)| VirtualHost { hosts: vec![host], rules }).collect();
    RouteTable { name: "t".into(), hosts, fallback: None, clusters: Vec::new() }
}

fn at(path: PathMatch) -> Matcher {
    Matcher { path, ..Matcher::default() }
}

fn met(table: &RouteTable, host: &str, target: &str, headers: &[(&str, &str)]) -> Option<String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let (authority, method) = (None, &Method::GET);
    let view = RequestView { host, authority, path, query, method, headers: &map };
    route(table, &view).map(|matched| matched.rule.origin.rule.clone())
}

#[test]
fn paths() {
    let table = table(vec![(
        HostPattern::Any,
        vec![
            rule("exact", at(PathMatch::Exact("/a/b".into()))),
            rule("regex", at(PathMatch::Regex(Regex::new(r"^(?:/v\d+/.*)$").unwrap()))),
            rule("prefix", at(PathMatch::Prefix("/a".into()))),
        ],
    )]);
    let cases = [
        ("/a/b", Some("exact")),
        ("/a/b/", Some("prefix")),
        ("/a", Some("prefix")),
        ("/a/", Some("prefix")),
        ("/ab", None),
        ("/A", None),
        ("/v1/x", Some("regex")),
        ("/x/v1/x", None),
        ("/", None),
    ];
    for (path, expected) in cases {
        assert_eq!(met(&table, "h", path, &[]).as_deref(), expected, "{path}");
    }
}

#[test]
fn hosts_from_exact_to_any() {
    let any = || vec![rule("any", Matcher::default())];
    let table = table(vec![
        (HostPattern::Any, any()),
        (HostPattern::Suffix(".com".into()), vec![rule("com", Matcher::default())]),
        (HostPattern::Suffix(".shop.com".into()), vec![rule("shop", Matcher::default())]),
        (HostPattern::Exact("a.shop.com".into()), vec![rule("exact", Matcher::default())]),
    ]);
    let cases =
        [("a.shop.com", "exact"), ("b.shop.com", "shop"), ("shop.com", "com"), ("com", "any")];
    for (host, expected) in cases {
        assert_eq!(met(&table, host, "/", &[]).as_deref(), Some(expected), "{host}");
    }
}

#[test]
fn headers_and_queries_must_all_match() {
    let header = |value| HeaderMatch { name: http::HeaderName::from_static("x-v"), value };
    let query = |value| QueryMatch { name: "q".into(), value };
    let table = table(vec![(
        HostPattern::Any,
        vec![
            rule(
                "both",
                Matcher {
                    headers: vec![header(ValueMatch::Exact("1".into()))],
                    query: vec![query(ValueMatch::Exact("a b".into()))],
                    ..Matcher::default()
                },
            ),
            rule(
                "list",
                Matcher {
                    headers: vec![header(ValueMatch::Exact("1,2".into()))],
                    ..Matcher::default()
                },
            ),
            rule(
                "present",
                Matcher { headers: vec![header(ValueMatch::Present)], ..Matcher::default() },
            ),
        ],
    )]);
    assert_eq!(met(&table, "h", "/?q=a%20b", &[("x-v", "1")]).as_deref(), Some("both"));
    assert_eq!(met(&table, "h", "/?q=a+b&q=c", &[("x-v", "1")]).as_deref(), Some("both"));
    assert_eq!(met(&table, "h", "/?q=c&q=a+b", &[("x-v", "1")]).as_deref(), Some("present"));
    assert_eq!(met(&table, "h", "/", &[("x-v", "1"), ("x-v", "2")]).as_deref(), Some("list"));
    assert_eq!(met(&table, "h", "/?q=a+b", &[]), None);
}

#[test]
fn weights_hold_and_zero_gets_nothing() {
    let split_of = |weight| Split {
        cluster: 0,
        weight,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        host: None,
    };
    let action = Action::Forward(vec![split_of(90), split_of(0), split_of(10)]);
    let random = Random::seeded(7);
    let mut counts = [0_i32; 3];
    for _ in 0..100_000 {
        counts[split(&action, &random).unwrap().0] += 1;
    }
    // Five standard deviations of a binomial with p = 0.1 are 475.
    assert_eq!(counts[1], 0);
    assert!((counts[2] - 10_000).abs() < 475, "{counts:?}");
    assert!(split(&Action::Forward(vec![split_of(0)]), &random).is_none());
}

#[test]
fn a_rule_for_grpc_is_for_grpc_only() {
    let matcher = Matcher { grpc: true, ..at(PathMatch::Exact("/a.B/Get".into())) };
    let table = table(vec![(HostPattern::Any, vec![rule("grpc", matcher)])]);
    for (content_type, expected) in [
        ("application/grpc", Some("grpc")),
        ("application/grpc+proto", Some("grpc")),
        ("application/grpc-web", None),
        ("application/json", None),
    ] {
        let headers = [("content-type", content_type)];
        assert_eq!(met(&table, "x", "/a.B/Get", &headers).as_deref(), expected, "{content_type}");
    }
    assert_eq!(met(&table, "x", "/a.B/Get", &[]), None);
}

#[test]
fn a_match_on_host_sees_the_authority_of_either_version() {
    let exact = ValueMatch::Exact("a.test:80".into());
    let wanted = HeaderMatch { name: http::header::HOST, value: exact };
    let matcher = Matcher { headers: vec![wanted], ..Matcher::default() };
    let table = table(vec![(HostPattern::Any, vec![rule("host", matcher)])]);
    let met = |authority: Option<&str>, host: Option<&str>| {
        let host = host.map(|host| (http::header::HOST, host.parse().unwrap()));
        let headers: HeaderMap = host.into_iter().collect();
        let view = RequestView {
            host: "a.test",
            authority,
            path: "/",
            query: None,
            method: &Method::GET,
            headers: &headers,
        };
        route(&table, &view).is_some()
    };
    assert!(met(Some("a.test:80"), None), "HTTP/2");
    assert!(met(None, Some("a.test:80")), "HTTP/1");
    assert!(!met(Some("a.test"), None) && !met(None, Some("b.test:80")) && !met(None, None));
}
