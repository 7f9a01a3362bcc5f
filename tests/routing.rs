//! Routes: what a user writes in an HTTPRoute is what requests do, in less than a second.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use http::Method;

use crate::harness::manifests::{backend, http_route};
use crate::harness::{Answer, Load, Mesh, assert_share, eventually, get, http1, request};

/// From the edit of a file to its effect on requests.
const LIVE: Duration = Duration::from_secs(1);

fn product() -> crate::harness::Builder {
    Mesh::builder().service("product", &["v1", "v2"]).caller("gateway")
}

/// Everything to v1, but what matches to v2.
fn to_v2_if(matches: &str) -> String {
    let (v1, v2) = (backend("product-v1", 1), backend("product-v2", 1));
    let rules =
        format!("  - matches: [{matches}]\n    backendRefs: [{v2}]\n  - backendRefs: [{v1}]\n");
    http_route("product", "product", &rules)
}

fn split(v1: u32, v2: u32) -> String {
    let (v1, v2) = (backend("product-v1", v1), backend("product-v2", v2));
    http_route("product", "product", &format!("  - backendRefs: [{v1}, {v2}]\n"))
}

async fn ask(to: SocketAddr, method: Method, target: &str, headers: &[(&str, &str)]) -> Answer {
    http1(to, request(method, target, headers, "")).await.expect("the sidecar answers")
}

/// What a rule matches, a request that it matches, and one that it does not.
type Case = (&'static str, Probe, Probe);
type Probe = (Method, &'static str, &'static [(&'static str, &'static str)]);

const CASES: [Case; 7] = [
    (
        "{path: {type: Exact, value: /exact}}",
        (Method::GET, "/exact?any=thing", &[]),
        (Method::GET, "/exact/not", &[]),
    ),
    (
        "{path: {type: PathPrefix, value: /prefix}}",
        (Method::GET, "/prefix/below", &[]),
        (Method::GET, "/prefixed", &[]),
    ),
    (
        "{path: {type: RegularExpression, value: '/item/[0-9]+'}}",
        (Method::GET, "/item/42", &[]),
        (Method::GET, "/item/forty-two", &[]),
    ),
    ("{method: DELETE}", (Method::DELETE, "/", &[]), (Method::GET, "/", &[])),
    (
        "{headers: [{name: x-canary, value: please}]}",
        (Method::GET, "/", &[("X-Canary", "please")]),
        (Method::GET, "/", &[("x-canary", "no")]),
    ),
    (
        "{headers: [{name: x-user, type: RegularExpression, value: 'test-.*'}]}",
        (Method::GET, "/", &[("x-user", "test-7")]),
        (Method::GET, "/", &[("x-user", "someone")]),
    ),
    (
        "{queryParams: [{name: beta, value: 'yes'}]}",
        (Method::GET, "/?alpha=1&beta=yes", &[]),
        (Method::GET, "/?beta=no", &[]),
    ),
];

#[tokio::test]
async fn every_kind_of_match_is_live_within_a_second_of_the_edit() {
    let nothing = to_v2_if("{path: {type: Exact, value: /nothing}}");
    let mesh = product().file("route.yaml", &nothing).start().await;
    let entry = mesh.entry("gateway", "product");
    for (matches, (method, target, headers), other) in CASES {
        mesh.write("route.yaml", &to_v2_if(matches));
        eventually(&format!("{matches} is live"), LIVE, async || {
            let answer = ask(entry, method.clone(), target, headers).await;
            ensure!(answer.workload() == "product-v2", "{answer:?}");
            Ok(())
        })
        .await;
        let (method, target, headers) = other;
        for _ in 0..5 {
            let answer = ask(entry, method.clone(), target, headers).await;
            assert_eq!(answer.workload(), "product-v1", "{matches} matches {target} {headers:?}");
        }
    }
}

#[tokio::test]
async fn weights_hold_within_a_statistical_bound() {
    let mesh = product().file("route.yaml", &split(90, 10)).start().await;
    let mut load = Load::start(mesh.entry("gateway", "product"), 300);
    load.passes(1000).await;
    let tally = load.stop().await;
    tally.assert_no_failures();
    let of_v2 = *tally.by_workload().get("product-v2").unwrap_or(&0);
    assert_share("requests to product-v2", of_v2, tally.count(), 0.1);
}

#[tokio::test]
async fn a_change_of_weights_is_live_within_a_second_and_breaks_nothing() {
    let mesh = product().file("route.yaml", &split(1, 0)).start().await;
    let entry = mesh.entry("gateway", "product");
    let mut load = Load::start(entry, 100);
    for (v1, v2, expected) in [(0, 1, "product-v2"), (1, 0, "product-v1"), (0, 1, "product-v2")] {
        load.passes(50).await;
        mesh.write("route.yaml", &split(v1, v2));
        eventually("the new weights are live", LIVE, async || {
            let answer = get(entry, "/").await?;
            ensure!(answer.workload() == expected, "{answer:?}");
            Ok(())
        })
        .await;
    }
    load.stop().await.assert_no_failures();
}

#[tokio::test]
async fn headers_are_changed_on_the_way_out_and_back() {
    let filters = "  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: x-set, value: by-route}]
        add: [{name: x-add, value: by-route}]
        remove: [x-remove]
    - type: ResponseHeaderModifier
      responseHeaderModifier:
        set: [{name: x-answered, value: by-route}]
";
    let rules = format!("{filters}    backendRefs: [{}]\n", backend("product", 1));
    let route = http_route("product", "product", &rules);
    let mesh = product().file("route.yaml", &route).start().await;
    let sent = [("x-set", "by-client"), ("x-remove", "by-client"), ("x-kept", "by-client")];
    let answer = ask(mesh.entry("gateway", "product"), Method::GET, "/", &sent).await;
    assert_eq!(answer.received("x-set"), "by-route");
    assert_eq!(answer.received("x-add"), "by-route");
    assert_eq!(answer.received("x-remove"), "");
    assert_eq!(answer.received("x-kept"), "by-client");
    assert_eq!(answer.header("x-answered"), "by-route");
}

#[tokio::test]
async fn a_redirect_is_answered_by_the_callers_sidecar() {
    let rules = "  - matches: [{path: {type: PathPrefix, value: /old}}]
    filters:
    - type: RequestRedirect
      requestRedirect:
        hostname: shop.example
        path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}
        statusCode: 301
";
    let route = http_route("product", "product", rules);
    let mesh = product().file("route.yaml", &route).start().await;
    let answer = ask(mesh.entry("gateway", "product"), Method::GET, "/old/shoes?size=9", &[]).await;
    assert_eq!(answer.status, 301);
    let location = answer.header("location");
    assert!(location.starts_with("http://shop.example"), "{location}");
    assert!(location.ends_with("/new/shoes?size=9"), "{location}");
    assert_eq!(mesh.app("product-v1").count() + mesh.app("product-v2").count(), 0);
}

