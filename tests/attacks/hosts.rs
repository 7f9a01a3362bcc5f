//! S15, host confusion: each of many ways to say a host, over HTTP/1.1 and HTTP/2. The route that is chosen by the host
//! and what the application reads as its host must be about one name, or the request is refused. Who a TLS client says
//! it wants (SNI) decides nothing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::harness::frames::{self, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::harness::manifests::{backend, http_route};
use crate::harness::{Mesh, RawApp, TlsClient, ask};

const HOUR: Duration = Duration::from_secs(3600);

/// By themselves; the first column is what must come of it: a route, or nothing.
const HOSTS: [(Option<&str>, &str); 44] = [
    (Some("shop"), "shop.test"),
    (Some("shop"), "Shop.TEST"),
    (Some("shop"), "shop.test."),
    (Some("shop"), "shop.test:80"),
    (Some("shop"), "shop.test:8080"),
    (Some("shop"), "shop.test.:80"),
    (Some("shop"), "shop.test:"),
    (Some("admin"), "admin.shop.test"),
    (Some("admin"), "ADMIN.shop.test:1"),
    (Some("rest"), "shop"),
    (Some("rest"), "xshop.test"),
    (Some("rest"), "admin_shop.test"),
    (Some("rest"), "127.0.0.1"),
    (Some("rest"), "127.1:80"),
    (Some("rest"), "[::1]"),
    (Some("rest"), "[::1]:80"),
    (Some("rest"), "[::ffff:127.0.0.1]:80"),
    (None, "shop.test.."),
    (None, "shop..test"),
    (Some("rest"), ".shop.test"),
    (None, "shop.test:99999999"),
    (None, "shop.test:65536"),
    (None, "shop.test:-1"),
    (None, "shop.test:80:80"),
    (None, "shop.test:8o"),
    (None, "user@shop.test"),
    (None, "user:word@shop.test"),
    (None, "shop.test@evil.test"),
    (None, "shop.test,evil.test"),
    (None, "shop.test evil.test"),
    (None, "shop.test/admin"),
    (None, "shop.test#admin"),
    (None, "shop.test?admin"),
    (None, "shop.test\\admin"),
    (None, "shop%2etest"),
    (None, "%73hop.test"),
    (None, "sh\u{f6}p.test"),
    (None, "[::1"),
    (None, "::1"),
    (None, "[::1]x"),
    (None, "[fe80::1%25eth0]"),
    (None, "[127.0.0.1]"),
    (None, "*"),
    (None, "*.shop.test"),
];

/// Target and `Host` headers of HTTP/1.1.
const HTTP1: [(Option<&str>, &str, &[&str]); 17] = [
    (Some("admin"), "http://admin.shop.test/", &["admin.shop.test"]),
    (Some("admin"), "http://Admin.shop.test/", &["admin.SHOP.test"]),
    (Some("admin"), "https://admin.shop.test/", &["admin.shop.test"]),
    (Some("admin"), "http://admin.shop.test:80/", &["admin.shop.test:80"]),
    (None, "http://admin.shop.test/", &["shop.test"]),
    (None, "http://admin.shop.test/", &["admin.shop.test:80"]),
    (None, "http://admin.shop.test/", &["admin.shop.test."]),
    (None, "http://admin.shop.test/", &[]),
    (None, "http://user@admin.shop.test/", &["admin.shop.test"]),
    (None, "ftp://admin.shop.test/", &["admin.shop.test"]),
    (None, "http:///", &["shop.test"]),
    (None, "admin.shop.test", &["admin.shop.test"]),
    (None, "/", &[]),
    (None, "/", &[""]),
    (None, "/", &["shop.test", "shop.test"]),
    (None, "/", &["shop.test", "admin.shop.test"]),
    (None, "/", &["shop.test", ""]),
];

/// `:authority` and what else is sent over HTTP/2.
type Fields = &'static [(&'static str, &'static [u8])];
const HTTP2: [(Option<&str>, Option<&str>, Fields); 10] = [
    (Some("shop"), Some("shop.test"), &[("host", b"shop.test")]),
    (Some("shop"), Some("shop.test"), &[("host", b"SHOP.test")]),
    (Some("shop"), None, &[("host", b"shop.test")]),
    (None, Some("shop.test"), &[("host", b"admin.shop.test")]),
    (None, Some("shop.test"), &[("host", b"shop.test:80")]),
    (None, Some("shop.test"), &[("host", b"")]),
    (None, Some("shop.test"), &[("host", b"shop.test"), ("host", b"shop.test")]),
    (None, Some("shop.test"), &[(":authority", b"admin.shop.test")]),
    (None, None, &[("host", b"shop.test"), ("host", b"admin.shop.test")]),
    (None, None, &[]),
];

fn routes(service: &str) -> [String; 3] {
    let route = |name: &str, hosts: &str| {
        let rules = format!(
            "  - filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-route, value: {name}}}]}}}}]
    backendRefs: [{}]\n",
            backend(service, 1)
        );
        let route = http_route(&format!("{service}-{name}"), service, &rules);
        route.replacen("  rules:\n", &format!("{hosts}  rules:\n"), 1)
    };
    [
        route("shop", "  hostnames: [shop.test]\n"),
        route("admin", "  hostnames: [admin.shop.test]\n"),
        route("rest", ""),
    ]
}

