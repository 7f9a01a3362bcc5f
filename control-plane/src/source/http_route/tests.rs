//! HTTPRoute: what the Gateway API allows, what it forbids, and what Weft refuses by name.

mod filters;

use proptest::prelude::*;

use crate::model::{Backend, HeaderChange, Key, PathMatch, RouteRule, ValueMatch};
use crate::source::testing::{beside_shop, object, route};

const BACKEND: &str = "backendRefs: [{name: web, port: 80}]";

fn rule(text: &str) -> (Option<RouteRule>, Vec<String>) {
    let (mesh, findings) = beside_shop(&route("r", &format!("[{{{text}}}]")));
    (mesh.routes.first().map(|route| route.rules[0].clone()), findings)
}

/// The rule with this text and a backend, which must have no findings.
fn good(text: &str) -> RouteRule {
    let (read, findings) = rule(&format!("{BACKEND}, {text}"));
    assert!(findings.is_empty(), "{text}: {findings:?}");
    read.unwrap()
}

fn refused(text: &str, expected: &[&str]) {
    let (read, findings) = rule(&format!("{BACKEND}, {text}"));
    assert_eq!(findings, expected, "{text}");
    assert_eq!(read, None, "{text}");
}

#[test]
fn matches_are_read_and_normalised() {
    let read = good(
        "name: canary, matches: [{path: {value: /a/b/}, method: GET, headers: [{name: X-User, value: jo}], \
                     queryParams: [{name: Q, value: 'a|b', type: RegularExpression}]}]",
    );
    assert_eq!(read.name, "canary");
    let only = &read.matches[0];
    assert_eq!(only.path, PathMatch::Prefix("/a/b".to_owned()));
    assert_eq!(only.method.as_deref(), Some("GET"));
    assert_eq!(
        (&*only.headers[0].name, &only.headers[0].value),
        ("x-user", &ValueMatch::Exact("jo".to_owned()))
    );
    assert_eq!(
        (&*only.query[0].name, &only.query[0].value),
        ("Q", &ValueMatch::Regex("a|b".to_owned()))
    );

    let read = good("matches: []");
    assert_eq!(
        (read.name.as_str(), &read.matches[0].path),
        ("0", &PathMatch::Prefix("/".to_owned()))
    );
    for (path, expected) in [
        ("{}", PathMatch::Prefix("/".to_owned())),
        ("{value: /}", PathMatch::Prefix("/".to_owned())),
        ("{type: Exact, value: /a/}", PathMatch::Exact("/a/".to_owned())),
        ("{type: Exact, value: '/a%20b'}", PathMatch::Exact("/a%20b".to_owned())),
        (
            "{type: RegularExpression, value: '/v[0-9]+/.*'}",
            PathMatch::Regex("/v[0-9]+/.*".to_owned()),
        ),
    ] {
        assert_eq!(good(&format!("matches: [{{path: {path}}}]")).matches[0].path, expected);
    }
}

#[test]
fn matches_that_cannot_be_are_refused() {
    let field = "WEFT0205 spec.rules[0].matches[0]";
    for value in [
        "a", "//", "/a//b", "/a/./b", "/a/../b", "/a/..", "/a/.", "/a%2Fb", "/a#b", "/ä", "/a b",
        "/%zz", "/%4",
    ] {
        refused(
            &format!("matches: [{{path: {{type: Exact, value: '{value}'}}}}]"),
            &[&format!("{field}.path.value")],
        );
    }
    for regex in ["(", "a)(b", "(?=x)", r"\1", "[z-a]", "((a{1000}){1000}){1000}"] {
        let text = format!("matches: [{{path: {{type: RegularExpression, value: '{regex}'}}}}]");
        refused(&text, &[&format!("{field}.path.value")]);
    }
    let long = "a".repeat(1025);
    let text =
        format!("matches: [{{headers: [{{name: x, type: RegularExpression, value: {long}}}]}}]");
    refused(&text, &[&format!("{field}.headers[0].value")]);
    for (text, at) in [
        ("path: {type: Glob, value: /}", ".path.type"),
        ("method: get", ".method"),
        ("headers: [{name: 'a b', value: x}]", ".headers[0].name"),
        ("headers: [{name: a, value: ''}]", ".headers[0].value"),
        ("headers: [{name: a}]", ".headers[0]"),
        ("queryParams: [{name: '', value: x}]", ".queryParams[0].name"),
    ] {
        refused(&format!("matches: [{{{text}}}]"), &[&format!("{field}{at}")]);
    }
    let many = "{path: {value: /}},".repeat(65);
    refused(&format!("matches: [{many}]"), &["WEFT0205 spec.rules[0].matches"]);
}

