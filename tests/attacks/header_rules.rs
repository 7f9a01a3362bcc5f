//! S16, header matching: a header that comes several times, as a list, in bytes that are no text, very long, empty or in
//! another case; under a DENY, under an ALLOW, and for a route. Each value is judged, what cannot be read never opens
//! anything, and names of service accounts are taken to the letter.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;

use crate::harness::frames::{self, CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::harness::manifests::{backend, http_route};
use crate::harness::{Builder, Mesh, ask, eventually, http1, request};

const DEADLINE: Duration = Duration::from_secs(10);

/// What is sent as `x-role`, line by line: is it denied by a DENY of `admin`, allowed by an ALLOW of `admin`, and led to
/// the route for `admin`?
fn cases() -> Vec<(Vec<Vec<u8>>, [bool; 3])> {
    let lines = |lines: &[&[u8]]| lines.iter().map(|line| line.to_vec()).collect::<Vec<_>>();
    let long = |text: &[u8], length: usize| [text, &b"x".repeat(length)].concat();
    vec![
        (lines(&[]), [false, false, false]),
        (lines(&[b"admin"]), [true, true, true]),
        (lines(&[b"  admin  "]), [true, true, true]),
        (lines(&[b"user"]), [false, false, false]),
        (lines(&[b""]), [false, false, false]),
        (lines(&[b"Admin"]), [false, false, false]),
        (lines(&[b"administrator"]), [false, false, false]),
        (lines(&[b"admin", b"admin"]), [true, true, false]),
        (lines(&[b"user", b"admin"]), [true, false, false]),
        (lines(&[b"admin", b"user"]), [true, false, false]),
        (lines(&[b"user,admin"]), [true, false, false]),
        (lines(&[b"user, admin"]), [true, false, false]),
        (lines(&[b"admin,"]), [true, false, false]),
        (lines(&[b"user;admin"]), [false, false, false]),
        (lines(&[b"\"admin\""]), [false, false, false]),
        (lines(&[b"admin\xe9"]), [true, false, false]),
        (lines(&[b"\xe9"]), [true, false, false]),
        (lines(&[b"user", b"\xff"]), [true, false, false]),
        (lines(&["ädmin".as_bytes()]), [false, false, false]),
        (vec![long(b"admin", 8_000)], [false, false, false]),
        (vec![long(b"admin,", 8_000)], [true, false, false]),
        (vec![long(b"user", 50_000)], [false, false, false]),
        (vec![[long(b"user", 50_000), b",admin".to_vec()].concat()], [true, false, false]),
        (vec![b"user".to_vec(); 80], [false, false, false]),
        ([vec![b"user".to_vec(); 80], vec![b"admin".to_vec()]].concat(), [true, false, false]),
    ]
}

fn policy(action: &str, rule: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: roles, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: product}}}}\n  action: {action}\n  rules:\n  - {rule}\n"
    )
}

const ADMIN: &str = "to: [{headers: [{name: X-Role, type: Exact, value: admin}]}]";

async fn over_http1(to: SocketAddr, lines: &[Vec<u8>]) -> Vec<u8> {
    let mut request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".to_vec();
    for line in lines {
        request.extend(b"X-Role: ");
        request.extend(line);
        request.extend(b"\r\n");
    }
    request.extend(b"\r\n");
    ask(to, &request).await.unwrap()
}

async fn over_http2(to: SocketAddr, lines: &[Vec<u8>]) -> u16 {
    let mut raw = Raw::connect(to, &[]).await.unwrap();
    // RFC 9113 §8.2.1: no white space around a value.
    let lines: Vec<_> = lines.iter().map(|line| ("x-role", line.trim_ascii())).collect();
    let block = frames::head("GET", Some("a"), b"/", &lines);
    let mut pieces = block.chunks(16_000);
    raw.put(HEADERS, END_STREAM, 1, pieces.next().unwrap());
    for piece in pieces {
        raw.put(CONTINUATION, 0, 1, piece);
    }
    raw.put(CONTINUATION, END_HEADERS, 1, &[]);
    raw.send().await.unwrap();
    raw.status(1, DEADLINE).await.unwrap()
}

fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).parse().unwrap_or_default()
}

fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway")
}

