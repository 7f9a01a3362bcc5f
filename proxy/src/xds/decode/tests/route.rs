//! Route tables: hosts, matches, what is refused. What rules do is in `action`.

mod action;
mod retry;

use http::Method;
use weft_proto::envoy::matcher::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};
use weft_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use weft_proto::envoy::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use weft_proto::envoy::route::route::Action as ProtoAction;
use weft_proto::envoy::route::route_match::PathSpecifier;
use weft_proto::envoy::route::{
    HeaderMatcher, QueryParameterMatcher, Route, RouteAction, RouteConfiguration, RouteMatch,
};

use weft_proto::google::{ListValue, Struct, Value, value::Kind};

use super::{change, refusal};
use crate::model::{Action, HostPattern, PathMatch, RouteTable, Rule, ValueMatch};
use crate::xds::decode::Key;
use crate::xds::fixture::{PRODUCT, origin, route, routes, seconds};
use crate::xds::{Change, Kind as Resource};

const ROUTE: &str = "virtual_hosts[0].routes[0]";

fn table(message: &RouteConfiguration) -> (RouteTable, Vec<Key>) {
    match change(Resource::Routes, PRODUCT, message) {
        (Change::Routes(table), references) => (table, references),
        other => panic!("{other:?}"),
    }
}

fn rule(spoil: impl FnOnce(&mut Route)) -> Rule {
    let mut one = route("a");
    spoil(&mut one);
    let mut table = table(&routes(vec![one])).0;
    table.hosts.remove(0).rules.remove(0)
}

/// Why it is refused, without the path of the route.
fn refused(spoil: impl FnOnce(&mut Route)) -> String {
    let mut one = route("a");
    spoil(&mut one);
    let text = refusal(Resource::Routes, PRODUCT, &routes(vec![one]));
    text.strip_prefix(ROUTE).unwrap_or(&text).to_owned()
}

fn matching(route: &mut Route) -> &mut RouteMatch {
    route.r#match.as_mut().unwrap()
}

fn forward(route: &mut Route) -> &mut RouteAction {
    match &mut route.action {
        Some(ProtoAction::Route(action)) => action,
        other => panic!("{other:?}"),
    }
}

fn exact(value: &str) -> StringMatcher {
    let match_pattern = Some(MatchPattern::Exact(value.to_owned()));
    StringMatcher { match_pattern, ..Default::default() }
}

fn safe_regex(regex: &str) -> RegexMatcher {
    RegexMatcher { regex: regex.to_owned(), ..Default::default() }
}

fn header(name: &str, value: StringMatcher) -> HeaderMatcher {
    let header_match_specifier = Some(HeaderMatchSpecifier::StringMatch(value));
    HeaderMatcher { name: name.to_owned(), header_match_specifier, ..Default::default() }
}

#[test]
fn a_plain_route_to_one_cluster() {
    let (table, references) = table(&routes(vec![route("a")]));
    assert_eq!((table.name.as_str(), &table.clusters[..]), (PRODUCT, &["a".to_owned()][..]));
    assert_eq!(references, [(Resource::Cluster, "a".to_owned())]);
    assert_eq!(table.hosts[0].hosts, [HostPattern::Any]);
    let rule = &table.hosts[0].rules[0];
    assert_eq!((&rule.origin, rule.timeout), (&origin(), None));
    assert!(matches!(rule.matcher.path, PathMatch::Any));
    assert_eq!((rule.retry.attempts, &rule.retry.on[..]), (2, &[][..]));
    let Action::Forward(splits) = &rule.action else { panic!("{:?}", rule.action) };
    assert_eq!((splits.len(), splits[0].cluster, splits[0].weight), (1, 0, 1));
}

