//! S14, path confusion: each of many spellings of a path through both sidecars, and straight into the receiving one, over
//! HTTP/1.1 and HTTP/2. Which route is chosen, what the policies decide and what the application gets must be about one
//! path, or the request is refused; and no reading of what arrives, however lenient, finds another `/admin` than the
//! policies did.

mod application;
mod spellings;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use self::application::readings;
use self::spellings::SPELLINGS;
use crate::harness::frames::{self, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::harness::manifests::{backend, http_route};
use crate::harness::{App, Mesh, RawApp, Sidecar, ask, eventually};

const RULES: [&str; 4] = ["exact", "prefix", "template", "rest"];

/// The rule of a route by its path; what is written last is what is left.
fn routes(service: &str) -> String {
    let rules = [
        ("exact", "Exact, value: /admin"),
        ("prefix", "PathPrefix, value: /admin"),
        ("template", "RegularExpression, value: '/users/[^/]+/admin'"),
        ("rest", "PathPrefix, value: /"),
    ];
    let rule = |(name, path): (&str, &str)| {
        format!(
            "  - matches: [{{path: {{type: {path}}}}}]
    filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-route, value: {name}}}]}}}}]
    backendRefs: [{}]\n",
            backend(service, 1)
        )
    };
    http_route(service, service, &rules.map(rule).concat())
}

fn policy(action: &str) -> String {
    let rules = [
        ("exact", "{type: Exact, value: /admin}"),
        ("prefix", "{value: /admin}"),
        ("template", "{type: Template, value: '/users/{id}/admin'}"),
    ];
    let rule =
        |(name, path): (&str, &str)| format!("  - {{name: {name}, to: [{{paths: [{path}]}}]}}\n");
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: paths, namespace: shop}}\nspec:\n  action: {action}\n  rules:\n{}",
        rules.map(rule).concat()
    )
}

/// What the policies' rules are about, read from a path as simply as can be.
fn about(path: &str) -> BTreeSet<&'static str> {
    let mut about = BTreeSet::new();
    if path == "/admin" {
        about.extend(["exact", "prefix"]);
    }
    if path.starts_with("/admin/") {
        about.insert("prefix");
    }
    let users: Vec<&str> = path.split('/').collect();
    if matches!(users[..], ["", "users", id, "admin"] if !id.is_empty()) {
        about.insert("template");
    }
    about
}

/// The route for a path, of [`RULES`].
fn route(path: &str) -> &'static str {
    let about = about(path);
    RULES.into_iter().find(|rule| about.contains(rule)).unwrap_or("rest")
}

/// What the application got.
#[derive(Debug)]
struct Arrived {
    /// Without query.
    path: String,
    route: String,
}

/// One way to an application.
struct Way {
    name: &'static str,
    to: SocketAddr,
    /// It is chosen by the calling sidecar, if there is one.
    is_routed: bool,
}

/// The two applications: one that reads HTTP/1.1 to the letter, one that takes HTTP/2.
struct Scene {
    mesh: Mesh,
    raw: RawApp,
}

impl Scene {
    async fn start(action: &str) -> Self {
        let mesh = Mesh::builder()
            .without_app("raw", "http")
            .service("product", &["v1"])
            .caller("gateway")
            .file("routes-raw.yaml", &routes("raw"))
            .file("routes-product.yaml", &routes("product"))
            .file("policy.yaml", &policy(action))
            .start()
            .await;
        let raw = RawApp::start(mesh.app_address("raw-v1")).await.unwrap();
        Self { mesh, raw }
    }

    fn ways(&self, service: &str) -> [Way; 2] {
        let inbound = self.receiving(service).inbound();
        let entry = self.mesh.entry("gateway", service);
        [
            Way { name: "through both", to: entry, is_routed: true },
            Way { name: "straight in", to: inbound, is_routed: false },
        ]
    }

    fn receiving(&self, service: &str) -> std::sync::Arc<Sidecar> {
        self.mesh.proxy(&format!("{service}-v1"))
    }

    fn app(&self) -> std::sync::Arc<App> {
        self.mesh.app("product-v1")
    }

    /// Status (0: the stream was reset), and what arrived.
    async fn over_http1(&self, to: SocketAddr, target: &str) -> (u16, Option<Arrived>) {
        let before = self.raw.heads().len();
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = ask(to, request.as_bytes()).await.unwrap();
        let status = String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).parse();
        let heads = self.raw.heads().split_off(before);
        assert!(heads.len() <= 1, "{target}: {heads:?}");
        let arrived = heads.first().map(|head| {
            let target = head.split(' ').nth(1).unwrap_or_default();
            let route = head.lines().find_map(|line| line.strip_prefix("x-route: "));
            Arrived { path: without_query(target), route: route.unwrap_or_default().to_owned() }
        });
        (status.unwrap_or_default(), arrived)
    }

    async fn over_http2(&self, to: SocketAddr, target: &str) -> (u16, Option<Arrived>) {
        let before = self.app().count();
        let mut raw = Raw::connect(to, &[]).await.unwrap();
        let block = frames::head("GET", Some("a"), target.as_bytes(), &[]);
        raw.put(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        raw.send().await.unwrap();
        let status = raw.status(1, Duration::from_secs(10)).await.unwrap();
        let seen = self.app().seen().split_off(before);
        assert!(seen.len() <= 1, "{target}: {seen:?}");
        let arrived = seen.first().map(|seen| {
            let route = seen.headers.get("x-route").map(|value| value.to_str().unwrap().to_owned());
            Arrived { path: without_query(&seen.path), route: route.unwrap_or_default() }
        });
        (status, arrived)
    }

    /// How often each rule has told of something.
    async fn told(&self, service: &str) -> Result<Vec<f64>> {
        let mut told = Vec::new();
        for rule in &RULES[..3] {
            let label = format!("rule=\"AccessPolicy/shop/paths#{rule}\"");
            let sidecar = self.receiving(service);
            told.push(sidecar.metric("weft_access_audited_total", &[&label]).await?);
        }
        Ok(told)
    }
}