/// Every case, by both versions through both sidecars: 403 or 200 as it should be.
async fn judged(mesh: &Mesh, what: &str, denied: impl Fn([bool; 3]) -> bool) {
    let to = mesh.entry("gateway", "product");
    for (lines, expected) in cases() {
        let expected = if denied(expected) { 403 } else { 200 };
        let shown: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(&line[..line.len().min(20)]))
            .take(3)
            .collect();
        let shown = format!("{what}: {shown:?}, {} lines", lines.len());
        assert_eq!(status(&over_http1(to, &lines).await), expected, "HTTP/1.1 {shown}");
        assert_eq!(over_http2(to, &lines).await, expected, "HTTP/2 {shown}");
    }
    eprintln!("S16 {what}: {} headers × 2 versions judged as they should be", cases().len());
}

async fn in_force(to: SocketAddr, lines: &[Vec<u8>], expected: u16) {
    eventually("the policy is in force", DEADLINE, async || {
        let status = status(&over_http1(to, lines).await);
        ensure!(status == expected, "{status}");
        Result::Ok(())
    })
    .await;
}

#[tokio::test]
async fn every_value_is_judged_by_deny_and_by_allow() {
    let mesh = shop().file("access.yaml", &policy("DENY", ADMIN)).start().await;
    let to = mesh.entry("gateway", "product");
    in_force(to, &[b"admin".to_vec()], 403).await;
    judged(&mesh, "DENY", |[denied, ..]| denied).await;
    mesh.write("access.yaml", &policy("ALLOW", ADMIN));
    in_force(to, &[b"user".to_vec()], 403).await;
    judged(&mesh, "ALLOW", |[_, allowed, _]| !allowed).await;
}

#[tokio::test]
async fn a_route_is_taken_by_the_whole_value_only() {
    let rule = |name: &str, matched: &str| {
        format!(
            "  - matches: [{{path: {{type: PathPrefix, value: /}}{matched}}}]
    filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-route, value: {name}}}]}}}}]
    backendRefs: [{}]\n",
            backend("product", 1)
        )
    };
    for kind in ["Exact", "RegularExpression"] {
        let matched = format!(", headers: [{{name: X-Role, type: {kind}, value: admin}}]");
        let rules = [rule("admin", &matched), rule("rest", "")].concat();
        let mesh =
            shop().file("route.yaml", &http_route("product", "product", &rules)).start().await;
        let (to, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
        for (lines, [.., expected]) in cases() {
            for version in [1, 2] {
                let status = match version {
                    1 => status(&over_http1(to, &lines).await),
                    _ => over_http2(to, &lines).await,
                };
                assert_eq!(status, 200, "HTTP/{version} {}", lines.len());
                let seen = app.seen().pop().unwrap();
                let route = if expected { "admin" } else { "rest" };
                assert_eq!(
                    seen.headers["x-route"],
                    route,
                    "{kind} HTTP/{version}: {} lines",
                    lines.len()
                );
            }
        }
    }
    eprintln!("S16 routes: {} headers × 2 versions × 2 kinds of match", cases().len());
}

/// `gate.way` in a policy is no pattern that `gateXway` fits.
#[tokio::test]
async fn names_of_service_accounts_are_taken_to_the_letter() {
    let callers = ["gate.way", "gatexway", "gate-way", "gate.wayx", "xgate.way"];
    let mut builder = Mesh::builder().service("product", &["v1"]);
    for caller in callers {
        builder = builder.caller(caller);
    }
    let rule = "from: [{serviceAccounts: [gate.way]}]";
    let mesh = builder.file("access.yaml", &policy("ALLOW", rule)).start().await;
    for caller in callers {
        let answer = http1(mesh.entry(caller, "product"), request(Method::GET, "/", &[], ""));
        let expected = if caller == "gate.way" { 200 } else { 403 };
        assert_eq!(answer.await.unwrap().status, expected, "{caller}");
    }
}

/// A rule about what HTTP/2 does not have would be passed by: it closes what it selects until it is mended.
#[tokio::test]
async fn a_rule_about_the_host_closes_and_says_why() {
    let rule = "to: [{headers: [{name: Host, type: Exact, value: admin.test}]}]";
    let mesh = shop().file("access.yaml", &policy("DENY", rule)).start().await;
    let to = mesh.entry("gateway", "product");
    for answer in [status(&over_http1(to, &[]).await), over_http2(to, &[]).await] {
        assert_eq!(answer, 403);
    }
    let analysis = mesh.control_plane().admin().get("/v1/analysis").await.unwrap();
    assert!(analysis.to_string().contains("no header of HTTP/2"), "{analysis}");
}