#[test]
fn every_match_at_once() {
    let rule = rule(|route| {
        let m = matching(route);
        m.path_specifier = Some(PathSpecifier::PathSeparatedPrefix("/v2".to_owned()));
        m.headers.push(header(":method", exact("PATCH")));
        m.headers.push(header("X-Tenant", exact("acme")));
        m.headers.push(HeaderMatcher {
            name: "x-any".to_owned(),
            header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
            ..Default::default()
        });
        let regex = Some(MatchPattern::SafeRegex(safe_regex("[0-9]+|all")));
        m.query_parameters.push(QueryParameterMatcher {
            name: "page".to_owned(),
            query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(
                StringMatcher { match_pattern: regex, ..Default::default() },
            )),
        });
    });
    let matcher = rule.matcher;
    assert!(matches!(matcher.path, PathMatch::Prefix(prefix) if prefix == "/v2"));
    assert_eq!(matcher.method, Some(Method::PATCH));
    assert_eq!(matcher.headers[0].name, "x-tenant");
    assert!(matches!(&matcher.headers[0].value, ValueMatch::Exact(value) if value == "acme"));
    assert!(matches!(matcher.headers[1].value, ValueMatch::Present));
    let ValueMatch::Regex(regex) = &matcher.query[0].value else { panic!("no regex") };
    let matched: Vec<bool> = ["12", "all", "a12", "12all", ""].map(|v| regex.is_match(v)).into();
    assert_eq!(matched, [true, true, false, false, false], "anchored around alternatives");
}

