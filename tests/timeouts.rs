//! Waiting has an end where a user has set one, and none where not.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::manifests::{backend, http_route, traffic_policy};
use crate::harness::{Act, Mesh, get};

fn with_timeouts(timeouts: &str) -> String {
    let rules = format!("  - timeouts: {timeouts}\n    backendRefs: [{}]\n", backend("product", 1));
    http_route("product", "product", &rules)
}

#[tokio::test]
async fn a_request_takes_no_longer_than_its_route_allows() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("route.yaml", &with_timeouts("{request: 300ms}"))
        .start()
        .await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
    app.script(|_| Act::Hang);
    let start = Instant::now();
    let answer = get(entry, "/").await.unwrap();
    let took = start.elapsed();
    assert_eq!(answer.status, 504);
    let status = answer.header("proxy-status");
    assert!(status.contains("http_response_timeout") && status.contains("product"), "{status}");
    assert!((0.25..2.0).contains(&took.as_secs_f64()), "it took {took:?}");
    // The connection of the request that was given up is not used for the next.
    app.script(|_| Act::Echo);
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_made_elsewhere_if_the_policy_says_so() {
    let policy = "  loadBalancer: {policy: RoundRobin}
  retries: {attempts: 2, conditions: [gateway-error], perTryTimeout: 300ms}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    mesh.app("product-v1").script(|_| Act::Hang);
    let start = Instant::now();
    for _ in 0..10 {
        let answer = get(entry, "/").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.workload().as_str()), (200, "product-v2"));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(mesh.app("product-v1").count() > 0, "the slow one was tried");
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_where_no_timeout_is_set() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    mesh.app("product-v1").script(|_| Act::Delay(Duration::from_secs(3)));
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
}
