//! The bulkhead of a caller's sidecar: what is over a limit is shed at once with a word of its own and never reaches
//! the application, what waits for a connection waits in order and not for long.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use http::Method;
use tokio::task::JoinSet;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Answer, Mesh, eventually, get, http2, request, within};

/// A gateway that calls one product under these limits. `/hold` is never answered, `/slow` after 50 ms.
async fn limited(limits: &str) -> (Mesh, SocketAddr) {
    let policy = traffic_policy("product", &format!("  limits: {{{limits}}}\n"));
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("policy.yaml", &policy)
        .start()
        .await;
    mesh.app("product-v1").script(|seen| match seen.path.as_str() {
        "/hold" => Act::Hang,
        "/slow" => Act::Delay(Duration::from_millis(50)),
        _ => Act::Echo,
    });
    let entry = mesh.entry("gateway", "product");
    (mesh, entry)
}

/// Requests that are never answered; they end with the value.
async fn hold(mesh: &Mesh, entry: SocketAddr, count: usize) -> JoinSet<()> {
    let mut held = JoinSet::new();
    for _ in 0..count {
        held.spawn(async move {
            // It ends when it is dropped.
            let _ = get(entry, "/hold").await;
        });
    }
    let app = mesh.app("product-v1");
    eventually("all are held", Duration::from_secs(10), async || {
        ensure!(app.count() == count, "{} of {count}", app.count());
        Ok(())
    })
    .await;
    held
}

fn assert_shed(answer: &Answer, word: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("proxy-status").contains(&format!("error={word}")), "{answer:?}");
}

#[tokio::test]
async fn requests_over_the_limit_are_shed_at_once_and_do_not_arrive() {
    let (mesh, entry) = limited("requests: 2").await;
    let held = hold(&mesh, entry, 2).await;
    for _ in 0..20 {
        assert_shed(&get(entry, "/").await.unwrap(), "request_limit_reached");
    }
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = http2(entry, request(Method::POST, "/a.B/C", &grpc, "")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "14"));
    assert_eq!(mesh.app("product-v1").count(), 2, "what was shed did not arrive");
    let shed = ["error=\"request_limit_reached\""];
    eventually("all are counted", Duration::from_secs(10), async || {
        let errors = mesh.proxy("gateway").metric("weft_request_errors_total", &shed).await?;
        ensure!(errors == 21.0, "{errors}");
        Ok(())
    })
    .await;
    let table = mesh.weft(&["proxy-config", "clusters", "gateway"]).await.stdout;
    assert!(table.contains("requests=2/2"), "{table}");
    drop(held);
    eventually("there is room again", Duration::from_secs(5), async || {
        ensure!(get(entry, "/").await?.status == 200, "still shed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_request_waits_for_a_connection_in_order_but_not_for_long() {
    let limits = "connections: 1, pendingRequests: 1, pendingTimeout: 2s";
    let (mesh, entry) = limited(limits).await;
    let held = hold(&mesh, entry, 1).await;
    // Once more if the machine stood still for the whole time that it waits.
    eventually("one more is shed before the one that waits", Duration::from_secs(60), async || {
        let started = Instant::now();
        let waiting = tokio::spawn(get(entry, "/"));
        eventually("it waits", Duration::from_secs(5), async || {
            let clusters = mesh.proxy("gateway").admin().get("/v1/config/clusters").await?;
            let is_there = clusters[0]["limits"]["pending"] == "1/1" || waiting.is_finished();
            ensure!(is_there, "{clusters}");
            Ok(())
        })
        .await;
        assert_shed(&get(entry, "/").await?, "pending_limit_reached");
        let still_waits = !waiting.is_finished();
        assert_shed(&waiting.await??, "pending_limit_reached");
        assert!(started.elapsed() >= Duration::from_secs(2));
        ensure!(still_waits, "it had ended");
        Ok(())
    })
    .await;
    assert_eq!(mesh.app("product-v1").count(), 1, "only the first arrived");
    drop(held);
    eventually("the connection is free", Duration::from_secs(5), async || {
        ensure!(get(entry, "/").await?.status == 200, "still shed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn many_requests_share_one_connection_one_after_the_other() {
    let (mesh, entry) = limited("connections: 1, pendingRequests: 20, pendingTimeout: 20s").await;
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        requests.spawn(get(entry, "/slow"));
    }
    let all = async {
        while let Some(answer) = requests.join_next().await {
            assert_eq!(answer.unwrap().unwrap().status, 200);
        }
    };
    within("all are served", Duration::from_secs(20), all).await;
    assert!(started.elapsed() >= Duration::from_millis(400), "not two at a time");
    let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await.unwrap();
    assert_eq!(endpoints[0]["connections"], 1, "{endpoints}");
}
