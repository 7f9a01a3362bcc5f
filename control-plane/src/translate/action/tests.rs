//! What rules do.

use super::super::fixture::{BUNDLE, backend, route, shop};
use super::super::tests::decoded;
use super::super::{ResourceType, translate};
use super::*;
use crate::model::{HeaderChange, Key, Mirror, Rewrite, Timeouts};
use weft_proto::envoy::route::{Route, RouteConfiguration};

/// What `product` does under an HTTPRoute with this one rule.
fn route_of(mut mesh: Mesh, rule: RouteRule) -> Route {
    let mut one = route("r", ("product", 8080), &[]);
    one.rules = vec![RouteRule { matches: vec![Default::default()], ..rule }];
    mesh.routes.push(one);
    let set = translate(&mesh, BUNDLE);
    set.check().unwrap();
    let mut routes: RouteConfiguration = decoded(&set, ResourceType::Route, "product.shop:8080");
    routes.virtual_hosts.remove(0).routes.remove(0)
}

fn action_of(rule: RouteRule) -> RouteAction {
    match route_of(shop(), rule).action {
        Some(Action::Route(action)) => action,
        other => panic!("{other:?}"),
    }
}

fn grpc_action_of(rule: RouteRule) -> RouteAction {
    let mut one = route("r", ("product", 8080), &[]);
    one.kind = RouteKind::Grpc;
    one.rules = vec![RouteRule { matches: vec![Default::default()], ..rule }];
    let mut mesh = shop();
    mesh.routes.push(one);
    let set = translate(&mesh, BUNDLE);
    set.check().unwrap();
    let mut routes: RouteConfiguration = decoded(&set, ResourceType::Route, "product.shop:8080");
    match routes.virtual_hosts.remove(0).routes.remove(0).action {
        Some(Action::Route(action)) => action,
        other => panic!("{other:?}"),
    }
}

fn to(backends: Vec<BackendRef>) -> RouteRule {
    RouteRule { backends, ..Default::default() }
}

fn invalid(weight: u32) -> BackendRef {
    BackendRef { backend: Backend::Invalid("no such Service".to_owned()), ..backend("", 0, weight) }
}

fn set_header(name: &str, value: &str) -> HeaderFilter {
    let change = HeaderChange { name: name.to_owned(), value: value.to_owned() };
    HeaderFilter { set: vec![change], ..Default::default() }
}

