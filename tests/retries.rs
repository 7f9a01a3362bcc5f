//! What is sent again, and what never is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::ensure;
use http::Method;
use tokio::time::Instant;

use crate::harness::manifests::{backend, http_route, traffic_policy};
use crate::harness::{Act, Load, Mesh, eventually, get, http1, http2, request};

fn post(target: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    request(Method::POST, target, &[], "once")
}

/// The application of one of two endpoints is away from the start, so that no request can have reached it. Its
/// sidecar says so, and the caller's tries the other endpoint, any method.
#[tokio::test]
async fn what_the_application_never_saw_is_sent_again_whatever_the_method() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .in_turn("product")
        .caller("gateway")
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    mesh.app("product-v1").stop();
    let (mut http1, mut http2) = (Load::start(entry, 60), Load::start_http2(entry, 60));
    http1.passes(150).await;
    http2.passes(150).await;
    mesh.app("product-v1").listen().await.unwrap();
    http1.passes(60).await;
    let apps = mesh.apps();
    for load in [http1, http2] {
        let tally = load.stop().await;
        tally.assert_no_failures();
        tally.assert_posts_arrived_once(&apps);
    }
    let retries = mesh.proxy("gateway").metric("weft_retries_total", &[]).await.unwrap();
    assert!(retries > 0.0, "something was retried");
    for seen in apps.iter().flat_map(|app| app.seen()) {
        assert!(!seen.headers.contains_key("weft-failure"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_post_that_the_application_may_have_seen_is_not_sent_again() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    let app = mesh.app("product-v1");
    app.script(|_| Act::Close);
    for answer in [http1(entry, post("/one")).await, http2(entry, post("/two")).await] {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("weft-failure"), "", "the mesh's own mark stays in the mesh");
        assert!(answer.header("proxy-status").contains("connection_terminated"), "{answer:?}");
    }
    let paths: Vec<String> = app.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/one", "/two"]);
}

#[tokio::test]
async fn a_get_whose_connection_broke_is_sent_again() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let app = mesh.app("product-v1");
    let calls = AtomicUsize::new(0);
    app.script(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Act::Close,
        _ => Act::Echo,
    });
    let answer = get(mesh.entry("gateway", "product"), "/").await.unwrap();
    assert_eq!((answer.status.as_u16(), app.count()), (200, 2));
}

/// Its beginning has reached the client already.
#[tokio::test]
async fn a_response_that_breaks_off_breaks_off_at_the_client_too() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let app = mesh.app("product-v1");
    app.script(|_| Act::BreakOff);
    let cut = get(mesh.entry("gateway", "product"), "/").await;
    assert!(cut.is_err(), "half a response must not look like a whole one: {cut:?}");
    assert_eq!(app.count(), 1);
    eventually("it is counted as what it is", Duration::from_secs(5), async || {
        let labels = ["direction=\"outbound\"", "error=\"http_response_incomplete\""];
        let count = mesh.proxy("gateway").metric("weft_request_errors_total", &labels).await?;
        ensure!(count == 1.0, "{count}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_the_application_is_final_unless_a_policy_says_otherwise() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    app.script(|_| Act::Status(503));
    assert_eq!(get(entry, "/").await.unwrap().status, 503);
    assert_eq!(app.count(), 1);

    let policy = "  retries: {attempts: 2, conditions: ['503']}\n  outlierDetection: {consecutiveFailures: 0}\n";
    mesh.write("policy.yaml", &traffic_policy("product", policy));
    eventually("the policy is live", Duration::from_secs(5), async || {
        let before = app.count();
        ensure!(get(entry, "/").await?.status == 503);
        ensure!(app.count() == before + 3, "{} attempts", app.count() - before);
        Ok(())
    })
    .await;
    let before = app.count();
    assert_eq!(http1(entry, post("/")).await.unwrap().status, 503);
    assert_eq!(app.count(), before + 1, "a POST is not sent again");
    app.script(|_| Act::Status(500));
    assert_eq!(get(entry, "/").await.unwrap().status, 500);
    assert_eq!(app.count(), before + 2, "500 is not in the list");
}

#[tokio::test]
async fn a_budget_bounds_retries_when_everything_fails() {
    let policy = "  retries: {attempts: 5, conditions: ['5xx'], budget: {percent: 20, minRetriesPerSecond: 1}}
  outlierDetection: {consecutiveFailures: 0}
";
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let app = mesh.app("product-v1");
    app.script(|_| Act::Status(503));
    let start = Instant::now();
    let mut load = Load::start(mesh.entry("gateway", "product"), 100);
    load.passes(400).await;
    let requests = load.stop().await.count();
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap();
    let retries = app.count() - requests;
    assert!(retries > 10, "{retries} of {requests} were retried at all");
    // A fifth, one a second, and what the budget had saved before the load.
    let bound = requests / 5 + seconds + 50;
    assert!(retries < bound, "{retries} retries of {requests} requests in {seconds} s");
}

/// Chance alone would lead most requests back to one of the two that fail.
#[tokio::test]
async fn two_retries_find_the_one_of_three_that_is_well() {
    let policy = "  loadBalancer: {policy: Random}
  retries: {attempts: 2, conditions: ['503'], budget: {percent: 100, minRetriesPerSecond: 100}}
  outlierDetection: {consecutiveFailures: 0}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2", "v3"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    for sick in ["product-v1", "product-v2"] {
        mesh.app(sick).script(|_| Act::Status(503));
    }
    for _ in 0..40 {
        let answer = get(entry, "/").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.workload()), (200, "product-v3".into()));
    }
    let tries: usize = mesh.apps().iter().map(|app| app.count()).sum();
    // Uniform on 1, 2 and 3: 80, standard deviation 5.2; the lower bound is seven of them away.
    assert!((44..=120).contains(&tries), "{tries}: who failed was asked too, and once only");
}

