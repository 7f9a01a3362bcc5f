//! The precedence of the Gateway API, case by case.

use super::super::fixture::route;
use super::*;
use crate::model::{HeaderMatch, QueryMatch, ValueMatch};

/// A route whose rules are named after their matches.
fn with(name: &str, hosts: &[&str], matches: Vec<RouteMatch>) -> Route {
    let mut route = route(name, ("web", 80), &[]);
    route.hostnames = hosts.iter().map(|&host| host.to_owned()).collect();
    route.rules = matches
        .into_iter()
        .enumerate()
        .map(|(index, matched)| RouteRule {
            name: index.to_string(),
            matches: vec![matched],
            ..Default::default()
        })
        .collect();
    route
}

fn path(path: PathMatch) -> RouteMatch {
    RouteMatch { path, ..Default::default() }
}

fn prefix(text: &str) -> RouteMatch {
    path(PathMatch::Prefix(text.to_owned()))
}

fn exact(text: &str) -> RouteMatch {
    path(PathMatch::Exact(text.to_owned()))
}

fn any_header(name: &str) -> HeaderMatch {
    HeaderMatch { name: name.to_owned(), value: ValueMatch::Regex(".*".to_owned()) }
}

fn any_query(name: &str) -> QueryMatch {
    QueryMatch { name: name.to_owned(), value: ValueMatch::Regex(".*".to_owned()) }
}

/// `route#rule` in order, for one domain.
fn order(routes: &[Route], domain: &str) -> Vec<String> {
    let routes: Vec<_> = routes.iter().collect();
    let domains = by_domain(&routes);
    domains[domain].iter().map(|c| format!("{}#{}", c.route.key.name, c.rule.name)).collect()
}

#[test]
fn of_grpc_the_longer_service_then_the_longer_method_then_more_headers_come_first() {
    let exact = |text: &str| Some(ValueMatch::Exact(text.to_owned()));
    let regex = |text: &str| Some(ValueMatch::Regex(text.to_owned()));
    let rpc = |service, method| path(PathMatch::Rpc { service, method });
    let headers = |count: usize, of: RouteMatch| RouteMatch {
        headers: (0..count).map(|index| any_header(&format!("h{index}"))).collect(),
        ..of
    };
    // From the least to the most specific.
    let matches = vec![
        rpc(None, None),
        headers(1, rpc(None, None)),
        headers(2, rpc(None, None)),
        rpc(None, regex("Get.*|List.*")),
        rpc(None, exact("Get")),
        rpc(None, exact("GetAll")),
        headers(1, rpc(None, exact("GetAll"))),
        rpc(regex("a.*"), None),
        rpc(regex("a.*"), exact("Get")),
        rpc(regex("a.*b"), None),
        headers(2, rpc(exact("a.B"), None)),
        rpc(exact("a.B"), exact("Get")),
        rpc(exact("a.B"), exact("GetAll")),
        headers(1, rpc(exact("a.B"), exact("GetAll"))),
        rpc(exact("a.Bc"), None),
    ];
    let count = matches.len();
    let routes = [with("r", &[], matches)];
    let expected: Vec<_> = (0..count).rev().map(|index| format!("r#{index}")).collect();
    assert_eq!(order(&routes, "*"), expected);
}

#[test]
fn the_more_specific_match_comes_first() {
    let method = |of: RouteMatch| RouteMatch { method: Some("GET".to_owned()), ..of };
    let headers = |count: usize, of: RouteMatch| RouteMatch {
        headers: (0..count).map(|index| any_header(&format!("h{index}"))).collect(),
        ..of
    };
    let query = |count: usize, of: RouteMatch| RouteMatch {
        query: (0..count).map(|index| any_query(&format!("q{index}"))).collect(),
        ..of
    };
    // From the least to the most specific.
    let matches = vec![
        prefix("/"),
        query(1, prefix("/")),
        query(2, prefix("/")),
        headers(1, prefix("/")),
        headers(2, prefix("/")),
        method(prefix("/")),
        method(headers(1, prefix("/"))),
        prefix("/a"),
        prefix("/ä/b"),
        prefix("/abcd"),
        path(PathMatch::Regex("/a.*".to_owned())),
        method(path(PathMatch::Regex("/.*".to_owned()))),
        exact("/a"),
        method(exact("/a")),
    ];
    let expected: Vec<_> = (0..matches.len()).rev().map(|index| format!("r#{index}")).collect();
    assert_eq!(order(&[with("r", &[], matches)], "*"), expected);
}

#[test]
fn ties_go_to_the_older_route_then_to_what_is_written_first() {
    let older = with("older", &[], vec![prefix("/x"), prefix("/y")]);
    let younger = with("younger", &[], vec![prefix("/z"), prefix("/xx")]);
    assert_eq!(order(&[older, younger], "*"), ["younger#1", "older#0", "older#1", "younger#0"]);
}

#[test]
fn every_match_of_a_rule_stands_alone() {
    let mut one = with("r", &[], vec![prefix("/a")]);
    one.rules[0].matches.push(exact("/b"));
    let routes = [&one];
    let domains = by_domain(&routes);
    let paths: Vec<_> = domains["*"].iter().map(|c| c.matched.path.clone()).collect();
    assert_eq!(paths, [PathMatch::Exact("/b".to_owned()), PathMatch::Prefix("/a".to_owned())]);
}

#[test]
fn a_domain_carries_the_rules_of_every_wider_host_behind_its_own() {
    let routes = [
        with("any", &[], vec![exact("/")]),
        with("wide", &["*.com"], vec![exact("/")]),
        with("near", &["*.shop.com"], vec![exact("/")]),
        with("own", &["www.shop.com"], vec![prefix("/")]),
        with("other", &["*.org"], vec![exact("/")]),
    ];
    // Even though its own rule is a mere prefix: the host is more specific.
    assert_eq!(order(&routes, "www.shop.com"), ["own#0", "near#0", "wide#0", "any#0"]);
    assert_eq!(order(&routes, "*.shop.com"), ["near#0", "wide#0", "any#0"]);
    assert_eq!(order(&routes, "*.com"), ["wide#0", "any#0"]);
    assert_eq!(order(&routes, "*.org"), ["other#0", "any#0"]);
    assert_eq!(order(&routes, "*"), ["any#0"]);
}

#[test]
fn a_wildcard_does_not_cover_its_own_parent() {
    let routes = [
        with("star", &["*.shop.com"], vec![prefix("/")]),
        with("bare", &["shop.com"], vec![prefix("/")]),
    ];
    assert_eq!(order(&routes, "shop.com"), ["bare#0"]);
}

#[test]
fn a_route_with_several_covering_hosts_counts_once() {
    let routes = [with("r", &["a.shop.com", "*.shop.com", "*.com"], vec![prefix("/")])];
    assert_eq!(order(&routes, "a.shop.com"), ["r#0"]);
}

#[test]
fn without_a_route_for_all_hosts_there_is_no_domain_for_them() {
    let routes = [with("r", &["a.com"], vec![prefix("/")])];
    let routes: Vec<_> = routes.iter().collect();
    assert_eq!(by_domain(&routes).keys().collect::<Vec<_>>(), ["a.com"]);
}
