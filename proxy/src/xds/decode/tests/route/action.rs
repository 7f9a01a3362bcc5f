//! What rules do: weights, headers, redirects, rewrites, mirrors.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use weft_proto::envoy::core::{
    HeaderValue as ProtoHeader, HeaderValueOption, RuntimeFractionalPercent,
};
use weft_proto::envoy::matcher::RegexMatchAndSubstitute;
use weft_proto::envoy::route::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
use weft_proto::envoy::route::route::Action as ProtoAction;
use weft_proto::envoy::route::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy,
};
use weft_proto::envoy::route::weighted_cluster::ClusterWeight;
use weft_proto::envoy::route::{
    DirectResponseAction, RedirectAction, RouteAction, WeightedCluster,
};
use weft_proto::envoy::types::FractionalPercent;

use super::{forward, matching, refused, rule, safe_regex, table};
use crate::model::{Action, HeaderChange, PathRewrite, Redirect};
use crate::xds::fixture::{number, route, routes};

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

#[test]
fn mirrors_and_their_shares() {
    let mirror = |cluster: &str, fraction: Option<(u32, i32)>| RequestMirrorPolicy {
        cluster: cluster.to_owned(),
        runtime_fraction: fraction.map(|(numerator, denominator)| RuntimeFractionalPercent {
            default_value: Some(FractionalPercent { numerator, denominator }),
            ..Default::default()
        }),
        disable_shadow_host_suffix_append: true,
        ..Default::default()
    };
    let mut one = route("a");
    forward(&mut one).request_mirror_policies = vec![
        mirror("b", None),
        mirror("c", Some((5, 0))),
        mirror("b", Some((5, 1))),
        mirror("b", Some((5, 2))),
        mirror("b", Some((500, 0))),
    ];
    let (table, references) = table(&routes(vec![one]));
    assert_eq!(table.clusters, ["a", "b", "c"]);
    assert_eq!(references.len(), 3, "mirrors are subscribed to like any backend");
    let mirrors = &table.hosts[0].rules[0].mirrors;
    let shares: Vec<_> = mirrors.iter().map(|m| (m.cluster, m.millionths)).collect();
    assert_eq!(shares, [(1, 1_000_000), (2, 50_000), (1, 500), (1, 5), (1, 1_000_000)]);

    let no = |spoil: &dyn Fn(&mut RequestMirrorPolicy)| {
        refused(|route| {
            let mut policy = mirror("b", None);
            spoil(&mut policy);
            forward(route).request_mirror_policies = vec![policy];
        })
    };
    let start = ".route.request_mirror_policies[0].";
    assert_eq!(no(&|policy| policy.cluster.clear()), format!("{start}cluster: missing"));
    assert_eq!(
        no(&|policy| policy.disable_shadow_host_suffix_append = false),
        format!("{start}disable_shadow_host_suffix_append: must be true: the host stays as it is")
    );
    assert_eq!(
        no(&|policy| policy.cluster_header = "x".to_owned()),
        format!("{start}cluster_header: not supported by weft-proxy")
    );
}