/// The route for what an application reads as its host: without case, port and final dot.
fn route(host: &str) -> &'static str {
    let host = host.to_ascii_lowercase();
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &host,
    };
    match host.strip_suffix('.').unwrap_or(host) {
        "shop.test" => "shop",
        "admin.shop.test" => "admin",
        _ => "rest",
    }
}

async fn scene() -> (Mesh, RawApp) {
    let mut builder = Mesh::builder().without_app("raw", "http").service("product", &["v1"]);
    for service in ["raw", "product"] {
        for (number, route) in routes(service).iter().enumerate() {
            builder = builder.file(&format!("route-{service}-{number}.yaml"), route);
        }
    }
    let mesh = builder.caller("gateway").start().await;
    let raw = RawApp::start(mesh.app_address("raw-v1")).await.unwrap();
    (mesh, raw)
}

/// Status, and what arrived: its host, and the route that was chosen.
type Outcome = (u16, Option<(String, String)>);

async fn over_http1(raw: &RawApp, to: SocketAddr, target: &str, hosts: &[&str]) -> Outcome {
    let before = raw.heads().len();
    let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
    let request = format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
    let answer = ask(to, request.as_bytes()).await.unwrap();
    let status = String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).parse();
    let heads = raw.heads().split_off(before);
    assert!(heads.len() <= 1, "{target}: {heads:?}");
    let value = |head: &str, name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    let arrived = heads.first().map(|head| (value(head, "host: "), value(head, "x-route: ")));
    (status.unwrap_or_default(), arrived)
}

async fn over_http2(mesh: &Mesh, to: SocketAddr, authority: Option<&str>, more: Fields) -> Outcome {
    let app = mesh.app("product-v1");
    let before = app.count();
    let mut raw = Raw::connect(to, &[]).await.unwrap();
    let block = frames::head("GET", authority, b"/", more);
    raw.put(HEADERS, END_HEADERS | END_STREAM, 1, &block);
    raw.send().await.unwrap();
    let status = raw.status(1, Duration::from_secs(10)).await.unwrap();
    let seen = app.seen().split_off(before);
    let arrived = seen.first().map(|seen| {
        let route = seen.headers.get("x-route").map(|value| value.to_str().unwrap().to_owned());
        assert!(!seen.headers.contains_key("host"), "two hosts arrived: {seen:?}");
        (seen.authority.clone().unwrap_or_default(), route.unwrap_or_default())
    });
    (status, arrived)
}

#[track_caller]
fn assert_one_host(what: &str, expected: Option<&str>, (status, arrived): &Outcome) {
    eprintln!("S15 {what}: {status} {arrived:?}");
    match arrived {
        Some((host, chosen)) => {
            assert_eq!(*status, 200, "{what}");
            assert_eq!(chosen, route(host), "{what}: the application reads {host:?}");
            assert_eq!(Some(&**chosen), expected, "{what}");
        }
        None => {
            assert!(matches!(status, 0 | 400), "{what}: {status}");
            assert_eq!(None, expected, "{what}: refused");
        }
    }
}

#[tokio::test]
async fn routes_and_the_application_see_one_host() {
    let (mesh, raw) = scene().await;
    let (plain, h2c) = (mesh.entry("gateway", "raw"), mesh.entry("gateway", "product"));
    for (expected, host) in HOSTS {
        let outcome = over_http1(&raw, plain, "/", &[host]).await;
        assert_one_host(&format!("HTTP/1.1 {host:?}"), expected, &outcome);
        let outcome = over_http2(&mesh, h2c, Some(host), &[]).await;
        assert_one_host(&format!("HTTP/2 {host:?}"), expected, &outcome);
    }
    for (expected, target, hosts) in HTTP1 {
        let outcome = over_http1(&raw, plain, target, hosts).await;
        assert_one_host(&format!("HTTP/1.1 {target} for {hosts:?}"), expected, &outcome);
    }
    for (expected, authority, more) in HTTP2 {
        let outcome = over_http2(&mesh, h2c, authority, more).await;
        assert_one_host(&format!("HTTP/2 {authority:?} with {more:?}"), expected, &outcome);
    }
}

/// The other way in: what a peer without a sidecar says.
#[tokio::test]
async fn the_receiving_side_refuses_the_same() {
    let (mesh, raw) = scene().await;
    let to = [mesh.proxy("raw-v1").inbound(), mesh.proxy("product-v1").inbound()];
    for (expected, host) in HOSTS {
        let (status, arrived) = over_http1(&raw, to[0], "/", &[host]).await;
        assert_eq!(arrived.is_some(), expected.is_some(), "HTTP/1.1 {host:?}: {status}");
        let (status, arrived) = over_http2(&mesh, to[1], Some(host), &[]).await;
        assert_eq!(arrived.is_some(), expected.is_some(), "HTTP/2 {host:?}: {status}");
    }
}

/// A peer is who its certificate says, and gets the port that it has connected to, whomever it asked for.
#[tokio::test]
async fn a_name_in_the_handshake_decides_nothing() {
    let mesh = Mesh::builder().service("product", &["v1"]).mtls("STRICT").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let authority = mesh.control_plane().authority();
    let leaf = mesh.leaf("gateway", HOUR);
    let client = TlsClient::new(Some(&leaf), authority.bundle(), &mesh.id("product"));
    for client in [&client, &client.with_sni()] {
        let knock = client.knock(inbound).await;
        assert!(knock.is_let_in(), "{knock:?}");
    }
    let nobody = TlsClient::new(None, authority.bundle(), &mesh.id("product"));
    assert!(!nobody.with_sni().knock(inbound).await.is_let_in());
}
