//! Waiting has an end where a user has set one, and none where not.

use std::time::Duration;

use anyhow::ensure;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use crate::harness::manifests::{backend, http_route, traffic_policy};
use crate::harness::{Act, Kept, Mesh, eventually, get, http2, request};

fn with_timeouts(timeouts: &str) -> String {
    let rules = format!("  - timeouts: {timeouts}\n    backendRefs: [{}]\n", backend("product", 1));
    http_route("product", "product", &rules)
}

/// Everything else has all the time that it takes, on a slow machine too.
fn only_slow_ends() -> String {
    let product = backend("product", 1);
    let rules = format!(
        "  - matches: [{{path: {{value: /slow}}}}]\n    timeouts: {{request: 1s}}\n    \
         backendRefs: [{product}]\n  - backendRefs: [{product}]\n"
    );
    http_route("product", "product", &rules)
}

#[tokio::test]
async fn a_request_takes_no_longer_than_its_route_allows() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("route.yaml", &only_slow_ends())
        .start()
        .await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
    app.script(|_| Act::Hang);
    let start = Instant::now();
    let answer = get(entry, "/slow").await.unwrap();
    let took = start.elapsed();
    assert_eq!(answer.status, 504);
    let status = answer.header("proxy-status");
    assert!(status.contains("http_response_timeout") && status.contains("product"), "{status}");
    assert!((0.9..30.0).contains(&took.as_secs_f64()), "it took {took:?}");
    // The connection of the request that was given up is not used for the next.
    app.script(|_| Act::Echo);
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_made_elsewhere_if_the_policy_says_so() {
    let policy = "  loadBalancer: {policy: RoundRobin}
  retries: {attempts: 2, conditions: [gateway-error], perTryTimeout: 3s}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let slow = mesh.app("product-v1");
    slow.script(|_| Act::Hang);
    // One of two in turn begins with it.
    for _ in 0..2 {
        let answer = get(entry, "/").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.workload().as_str()), (200, "product-v2"));
    }
    assert!(slow.count() > 0, "the slow one was tried");
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_where_no_timeout_is_set() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    mesh.app("product-v1").script(|_| Act::Delay(Duration::from_secs(3)));
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
}

/// Microseconds that a call has left, as the application hears it.
fn left(headers: &HeaderMap) -> u64 {
    let heard = headers["grpc-timeout"].to_str().unwrap();
    heard.strip_suffix('u').expect(heard).parse().unwrap()
}

fn call(timeout: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let headers =
        [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", timeout)];
    request(Method::POST, "/shop.Product/Get", &headers, "")
}

#[tokio::test]
async fn a_call_takes_no_longer_than_it_says_and_each_hop_hears_what_is_left() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("route.yaml", &with_timeouts("{request: 60s}"))
        .start()
        .await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    app.script(|_| Act::Hang);
    let start = Instant::now();
    let answer = http2(entry, call("2S")).await.unwrap();
    let took = start.elapsed();
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "4"), "{answer:?}");
    assert!((1.9..30.0).contains(&took.as_secs_f64()), "it took {took:?}");
    let micros = left(&app.seen()[0].headers);
    assert!((1..2_000_000).contains(&micros), "{micros}");

    let answer = http2(entry, call("0n")).await.unwrap();
    assert_eq!(answer.header("grpc-status"), "4");
    assert_eq!(app.count(), 1, "a call whose time is over is not sent");
    // The shorter of the two counts: of a call that has a day the route allows a minute.
    app.script(|_| Act::Echo);
    http2(entry, call("24H")).await.unwrap();
    let micros = left(&app.seen()[1].headers);
    assert!((20_000_000..60_000_000).contains(&micros), "{micros}");
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "how soon is worth a look")]
async fn who_goes_away_is_not_worked_for() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    app.script(|_| Act::Hang);
    for (round, mut client) in
        [Kept::http1(entry).await.unwrap(), Kept::http2(entry).await.unwrap()]
            .into_iter()
            .enumerate()
    {
        let asking = tokio::spawn(async move { client.get("/").await });
        eventually("the request has arrived", Duration::from_secs(5), async || {
            ensure!(app.count() == round + 1);
            Ok(())
        })
        .await;
        let start = Instant::now();
        asking.abort();
        eventually("the application hears of it", Duration::from_secs(1), async || {
            ensure!(app.abandoned() == round + 1);
            Ok(())
        })
        .await;
        println!("cancelled within {:?}", start.elapsed());
    }
}