fn weights(action: &RouteAction) -> Vec<(&str, u32)> {
    match action.cluster_specifier.as_ref().unwrap() {
        ClusterSpecifier::WeightedClusters(clusters) => clusters
            .clusters
            .iter()
            .map(|cluster| (cluster.name.as_str(), cluster.weight.unwrap().value))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_backend_is_a_cluster() {
    let action = action_of(to(vec![backend("web", 80, 1), backend("db", 5432, 0)]));
    assert_eq!(action.cluster_specifier, Some(ClusterSpecifier::Cluster("web.shop:80".to_owned())));
    assert_eq!(
        action.cluster_not_found_response_code(),
        ClusterNotFoundResponseCode::ServiceUnavailable
    );
}

#[test]
fn several_are_weighted_and_keep_their_own_header_changes() {
    let canary =
        BackendRef { request_headers: set_header("x-canary", "1"), ..backend("web", 80, 10) };
    let action = action_of(to(vec![backend("product", 8080, 90), canary.clone()]));
    assert_eq!(weights(&action), [("product.shop:8080", 90), ("web.shop:80", 10)]);
    let Some(ClusterSpecifier::WeightedClusters(clusters)) = action.cluster_specifier else {
        panic!()
    };
    assert!(clusters.clusters[0].request_headers_to_add.is_empty());
    assert_eq!(clusters.clusters[1].request_headers_to_add.len(), 1);
    // One alone with changes of its own is weighted too: a route has no other place for them.
    assert_eq!(weights(&action_of(to(vec![canary]))), [("web.shop:80", 10)]);
}

#[test]
fn an_invalid_backend_keeps_its_share_and_answers_500_to_grpc_unavailable() {
    let action = action_of(to(vec![backend("web", 80, 1), invalid(3)]));
    assert_eq!(weights(&action), [("web.shop:80", 1), ("invalid/1", 3)]);
    assert_eq!(
        action.cluster_not_found_response_code(),
        ClusterNotFoundResponseCode::InternalServerError
    );
    // As does one whose Service the mesh does not have.
    let action =
        action_of(to(vec![backend("gone", 1, 1), backend("web", 81, 1), backend("web", 80, 1)]));
    assert_eq!(weights(&action), [("invalid/0", 1), ("invalid/1", 1), ("web.shop:80", 1)]);
    // Its own header changes do not bring it to life.
    let with_filter = BackendRef { request_headers: set_header("x-a", "1"), ..invalid(1) };
    let action = action_of(to(vec![backend("web", 80, 1), with_filter]));
    assert_eq!(weights(&action), [("web.shop:80", 1), ("invalid/1", 1)]);
    let action = grpc_action_of(to(vec![backend("web", 80, 1), invalid(3)]));
    assert_eq!(weights(&action), [("web.shop:80", 1), ("invalid/1", 3)]);
    assert_eq!(
        action.cluster_not_found_response_code(),
        ClusterNotFoundResponseCode::ServiceUnavailable
    );
}

#[test]
fn without_a_usable_backend_it_is_500() {
    for backends in
        [vec![], vec![invalid(1)], vec![backend("web", 80, 0)], vec![backend("gone", 1, 1)]]
    {
        for (action, expected) in [
            (action_of(to(backends.clone())), ClusterNotFoundResponseCode::InternalServerError),
            (grpc_action_of(to(backends.clone())), ClusterNotFoundResponseCode::ServiceUnavailable),
        ] {
            let nobody = ClusterSpecifier::Cluster("invalid/0".to_owned());
            assert_eq!(action.cluster_specifier, Some(nobody), "{backends:?}");
            assert_eq!(action.cluster_not_found_response_code(), expected, "{backends:?}");
        }
    }
}

#[test]
fn header_changes_of_a_rule() {
    let request = HeaderFilter {
        add: vec![HeaderChange { name: "x-add".to_owned(), value: String::new() }],
        remove: vec!["x-gone".to_owned()],
        ..set_header("x-set", "100% %REQ(:path)%")
    };
    let rule = RouteRule {
        request_headers: request,
        response_headers: set_header("x-answer", "a"),
        ..to(vec![backend("web", 80, 1)])
    };
    let route = route_of(shop(), rule);
    let added: Vec<_> = route
        .request_headers_to_add
        .iter()
        .map(|option| {
            let header = option.header.as_ref().unwrap();
            (
                header.key.as_str(),
                header.value.as_str(),
                option.append_action(),
                option.keep_empty_value,
            )
        })
        .collect();
    // Percent signs are literal: nothing that a user writes is a format command.
    let expected = [
        ("x-set", "100%% %%REQ(:path)%%", HeaderAppendAction::OverwriteIfExistsOrAdd, false),
        ("x-add", "", HeaderAppendAction::AppendIfExistsOrAdd, true),
    ];
    assert_eq!(added, expected);
    assert_eq!(route.request_headers_to_remove, ["x-gone"]);
    assert_eq!(route.response_headers_to_add.len(), 1);
}

#[test]
fn a_backends_own_host_goes_before_the_rules() {
    let rewrite = Rewrite { hostname: Some("rule.example".to_owned()), path: None };
    let rule = |backends| RouteRule { rewrite: rewrite.clone(), ..to(backends) };
    let host = |name: &str| HostRewriteSpecifier::HostRewriteLiteral(name.to_owned());
    let action = action_of(rule(vec![backend("web", 80, 1)]));
    assert_eq!(action.host_rewrite_specifier, Some(host("rule.example")));

    let own = BackendRef { hostname: Some("own.example".to_owned()), ..backend("web", 80, 1) };
    let action = action_of(rule(vec![own, backend("product", 8080, 1)]));
    assert_eq!(action.host_rewrite_specifier, None, "it would go over the backend's");
    let Some(ClusterSpecifier::WeightedClusters(clusters)) = action.cluster_specifier else {
        panic!()
    };
    let hosts: Vec<_> = clusters.clusters.into_iter().map(|c| c.host_rewrite_specifier).collect();
    let host = |name: &str| Some(ClusterHost::HostRewriteLiteral(name.to_owned()));
    assert_eq!(hosts, [host("own.example"), host("rule.example")]);
}

#[test]
fn mirrors_that_exist_get_their_share_and_are_needed() {
    let mirror = |name: &str, millionths| Mirror {
        filter: 0,
        backend: Backend::Service(Key::new("shop", name), 80),
        millionths,
    };
    let mirrors = vec![mirror("web", 500_000), mirror("gone", 1)];
    let rule = RouteRule { mirrors, ..to(vec![backend("product", 8080, 1)]) };
    let [policy] = &action_of(rule).request_mirror_policies[..] else { panic!() };
    assert_eq!(policy.cluster, "web.shop:80");
    assert!(policy.disable_shadow_host_suffix_append);
    let share = policy.runtime_fraction.as_ref().unwrap().default_value.unwrap();
    assert_eq!((share.numerator, share.denominator), (500_000, 2));
}

#[test]
fn a_request_timeout_stands_where_envoy_looks_for_it() {
    let limits = |request| {
        let timeouts = Timeouts { request, backend_request: None };
        let action = action_of(RouteRule { timeouts, ..to(vec![backend("web", 80, 1)]) });
        // Envoy's default, 15 s, would count where there is none.
        assert_eq!(action.timeout, Some(duration(Duration::ZERO)));
        let limits = action.max_stream_duration.unwrap();
        (limits.max_stream_duration, limits.grpc_timeout_header_max.unwrap())
    };
    let none = duration(Duration::ZERO);
    assert_eq!(limits(None), (None, none));
    assert_eq!(limits(Some(Duration::ZERO)), (None, none));
    let limit = duration(Duration::from_millis(1500));
    assert_eq!(limits(Some(Duration::from_millis(1500))), (Some(limit), limit));
}