#[test]
fn of_equal_names_the_first_counts_and_the_others_are_told() {
    let (read, findings) = rule(&format!(
        "{BACKEND}, matches: [{{headers: [{{name: A, value: one}}, {{name: a, value: two}}], \
         queryParams: [{{name: A, value: one}}, {{name: a, value: two}}]}}]"
    ));
    assert_eq!(findings, ["WEFT0209 spec.rules[0].matches[0].headers[1]"]);
    let matches = &read.unwrap().matches[0];
    assert_eq!(matches.headers.len(), 1);
    assert_eq!(matches.headers[0].value, ValueMatch::Exact("one".to_owned()));
    assert_eq!(matches.query.len(), 2, "query parameters are case-sensitive");
}

#[test]
fn header_filters_are_read_for_rules_and_backends() {
    let filters = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: \
                   {set: [{name: X-A, value: '1'}], add: [{name: X-B, value: '2'}], remove: [X-C]}}, \
                   {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [Server]}}]";
    let read = good(filters);
    let change = |name: &str, value: &str| HeaderChange { name: name.into(), value: value.into() };
    assert_eq!(read.request_headers.set, [change("x-a", "1")]);
    assert_eq!(read.request_headers.add, [change("x-b", "2")]);
    assert_eq!(read.request_headers.remove, ["x-c"]);
    assert_eq!(read.response_headers.remove, ["server"]);

    let (read, findings) = rule(&format!("backendRefs: [{{name: web, port: 80, {filters}}}]"));
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(read.unwrap().backends[0].request_headers.remove, ["x-c"]);
}

#[test]
fn filters_that_weft_lacks_refuse_the_route_by_name() {
    for kind in ["CORS", "ExternalAuth", "ExtensionRef"] {
        let field = kind.replace("CORS", "cors");
        let field = field[..1].to_lowercase() + &field[1..];
        let filter = format!("filters: [{{type: {kind}, {field}: {{}}}}]");
        refused(&filter, &["WEFT0206 spec.rules[0].filters[0].type"]);
    }
    refused("sessionPersistence: {}", &["WEFT0206 spec.rules[0].sessionPersistence"]);
    let redirect = "filters: [{type: RequestRedirect, requestRedirect: {}}]";
    let (read, findings) = rule(&format!("backendRefs: [{{name: web, port: 80, {redirect}}}]"));
    assert_eq!(findings, ["WEFT0206 spec.rules[0].backendRefs[0].filters[0].type"]);
    assert_eq!(read, None);
}

#[test]
fn filters_that_cannot_be_are_refused() {
    let field = "spec.rules[0].filters[0]";
    let modifier = "type: RequestHeaderModifier, requestHeaderModifier";
    for (filter, at) in [
        ("type: Magic".to_owned(), ".type"),
        ("type: RequestHeaderModifier".to_owned(), ""),
        (
            format!("{modifier}: {{set: [{{name: 'a b', value: x}}]}}"),
            ".requestHeaderModifier.set[0].name",
        ),
        (
            format!("{modifier}: {{add: [{{name: a, value: \"x\\ny\"}}]}}"),
            ".requestHeaderModifier.add[0].value",
        ),
        (
            format!("{modifier}: {{remove: [Transfer-Encoding]}}"),
            ".requestHeaderModifier.remove[0]",
        ),
        (
            format!("{modifier}: {{set: [{{name: Host, value: x}}]}}"),
            ".requestHeaderModifier.set[0].name",
        ),
    ] {
        refused(&format!("filters: [{{{filter}}}]"), &[&format!("WEFT0205 {field}{at}")]);
    }
    let twice = format!("{{{modifier}: {{remove: [a]}}}}");
    refused(&format!("filters: [{twice}, {twice}]"), &["WEFT0205 spec.rules[0].filters[1]"]);
}

#[test]
fn timeouts_are_durations_and_an_attempt_is_within_the_request() {
    let read = good("timeouts: {request: 1s, backendRequest: 500ms}").timeouts;
    assert_eq!(
        (read.request.unwrap().as_millis(), read.backend_request.unwrap().as_millis()),
        (1000, 500)
    );
    good("timeouts: {request: 0s, backendRequest: 5s}");
    good("timeouts: {backendRequest: 5s}");
    refused(
        "timeouts: {request: 1s, backendRequest: 2s}",
        &["WEFT0205 spec.rules[0].timeouts.backendRequest"],
    );
    refused("timeouts: {request: 1 s}", &["WEFT0205 spec.rules[0].timeouts.request"]);
}

#[test]
fn retries_of_a_rule_are_read_and_checked() {
    let read = good("retry: {codes: [500, 503, 500], attempts: 3, backoff: 100ms}").retry.unwrap();
    assert_eq!((read.codes, read.attempts), (vec![500, 503], Some(3)));
    assert_eq!(read.backoff.unwrap().as_millis(), 100);
    assert_eq!(good("retry: {}").retry, Some(Default::default()));
    for (text, at) in [
        ("codes: [399]", ".codes[0]"),
        ("codes: [500, 600]", ".codes[1]"),
        ("attempts: 11", ".attempts"),
        ("attempts: -1", ".attempts"),
        ("backoff: 1", ".backoff"),
        ("on: [reset]", ".on"),
    ] {
        refused(&format!("retry: {{{text}}}"), &[&format!("WEFT0205 spec.rules[0].retry{at}")]);
    }
}

