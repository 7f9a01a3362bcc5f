//! Virtual hosts and matches.

use weft_proto::names::metadata;
use weft_proto::origin::Origin;

use super::super::fixture::{BUNDLE, route, shop};
use super::super::tests::decoded;
use super::super::translate;
use super::*;
use crate::model::{HeaderMatch, Key, QueryMatch};

fn configuration(mesh: &Mesh, name: &str) -> RouteConfiguration {
    let set = translate(mesh, BUNDLE);
    set.check().unwrap();
    decoded(&set, ResourceType::Route, name)
}

fn origin_of(route: &route::Route) -> Origin {
    let metadata = route.metadata.as_ref().unwrap();
    Origin::from_struct(&metadata.filter_metadata[metadata::SOURCE])
}

/// The fixture with one HTTPRoute on `product` whose one rule has this match.
fn with_match(matched: RouteMatch) -> route::RouteMatch {
    let mut mesh = shop();
    let mut one = route("r", ("product", 8080), &[("web", 80, 1)]);
    one.rules[0].matches = vec![matched];
    mesh.routes.push(one);
    let configuration = configuration(&mesh, "product.shop:8080");
    configuration.virtual_hosts[0].routes[0].r#match.clone().unwrap()
}

#[test]
fn without_an_http_route_everything_goes_to_the_service() {
    let configuration = configuration(&shop(), "product.shop:8080");
    assert_eq!(configuration.name, "product.shop:8080");
    assert!(configuration.ignore_port_in_host_matching);
    let [host] = &configuration.virtual_hosts[..] else { panic!() };
    assert_eq!((host.name.as_str(), &host.domains[..]), ("*", &["*".to_owned()][..]));
    let [route] = &host.routes[..] else { panic!() };
    assert_eq!(route.r#match, Some(prefix("/")));
    assert_eq!(origin_of(route).to_string(), "Service/shop/product");
    let Some(Action::Route(action)) = &route.action else { panic!() };
    assert_eq!(
        action.cluster_specifier,
        Some(ClusterSpecifier::Cluster("product.shop:8080".to_owned()))
    );
    // Envoy would put 15 s where nothing stands.
    assert_eq!(action.timeout, Some(duration(Duration::ZERO)));
    assert!(action.retry_policy.is_some());
}

#[test]
fn with_one_what_no_rule_matches_has_no_route() {
    let mut mesh = shop();
    let mut one = route("r", ("product", 8080), &[("web", 80, 1)]);
    one.hostnames = vec!["a.com".to_owned(), "*.b.com".to_owned()];
    one.rules[0].name = "canary".to_owned();
    one.rules[0].matches[0].path = PathMatch::Prefix("/x".to_owned());
    mesh.routes.push(one);
    let configuration = configuration(&mesh, "product.shop:8080");
    let hosts: Vec<_> = configuration.virtual_hosts.iter().map(|h| h.domains[0].as_str()).collect();
    assert_eq!(hosts, ["*.b.com", "a.com"]);
    for host in &configuration.virtual_hosts {
        let [route] = &host.routes[..] else { panic!() };
        assert_eq!(route.name, "shop/r#canary");
        assert_eq!(origin_of(route).to_string(), "HTTPRoute/shop/r#canary");
    }
}

#[test]
fn paths() {
    let path = |path| with_match(RouteMatch { path, ..Default::default() }).path_specifier.unwrap();
    assert_eq!(path(PathMatch::Exact("/a".to_owned())), PathSpecifier::Path("/a".to_owned()));
    assert_eq!(
        path(PathMatch::Prefix("/a".to_owned())),
        PathSpecifier::PathSeparatedPrefix("/a".to_owned())
    );
    assert_eq!(path(PathMatch::Prefix("/".to_owned())), PathSpecifier::Prefix("/".to_owned()));
    let PathSpecifier::SafeRegex(regex) = path(PathMatch::Regex("/a|/b".to_owned())) else {
        panic!()
    };
    assert_eq!(regex.regex, "/a|/b");
}

#[test]
fn method_headers_and_query() {
    let matched = with_match(RouteMatch {
        method: Some("GET".to_owned()),
        headers: vec![HeaderMatch {
            name: "x-user".to_owned(),
            value: ValueMatch::Regex("a.*".to_owned()),
        }],
        query: vec![QueryMatch { name: "Q".to_owned(), value: ValueMatch::Exact("1".to_owned()) }],
        ..Default::default()
    });
    let names: Vec<_> = matched.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(names, [":method", "x-user"]);
    assert_eq!(matched.headers[0], header(":method", text("GET")));
    assert_eq!(
        matched.headers[1],
        header("x-user", pattern(MatchPattern::SafeRegex(safe_regex("a.*"))))
    );
    assert_eq!(matched.query_parameters[0].name, "Q");
    assert_eq!(
        matched.query_parameters[0].query_parameter_match_specifier,
        Some(QueryParameterMatchSpecifier::StringMatch(text("1")))
    );
}

#[test]
fn an_inbound_port_sends_everything_to_its_application_without_limits() {
    let routes = everything_to("inbound:80");
    let [host] = &routes.virtual_hosts[..] else { panic!() };
    let [route] = &host.routes[..] else { panic!() };
    let Some(Action::Route(action)) = &route.action else { panic!() };
    assert_eq!(action.cluster_specifier, Some(ClusterSpecifier::Cluster("inbound:80".to_owned())));
    assert_eq!(action.timeout, Some(duration(Duration::ZERO)));
    assert_eq!(action.retry_policy, None);
}

#[test]
fn a_method_of_grpc_is_a_path_and_only_grpc_matches() {
    let exact = |text: &str| Some(ValueMatch::Exact(text.to_owned()));
    let regex = |text: &str| Some(ValueMatch::Regex(text.to_owned()));
    let pattern = |text: &str| PathSpecifier::SafeRegex(safe_regex(text));
    for (service, method, expected) in [
        (None, None, PathSpecifier::Prefix("/".to_owned())),
        (exact("a.B"), None, PathSpecifier::PathSeparatedPrefix("/a.B".to_owned())),
        (exact("a.B"), exact("Get"), PathSpecifier::Path("/a.B/Get".to_owned())),
        (None, exact("Get"), pattern("/[^/]+/Get")),
        (regex("a.*|b"), None, pattern("/(?:a.*|b)/[^/]+")),
        (exact("a.B"), regex("G|L"), pattern("/a\\.B/(?:G|L)")),
    ] {
        let path = PathMatch::Rpc { service, method };
        let matched = with_match(RouteMatch { path, ..Default::default() });
        assert_eq!(matched.path_specifier, Some(expected));
        assert!(matched.grpc.is_some());
    }
    assert!(with_match(RouteMatch::default()).grpc.is_none());
}

#[test]
fn a_consumers_routes_are_seen_in_its_namespace_only_and_there_alone() {
    let mut mesh = shop();
    mesh.routes.push(route("producer", ("product", 8080), &[("web", 80, 1)]));
    for (namespace, path) in [("checkout", "/c"), ("audit", "/a")] {
        let mut one = route("consumer", ("product", 8080), &[("product", 8080, 1)]);
        one.key.namespace = namespace.to_owned();
        one.rules[0].matches[0].path = PathMatch::Exact(path.to_owned());
        mesh.routes.push(one);
    }
    let set = translate(&mesh, BUNDLE);
    set.check().unwrap();
    let seen = |namespace: &str| -> Vec<RouteConfiguration> {
        let viewer = Key::new(namespace, "somebody");
        let all = set.all(ResourceType::Route).filter(|one| &*one.name == "product.shop:8080");
        let visible = all.filter(|one| one.visibility.includes(&viewer));
        visible.map(|one| prost::Message::decode(one.body()).unwrap()).collect()
    };
    let names = |namespace: &str| -> Vec<String> {
        let [only] = &seen(namespace)[..] else { panic!("one for {namespace}") };
        assert_eq!(only.name, "product.shop:8080");
        only.virtual_hosts[0].routes.iter().map(|route| route.name.clone()).collect()
    };
    assert_eq!(names("shop"), ["shop/producer#0"]);
    assert_eq!(names("elsewhere"), ["shop/producer#0"]);
    assert_eq!(names("checkout"), ["checkout/consumer#0"]);
    assert_eq!(names("audit"), ["audit/consumer#0"]);

    // Without any of the producer's the others go straight to the Service.
    mesh.routes.remove(0);
    let set = translate(&mesh, BUNDLE);
    let everybody: RouteConfiguration = decoded(&set, ResourceType::Route, "product.shop:8080");
    assert_eq!(everybody.virtual_hosts[0].routes[0].name, "product.shop:8080");
    // Where there are none at all, nothing is kept apart.
    let all = set.all(ResourceType::Route).filter(|one| &*one.name == "web.shop:80");
    assert_eq!(all.count(), 1);
}
