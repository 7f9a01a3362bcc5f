//! URLs that a route changes on the way: hosts and paths of requests that go on, and of redirects.

use std::net::SocketAddr;

use http::Method;

use crate::harness::manifests::{backend, http_route};
use crate::harness::{Answer, Mesh, http1, http2, request};

/// One rule for a prefix, with one filter.
fn rule(prefix: &str, filter: &str) -> String {
    format!(
        "  - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]
    filters: [{filter}]
    backendRefs: [{}]
",
        backend("product", 1)
    )
}

fn rewrite(what: &str) -> String {
    format!("{{type: URLRewrite, urlRewrite: {{{what}}}}}")
}

fn replace_prefix(with: &str) -> String {
    format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{with}'}}")
}

async fn mesh(rules: &str) -> Mesh {
    Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("route.yaml", &http_route("product", "product", rules))
        .start()
        .await
}

/// Over both versions of HTTP, which must agree.
async fn ask(to: SocketAddr, target: &str) -> Answer {
    let headers = [("host", "sent.example:8080")];
    let one = http1(to, request(Method::GET, target, &headers, "")).await.unwrap();
    let two = http2(to, request(Method::GET, target, &headers, "")).await.unwrap();
    assert_eq!((one.status, one.header("location")), (two.status, two.header("location")));
    if one.status == 200 {
        assert_eq!(one.json()["path"], two.json()["path"]);
    }
    one
}

/// The Gateway API's own table, end to end.
#[tokio::test]
async fn a_prefix_is_replaced_element_by_element_and_the_query_stays() {
    let rules = [
        ("/plain", rewrite(&replace_prefix("/xyz"))),
        ("/slash", rewrite(&replace_prefix("/xyz/"))),
        ("/gone", rewrite(&replace_prefix(""))),
        ("/root", rewrite(&replace_prefix("/"))),
        ("/full", rewrite("path: {type: ReplaceFullPath, replaceFullPath: /one}")),
        ("/", rewrite(&replace_prefix("/all"))),
    ];
    let rules: String = rules.iter().map(|(prefix, filter)| rule(prefix, filter)).collect();
    let mesh = mesh(&rules).await;
    let entry = mesh.entry("gateway", "product");
    for (sent, expected) in [
        ("/plain/bar?q=1&r", "/xyz/bar?q=1&r"),
        ("/plain", "/xyz"),
        ("/plain/", "/xyz/"),
        ("/plain?q", "/xyz?q"),
        ("/slash/bar", "/xyz/bar"),
        ("/gone/bar", "/bar"),
        ("/gone/", "/"),
        ("/gone", "/"),
        ("/root/bar?q=%2F", "/bar?q=%2F"),
        ("/root", "/"),
        ("/full/of/it?q", "/one?q"),
        ("/plainly", "/all/plainly"),
    ] {
        assert_eq!(ask(entry, sent).await.json()["path"], expected, "{sent}");
    }
}

#[tokio::test]
async fn the_application_sees_the_host_that_the_route_writes() {
    let plain = backend("product", 1);
    let own = plain.replace('}', &format!(", filters: [{}]}}", rewrite("hostname: own.example")));
    let rules = rule("/rule", &rewrite("hostname: rule.example"))
        + &format!("  - matches: [{{path: {{value: /backend}}}}]\n    backendRefs: [{own}]\n")
        + &format!("  - backendRefs: [{plain}]\n");
    let mesh = mesh(&rules).await;
    let entry = mesh.entry("gateway", "product");
    for (sent, expected) in
        [("/rule", "rule.example"), ("/backend", "own.example"), ("/", "sent.example:8080")]
    {
        assert_eq!(ask(entry, sent).await.received("host"), expected, "{sent}");
    }
    let seen = mesh.app("product-v1").seen();
    let authorities: Vec<_> = seen.iter().filter_map(|seen| seen.authority.as_deref()).collect();
    assert_eq!(authorities, ["rule.example", "own.example", "sent.example:8080"]);
}

#[tokio::test]
async fn redirects_follow_the_gateway_api() {
    let redirect = |what: &str| format!("{{type: RequestRedirect, requestRedirect: {{{what}}}}}");
    let cases = [
        ("scheme: https", "/a/b?q", 302, "https://sent.example/a/b?q"),
        ("hostname: b.example", "/a/b?q", 302, "http://b.example:8080/a/b?q"),
        ("hostname: b.example, port: 80", "/a/b", 302, "http://b.example/a/b"),
        ("scheme: https, hostname: b.example, port: 80", "/a", 302, "https://b.example:80/a"),
        ("scheme: http, hostname: b.example", "/a", 302, "http://b.example/a"),
        ("port: 81, statusCode: 303", "/a", 303, "http://sent.example:81/a"),
        ("statusCode: 307", "/a/b", 307, "http://sent.example:8080/a/b"),
        (
            "path: {type: ReplaceFullPath, replaceFullPath: /z}, statusCode: 308",
            "/a/b?q",
            308,
            "http://sent.example:8080/z?q",
        ),
        (&replace_prefix("/"), "/a/b?q", 302, "http://sent.example:8080/b?q"),
        (&replace_prefix("/z"), "/a", 302, "http://sent.example:8080/z"),
    ];
    let mut rules = String::new();
    for (index, (what, ..)) in cases.iter().enumerate() {
        let rule = rule(&format!("/{index}/a"), &redirect(what));
        rules += rule.split("    backendRefs").next().unwrap();
    }
    let mesh = mesh(&rules).await;
    let entry = mesh.entry("gateway", "product");
    for (index, (what, sent, status, expected)) in cases.iter().enumerate() {
        let answer = ask(entry, &format!("/{index}{sent}")).await;
        // What is not replaced keeps the number of its case.
        let location = answer.header("location").replace(&format!("/{index}/a"), "/a");
        assert_eq!((answer.status.as_u16(), location.as_str()), (*status, *expected), "{what}");
    }
    assert_eq!(mesh.app("product-v1").count(), 0);
}