#[test]
fn paths() {
    let path =
        |specifier| rule(|route| matching(route).path_specifier = Some(specifier)).matcher.path;
    let exact = path(PathSpecifier::Path("/a".to_owned()));
    assert!(matches!(exact, PathMatch::Exact(path) if path == "/a"));
    let PathMatch::Regex(regex) = path(PathSpecifier::SafeRegex(safe_regex("/v[12]/.*"))) else {
        panic!("no regex");
    };
    assert!(regex.is_match("/v1/x") && !regex.is_match("/x/v1/x") && !regex.is_match("/v3/x"));
    let no = |specifier| refused(|route| matching(route).path_specifier = Some(specifier));
    assert_eq!(
        no(PathSpecifier::Prefix("/a".to_owned())),
        ".match.prefix: \"/a\": use `path_separated_prefix`; only \"/\" is supported"
    );
    assert_eq!(
        no(PathSpecifier::PathSeparatedPrefix("/a/".to_owned())),
        ".match.path_separated_prefix: \"/a/\" ends with a slash"
    );
    assert_eq!(
        no(PathSpecifier::Path("/a?b".to_owned())),
        ".match.path: \"/a?b\" is not an absolute path without query"
    );
    assert_eq!(
        refused(|route| matching(route).path_specifier = None),
        ".match.path_specifier: missing"
    );
    assert_eq!(refused(|route| route.r#match = None), ".match: missing");
}

#[test]
fn regexes_are_checked_alone_and_bounded() {
    let no = |regex: &str| {
        let specifier = PathSpecifier::SafeRegex(safe_regex(regex));
        refused(|route| matching(route).path_specifier = Some(specifier))
    };
    assert_eq!(no("("), ".match.safe_regex.regex: unclosed group");
    assert_eq!(no("a)|(b"), ".match.safe_regex.regex: unopened group", "cannot leave its anchors");
    let huge = no("(\\w{1000}){100}");
    assert!(
        huge.starts_with(".match.safe_regex.regex: Compiled regex exceeds size limit"),
        "{huge}"
    );
    let mut many = route("a");
    matching(&mut many).path_specifier = Some(PathSpecifier::SafeRegex(safe_regex("/a")));
    assert_eq!(
        refusal(Resource::Routes, PRODUCT, &routes(vec![many; 501])),
        "virtual_hosts[0].routes[500].match.safe_regex.regex: \
         more than 500 regexes in one RouteConfiguration"
    );
}

#[test]
fn the_place_of_a_bad_rule_is_named() {
    let mut bad = route("a");
    matching(&mut bad).path_specifier = Some(PathSpecifier::SafeRegex(safe_regex("[")));
    let text = refusal(Resource::Routes, PRODUCT, &routes(vec![route("a"), route("b"), bad]));
    assert_eq!(text, "virtual_hosts[0].routes[2].match.safe_regex.regex: unclosed character class");
}

#[test]
fn hosts() {
    let with = |domains: &[&str]| {
        let mut message = routes(vec![route("a")]);
        message.virtual_hosts[0].domains = domains.iter().map(|d| (*d).to_owned()).collect();
        message
    };
    let found =
        table(&with(&["Example.COM", "*.example.com", "[::1]", "*"])).0.hosts.remove(0).hosts;
    let expected = [
        HostPattern::Exact("example.com".to_owned()),
        HostPattern::Suffix(".example.com".to_owned()),
        HostPattern::Exact("[::1]".to_owned()),
        HostPattern::Any,
    ];
    assert_eq!(found, expected);
    let no = |domains: &[&str]| refusal(Resource::Routes, PRODUCT, &with(domains));
    let unfit = "is no host name without port, no `*.` name and not `*`";
    assert_eq!(no(&["a", "b:80"]), format!("virtual_hosts[0].domains[1]: \"b:80\" {unfit}"));
    assert_eq!(no(&["a.*"]), format!("virtual_hosts[0].domains[0]: \"a.*\" {unfit}"));
    assert_eq!(no(&["a", "A"]), "virtual_hosts[0].domains[1]: \"a\" occurs twice");
    assert_eq!(no(&[]), "virtual_hosts[0].domains: missing");
}

#[test]
fn a_fallback_is_read_from_metadata() {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let header = |name: &str| {
        let fields = [("name".to_owned(), text(name)), ("value".to_owned(), text("5"))];
        Value { kind: Some(Kind::StructValue(Struct { fields: fields.into() })) }
    };
    let with = |status: f64, name: &str| {
        let values = vec![header(name)];
        let fields = [
            ("status".to_owned(), Value { kind: Some(Kind::NumberValue(status)) }),
            ("body".to_owned(), text("later")),
            ("headers".to_owned(), Value { kind: Some(Kind::ListValue(ListValue { values })) }),
        ];
        let fields = Struct { fields: fields.into() };
        let mut configuration = routes(vec![route("a")]);
        let metadata = configuration.metadata.get_or_insert_default();
        metadata.filter_metadata.insert("weft.fallback".to_owned(), fields);
        configuration
    };
    assert!(table(&routes(vec![route("a")])).0.fallback.is_none());
    let fallback = table(&with(503.0, "retry-after")).0.fallback.unwrap();
    assert_eq!((fallback.status.as_u16(), &fallback.body[..]), (503, &b"later"[..]));
    assert_eq!(fallback.headers["retry-after"], "5");
    let no = |status, name| refusal(Resource::Routes, PRODUCT, &with(status, name));
    assert_eq!(no(101.0, "x"), "metadata.weft.fallback.status: 101 is not a final status");
    assert_eq!(no(503.5, "x"), "metadata.weft.fallback.status: 503.5 is not a final status");
    assert_eq!(
        no(503.0, "content-length"),
        "metadata.weft.fallback.headers[0].name: content-length belongs to the connection"
    );
}

#[test]
fn what_is_not_honoured_is_named() {
    let cases: [(&str, String); 6] = [
        (
            ".route.path_rewrite: not supported by weft-proxy",
            refused(|route| forward(route).path_rewrite = "/x".to_owned()),
        ),
        (
            ".route.idle_timeout: not supported by weft-proxy",
            refused(|route| forward(route).idle_timeout = seconds(0)),
        ),
        (
            ".match.case_sensitive: not supported by weft-proxy",
            refused(|route| {
                matching(route).case_sensitive =
                    Some(weft_proto::google::BoolValue { value: false });
            }),
        ),
        (
            ".match.headers[0].invert_match: not supported by weft-proxy",
            refused(|route| {
                let mut inverted = header("x", exact("y"));
                inverted.invert_match = true;
                matching(route).headers.push(inverted);
            }),
        ),
        (
            ".match.headers[0].string_match.ignore_case: not supported by weft-proxy",
            refused(|route| {
                let value = StringMatcher { ignore_case: true, ..exact("y") };
                matching(route).headers.push(header("x", value));
            }),
        ),
        (
            ".typed_per_filter_config: not supported by weft-proxy",
            refused(|route| {
                route.typed_per_filter_config.insert("x".to_owned(), Default::default());
            }),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, expected);
    }
    let mut message = routes(vec![route("a")]);
    message.internal_only_headers.push("x".to_owned());
    assert_eq!(
        refusal(Resource::Routes, PRODUCT, &message),
        "internal_only_headers: not supported by weft-proxy"
    );
    let mut message = routes(vec![route("a")]);
    message.virtual_hosts[0].require_tls = 1;
    assert_eq!(
        refusal(Resource::Routes, PRODUCT, &message),
        "virtual_hosts[0].require_tls: not supported by weft-proxy"
    );
}