#[test]
fn backends_are_services_with_ports_and_weights() {
    let (read, findings) = rule(
        "backendRefs: [{name: web, port: 80, weight: 9}, {name: web-v2, namespace: shop, port: 80}]",
    );
    assert!(findings.is_empty(), "{findings:?}");
    let backends = read.unwrap().backends;
    assert_eq!((backends[0].weight, backends[1].weight), (9, 1));
    assert_eq!(backends[1].backend, Backend::Service(Key::new("shop", "web-v2"), 80));

    let (read, findings) =
        rule("backendRefs: [{kind: Bucket, group: s3, name: x}, {name: web, port: 80}]");
    assert_eq!(findings, ["WEFT0103 spec.rules[0].backendRefs[0].kind"]);
    assert!(matches!(read.unwrap().backends[0].backend, Backend::Invalid(_)));
    for (text, at) in [
        ("name: web", ""),
        ("name: web, port: 0", ".port"),
        ("name: web, port: 80, weight: -1", ".weight"),
    ] {
        let (read, findings) = rule(&format!("backendRefs: [{{{text}}}]"));
        assert_eq!(findings, [format!("WEFT0205 spec.rules[0].backendRefs[0]{at}")]);
        assert_eq!(read, None);
    }
}

#[test]
fn parents_and_hostnames() {
    let with = |parents: &str, more: &str| {
        let spec = format!("{{parentRefs: [{parents}], rules: [{{{BACKEND}}}]{more}}}");
        let (mesh, findings) = beside_shop(&object("HTTPRoute", "r", &spec));
        (mesh.routes.first().map(|route| route.parents.len()), findings)
    };
    let web = "{group: '', kind: Service, name: web";
    for (parents, attached, expected) in [
        (format!("{web}, port: 80}}"), Some(1), vec![]),
        (format!("{web}, sectionName: http}}"), Some(1), vec![]),
        (format!("{web}, sectionName: http, port: 80}}"), Some(1), vec![]),
        (format!("{web}}}"), Some(2), vec!["WEFT0302 spec.parentRefs[0]"]),
        (format!("{web}, port: 80}}, {web}, port: 80}}"), Some(1), vec![]),
        (format!("{web}, port: 81}}"), None, vec!["WEFT0105 spec.parentRefs[0].port"]),
        (
            format!("{web}, sectionName: tcp-db, port: 80}}"),
            None,
            vec!["WEFT0105 spec.parentRefs[0].port"],
        ),
        (format!("{web}-9}}"), None, vec!["WEFT0104 spec.parentRefs[0].name"]),
        (format!("{web}, namespace: other}}"), None, vec!["WEFT0104 spec.parentRefs[0].name"]),
        ("{kind: Service, name: web}".to_owned(), None, vec!["WEFT0205 spec.parentRefs[0]"]),
        ("{name: gateway}".to_owned(), None, vec!["WEFT0208 spec.parentRefs"]),
        (format!("{{name: gateway}}, {web}, port: 80}}"), Some(1), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(with(&parents, ""), (attached, expected), "{parents}");
    }
    let parent = format!("{web}, port: 80}}");
    assert_eq!(with(&parent, ", hostnames: ['*.example.com', web]").1, Vec::<String>::new());
    for name in ["*", "Web", "10.0.0.1", "web:80"] {
        let (_, findings) = with(&parent, &format!(", hostnames: ['{name}']"));
        assert_eq!(findings, ["WEFT0205 spec.hostnames[0]"], "{name}");
    }
}

#[test]
fn a_route_without_rules_has_the_one_that_the_api_gives_it() {
    let spec = "{parentRefs: [{group: '', kind: Service, name: web, port: 80}]}";
    let (mesh, findings) = beside_shop(&object("HTTPRoute", "r", spec));
    assert_eq!(findings, ["WEFT0304 spec.rules[0]"]);
    assert_eq!(mesh.routes[0].rules[0].matches.len(), 1);
}

#[test]
fn names_of_rules_are_names_and_each_once() {
    let rules =
        format!("[{{name: a, {BACKEND}}}, {{name: a, {BACKEND}}}, {{name: 'A b', {BACKEND}}}]");
    let (_, findings) = beside_shop(&route("r", &rules));
    assert_eq!(findings, ["WEFT0205 spec.rules[1].name", "WEFT0205 spec.rules[2].name"]);
}

proptest! {
    #[test]
    fn no_path_or_pattern_panics(value in any::<String>(), kind in "Exact|PathPrefix|RegularExpression") {
        let value = serde_json::to_string(&value).unwrap();
        let _ = rule(&format!("{BACKEND}, matches: [{{path: {{type: {kind}, value: {value}}}}}]"));
    }
}