#[tokio::test]
async fn the_host_name_chooses_among_routes_of_one_service() {
    let with_host = |name: &str, host: &str, service: &str| {
        let rules = format!("  - backendRefs: [{}]\n", backend(service, 1));
        let route = http_route(name, "product", &rules);
        route.replace("  rules:", &format!("  hostnames: ['{host}']\n  rules:"))
    };
    let mesh = product()
        .file("one.yaml", &with_host("one", "one.example", "product-v1"))
        .file("others.yaml", &with_host("others", "*.example", "product-v2"))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    for (host, expected) in [
        ("one.example", "product-v1"),
        ("ONE.example:8080", "product-v1"),
        ("a.example", "product-v2"),
    ] {
        let answer = ask(entry, Method::GET, "/", &[("host", host)]).await;
        assert_eq!(answer.workload(), expected, "{host}");
    }
    let nobody = ask(entry, Method::GET, "/", &[("host", "elsewhere.test")]).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn what_cannot_be_routed_says_why_and_by_which_object() {
    let rules = format!(
        "  - matches: [{{path: {{type: PathPrefix, value: /broken}}}}]\n    backendRefs: [{}]\n",
        backend("nothing", 1)
    );
    let route = http_route("product", "product", &rules);
    let mesh = product().file("route.yaml", &route).start().await;
    let entry = mesh.entry("gateway", "product");

    let unmatched = get(entry, "/elsewhere").await.unwrap();
    assert_eq!(unmatched.status, 404);
    let status = unmatched.header("proxy-status");
    assert!(status.contains("route_not_found"), "{status}");

    let broken = get(entry, "/broken").await.unwrap();
    assert_eq!(broken.status, 500);
    let findings = mesh.control_plane().admin().get("/v1/analysis").await.unwrap();
    let text = findings.to_string();
    assert!(text.contains("WEFT0101") && text.contains("HTTPRoute shop/product"), "{text}");
}