/// One workload whose first answer is this one; the others are echoes.
fn first(mesh: &Mesh, act: Act) {
    let calls = AtomicUsize::new(0);
    mesh.app("product-v1").script(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => act,
        _ => Act::Echo,
    });
}

async fn with_policy(policy: &str) -> Mesh {
    Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await
}

#[tokio::test]
async fn a_rules_own_retry_goes_before_the_policys() {
    let rule = format!(
        "  - retry: {{codes: [500], attempts: 1, backoff: 200ms}}\n    backendRefs: [{}]\n",
        backend("product", 1)
    );
    let policy = "  retries: {attempts: 3, conditions: ['503']}\n  outlierDetection: {consecutiveFailures: 0}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .file("route.yaml", &http_route("product", "product", &rule))
        .start()
        .await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    for (status, attempts) in [(500, 2), (503, 1)] {
        let (before, start) = (app.count(), Instant::now());
        app.script(move |_| Act::Status(status));
        assert_eq!(get(entry, "/").await.unwrap().status, status);
        assert_eq!(app.count() - before, attempts, "{status}");
        let pause = Duration::from_millis(if attempts > 1 { 200 } else { 0 });
        assert!(start.elapsed() >= pause, "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn the_server_says_when_or_that_it_is_not_to_be_asked_again() {
    let mesh = with_policy("  retries: {conditions: ['503']}\n").await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    let start = Instant::now();
    first(&mesh, Act::Head(503, &[("retry-after", "1")]));
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(app.count(), 2);
    first(&mesh, Act::Head(503, &[("retry-after", "60")]));
    let answer = get(entry, "/").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "60"));
    assert_eq!(app.count(), 3);
}

fn call() -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    request(Method::POST, "/shop.Product/Get", &headers, "")
}

#[tokio::test]
async fn calls_of_grpc_are_retried_by_the_codes_that_a_policy_names() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    let mesh = with_policy("  retries: {conditions: [unavailable]}\n").await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    for (headers, attempts, code) in [
        (&[GRPC, ("grpc-status", "14")][..], 2, "0"),
        (&[GRPC, ("grpc-status", "13")], 1, "13"),
        (&[GRPC, ("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")], 1, "14"),
        (&[GRPC, ("grpc-status", "14"), ("grpc-retry-pushback-ms", "10")], 2, "0"),
    ] {
        let before = app.count();
        first(&mesh, Act::Head(200, headers));
        let answer = http2(entry, call()).await.unwrap();
        let status = answer.headers.get("grpc-status").or(answer.trailers.get("grpc-status"));
        assert_eq!(status.unwrap(), code, "{headers:?}");
        assert_eq!(app.count() - before, attempts, "{headers:?}");
    }
}