fn without_query(target: &str) -> String {
    target.split('?').next().unwrap_or_default().to_owned()
}

/// What policies made of it must be what they would make of it in any reading.
fn assert_one_reading(spelling: &str, path: &str) {
    for reading in readings(path) {
        let (judged, read) = (about(path), about(&reading));
        assert_eq!(judged, read, "{spelling:?} arrives as {path:?}, which may be read {reading:?}");
    }
}

/// Every spelling, over both versions and both ways: where it is not refused with 400 all are about one path.
#[tokio::test]
async fn routes_policies_and_the_application_see_one_path() {
    let scene = Scene::start("AUDIT").await;
    assert!(SPELLINGS.len() >= 60);
    let (mut refused, mut passed) = (0, 0);
    for (version, service) in [("HTTP/1.1", "raw"), ("HTTP/2", "product")] {
        for (spelling, way) in pairs(&scene, service) {
            let before = scene.told(service).await.unwrap();
            let (status, arrived) = match version {
                "HTTP/1.1" => scene.over_http1(way.to, spelling).await,
                _ => scene.over_http2(way.to, spelling).await,
            };
            let what = format!("{version}, {}: {spelling:?}", way.name);
            let Some(Arrived { path, route: chosen }) = arrived else {
                assert!(status == 400 || (status == 0 && version == "HTTP/2"), "{what}: {status}");
                refused += 1;
                continue;
            };
            passed += 1;
            assert_eq!(status, 200, "{what}");
            let after = scene.told(service).await.unwrap();
            let told = RULES.into_iter().zip(before.iter().zip(&after));
            let told: BTreeSet<_> =
                told.filter(|(_, (before, after))| after > before).map(|(rule, _)| rule).collect();
            eprintln!("S14 {what} arrives as {path}; route {chosen:?}, rules {told:?}");
            assert_eq!(told, about(&path), "{what}: policies saw another path than {path:?}");
            if way.is_routed {
                assert_eq!(chosen, route(&path), "{what}: routes saw another path than {path:?}");
            }
            assert_one_reading(spelling, &path);
        }
    }
    eprintln!(
        "S14: {} spellings: {passed} arrived as judged, {refused} were refused",
        SPELLINGS.len()
    );
    assert!(passed > 100 && refused > 100);
}

/// The same under a DENY: nothing that arrives can be read as what is denied.
#[tokio::test]
async fn no_spelling_passes_a_denial_by() {
    let scene = Scene::start("DENY").await;
    let (mut denied, mut refused, mut passed) = (0, 0, 0);
    for (version, service) in [("HTTP/1.1", "raw"), ("HTTP/2", "product")] {
        eventually("the policy is in force", Duration::from_secs(10), async || {
            let to = scene.ways(service)[1].to;
            let (status, _) = match version {
                "HTTP/1.1" => scene.over_http1(to, "/admin").await,
                _ => scene.over_http2(to, "/admin").await,
            };
            ensure!(status == 403, "{status}");
            Ok(())
        })
        .await;
        for (spelling, way) in pairs(&scene, service) {
            let (status, arrived) = match version {
                "HTTP/1.1" => scene.over_http1(way.to, spelling).await,
                _ => scene.over_http2(way.to, spelling).await,
            };
            match arrived {
                None if status == 403 => denied += 1,
                None => {
                    assert!(matches!(status, 0 | 400), "{version} {spelling:?}: {status}");
                    refused += 1;
                }
                Some(Arrived { path, .. }) => {
                    assert_one_reading(spelling, &path);
                    assert!(about(&path).is_empty(), "{version} {spelling:?} arrives as {path:?}");
                    passed += 1;
                }
            }
        }
    }
    eprintln!("S14 under DENY: {denied} denied, {refused} refused, {passed} are something else");
    assert!(denied > 50 && refused > 50 && passed > 50);
}

fn pairs(scene: &Scene, service: &str) -> impl Iterator<Item = (&'static str, Way)> {
    let ways = scene.ways(service);
    let both = ways.map(|way| {
        SPELLINGS.into_iter().map(move |spelling| {
            (spelling, Way { name: way.name, to: way.to, is_routed: way.is_routed })
        })
    });
    both.into_iter().flatten()
}
