//! GRPCRoute: what the Gateway API allows, what it forbids, and what Weft refuses by name. What it shares with
//! HTTPRoutes is tested with those.

use crate::model::{Mesh, PathMatch, RouteKind, RouteRule, ValueMatch};
use crate::source::testing::{beside_shop, object, route};

const BACKEND: &str = "backendRefs: [{name: web, port: 80}]";

fn read(rules: &str) -> (Mesh, Vec<String>) {
    let parent = "parentRefs: [{group: '', kind: Service, name: web, port: 80}]";
    beside_shop(&object("GRPCRoute", "r", &format!("{{{parent}, rules: {rules}}}")))
}

fn rule(text: &str) -> (Option<RouteRule>, Vec<String>) {
    let (mesh, findings) = read(&format!("[{{{BACKEND}, {text}}}]"));
    (mesh.routes.first().map(|route| route.rules[0].clone()), findings)
}

fn rpc(service: Option<&str>, method: Option<&str>, value: fn(String) -> ValueMatch) -> PathMatch {
    let part = |text: Option<&str>| text.map(|text| value(text.to_owned()));
    PathMatch::Rpc { service: part(service), method: part(method) }
}

#[test]
fn methods_are_read() {
    for (text, expected) in [
        ("matches: []", rpc(None, None, ValueMatch::Exact)),
        ("matches: [{headers: [{name: A, value: b}]}]", rpc(None, None, ValueMatch::Exact)),
        (
            "matches: [{method: {service: shop.v1.Cart, method: Add}}]",
            rpc(Some("shop.v1.Cart"), Some("Add"), ValueMatch::Exact),
        ),
        (
            "matches: [{method: {service: shop.v1.Cart}}]",
            rpc(Some("shop.v1.Cart"), None, ValueMatch::Exact),
        ),
        (
            "matches: [{method: {method: Add, service: '', type: Exact}}]",
            rpc(None, Some("Add"), ValueMatch::Exact),
        ),
        (
            "matches: [{method: {type: RegularExpression, service: 'shop\\..*', method: 'Get|List'}}]",
            rpc(Some("shop\\..*"), Some("Get|List"), ValueMatch::Regex),
        ),
    ] {
        let (rule, findings) = rule(text);
        assert_eq!(findings, Vec::<String>::new(), "{text}");
        assert_eq!(rule.unwrap().matches[0].path, expected, "{text}");
    }
    let (rule, _) = rule("name: carts, matches: [{headers: [{name: X-Env, value: test}]}]");
    let rule = rule.unwrap();
    assert_eq!((&*rule.name, &*rule.matches[0].headers[0].name), ("carts", "x-env"));
}

#[test]
fn methods_that_cannot_be_are_refused() {
    for (method, at) in [
        ("{}", ""),
        ("{service: ''}", ""),
        ("{service: 'a/b'}", ".service"),
        ("{service: 'a..b'}", ".service"),
        ("{service: '1a'}", ".service"),
        ("{service: a, method: 'Get*'}", ".method"),
        ("{service: a, method: a.b}", ".method"),
        ("{type: RegularExpression, service: '('}", ".service"),
        ("{type: Prefix, service: a}", ".type"),
        ("{path: /a}", ".path"),
    ] {
        let (rule, findings) = rule(&format!("matches: [{{method: {method}}}]"));
        assert_eq!(findings, [format!("WEFT0205 spec.rules[0].matches[0].method{at}")], "{method}");
        assert_eq!(rule, None);
    }
}

#[test]
fn filters_are_those_of_grpc() {
    let change = "{set: [{name: x-a, value: b}]}";
    let (rule, findings) = rule(&format!(
        "filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {change}}}, \
         {{type: ResponseHeaderModifier, responseHeaderModifier: {change}}}]"
    ));
    assert_eq!(findings, Vec::<String>::new());
    let rule = rule.unwrap();
    assert_eq!((rule.request_headers.set.len(), rule.response_headers.set.len()), (1, 1));

    for (kind, field) in [
        ("RequestRedirect", "requestRedirect"),
        ("URLRewrite", "urlRewrite"),
        ("CORS", "cors"),
        ("ExternalAuth", "externalAuth"),
    ] {
        let filter = format!("filters: [{{type: {kind}, {field}: {{}}}}]");
        let expected = ["WEFT0205 spec.rules[0].filters[0].type"];
        assert_eq!(self::rule(&filter), (None, expected.map(str::to_owned).to_vec()), "{kind}");
    }
}

#[test]
fn what_an_http_route_has_besides_is_no_field_here() {
    for (text, at) in [
        ("timeouts: {request: 1s}", "timeouts"),
        ("retry: {attempts: 1}", "retry"),
        ("matches: [{path: {value: /}}]", "matches[0].path"),
        ("matches: [{queryParams: []}]", "matches[0].queryParams"),
    ] {
        assert_eq!(rule(text), (None, vec![format!("WEFT0205 spec.rules[0].{at}")]), "{text}");
    }
    let unsupported = vec!["WEFT0206 spec.rules[0].sessionPersistence".to_owned()];
    assert_eq!(rule("sessionPersistence: {}"), (None, unsupported));
}

#[test]
fn names_of_rules_are_names_and_each_once() {
    let (_, findings) = read(&format!("[{{name: a, {BACKEND}}}, {{name: a, {BACKEND}}}]"));
    assert_eq!(findings, ["WEFT0205 spec.rules[1].name"]);
    // What stands where no name is written is taken from nobody.
    let other = "matches: [{method: {service: a}}]";
    let (mesh, findings) = read(&format!("[{{{BACKEND}}}, {{name: '0', {other}, {BACKEND}}}]"));
    assert_eq!((mesh.routes.len(), findings), (1, vec![]));
}

#[test]
fn without_rules_nothing_is_served_and_it_is_said() {
    let (mesh, findings) = read("[]");
    assert_eq!(findings, ["WEFT0304 spec.rules"]);
    assert_eq!((mesh.routes[0].kind, mesh.routes[0].rules.len()), (RouteKind::Grpc, 0));
}

#[test]
fn an_http_route_on_the_same_port_does_not_count_whichever_is_older() {
    let http = route("h", &format!("[{{{BACKEND}}}]"));
    let old = http
        .replace("namespace: shop", "namespace: shop, creationTimestamp: '2020-01-01T00:00:00Z'");
    let parents = "parentRefs: [{group: '', kind: Service, name: web, port: 80}]";
    let grpc = object("GRPCRoute", "g", &format!("{{{parents}, rules: [{{{BACKEND}}}]}}"));
    for http in [http, old] {
        let (mesh, findings) = beside_shop(&(http + &grpc));
        assert_eq!(findings, ["WEFT0307 spec.parentRefs[0]"]);
        let kinds: Vec<_> = mesh.routes.iter().map(|route| route.kind).collect();
        assert_eq!(kinds, [RouteKind::Grpc]);
    }
    // On another port it does.
    let elsewhere = route("h", &format!("[{{{BACKEND}}}]"))
        .replace("name: web, port: 80}]", "name: web-v2, port: 80}]");
    let (mesh, findings) = beside_shop(&(elsewhere + &grpc));
    assert_eq!((mesh.routes.len(), findings), (2, vec![]));
}
