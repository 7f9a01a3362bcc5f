//! A sidecar leaves in order: callers move on to the other endpoint, nothing fails, and no POST arrives twice.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use crate::harness::{Act, Builder, Kept, Load, Mesh, eventually, get};

fn two_endpoints() -> Builder {
    let builder = Mesh::builder().service("product", &["v1", "v2"]).in_turn("product");
    builder.caller("gateway").proxy_args(&GRACE)
}

/// Whoever stops is gone long before its grace is over, because its callers go when they are asked to.
const GRACE: [&str; 2] = ["--drain-grace", "90s"];
const PROMPT: Duration = Duration::from_secs(45);

/// Both endpoints have requests, some of them under way at any moment, so that one of them has something to lose.
async fn both_busy(mesh: &Mesh) {
    for app in mesh.apps() {
        app.script(|_| Act::Delay(Duration::from_millis(200)));
    }
    eventually("both endpoints are busy", Duration::from_secs(10), async || {
        for app in mesh.apps() {
            ensure!(app.count() > 20, "{} has {}", app.workload(), app.count());
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_inbound_drain_under_load_fails_nothing() {
    let mesh = two_endpoints().start().await;
    let entry = mesh.entry("gateway", "product");
    let (mut http1, mut http2) = (Load::start(entry, 60), Load::start_http2(entry, 60));
    both_busy(&mesh).await;
    let sidecar = mesh.proxy("product-v1");
    let output = sidecar.drain().await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let reason = sidecar.readiness().await.unwrap_err().to_string();
    assert!(reason.contains("drain"), "{reason}");
    assert!(sidecar.metric("weft_draining", &[]).await.unwrap() > 0.0);
    http1.passes(100).await;
    http2.passes(100).await;
    let apps = mesh.apps();
    for load in [http1, http2] {
        let tally = load.stop().await;
        tally.assert_no_failures();
        tally.assert_posts_arrived_once(&apps);
    }
    for app in &apps {
        assert!(app.count() > 20, "{}", app.workload());
    }
}

/// Callers are told: the control plane marks the endpoint as draining, and they move to the others at once, before
/// each of them has met it with a connection that ends.
#[tokio::test]
async fn callers_leave_an_endpoint_that_drains_alone() {
    let mesh = two_endpoints().start().await;
    let entry = mesh.entry("gateway", "product");
    let (mut http1, mut http2) = (Load::start(entry, 60), Load::start_http2(entry, 60));
    both_busy(&mesh).await;
    let start = Instant::now();
    assert_eq!(mesh.proxy("product-v1").drain().await.code, Some(0));
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
    let leaving = mesh.app("product-v1");
    let mut last = usize::MAX;
    eventually("nobody calls it any more", Duration::from_secs(10), async || {
        let (before, now) = (std::mem::replace(&mut last, leaving.count()), leaving.count());
        http1.passes(30).await;
        ensure!(before == now && leaving.count() == now, "{before}, {now}, {}", leaving.count());
        Ok(())
    })
    .await;
    eventually("its callers know why", PROMPT, async || {
        let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
        let mut all = endpoints.as_array().into_iter().flatten();
        let is_leaving = |endpoint: &serde_json::Value| {
            endpoint["draining"] == true && endpoint["workload"] == "product-v1.shop"
        };
        ensure!(all.any(is_leaving), "{endpoints}");
        Ok(())
    })
    .await;
    http2.passes(60).await;
    for load in [http1, http2] {
        let tally = load.stop().await;
        tally.assert_no_failures();
        tally.assert_posts_arrived_once(&mesh.apps());
    }
    // A sidecar that comes back is used again.
    let sidecar = mesh.proxy("product-v1");
    sidecar.process().terminate(Duration::from_secs(15)).await;
    sidecar.restart().await;
    let before = leaving.count();
    eventually("it is used again", Duration::from_secs(10), async || {
        get(entry, "/").await?;
        ensure!(leaving.count() > before);
        Ok(())
    })
    .await;
}

/// What a caller sees of a drain: its idle connections end, in both versions of HTTP, and new ones serve one request.
#[tokio::test]
async fn a_drain_asks_kept_connections_to_end() {
    let builder = Mesh::builder().service("product", &["v1"]).mtls("PERMISSIVE");
    let mesh = builder.proxy_args(&GRACE).start().await;
    let sidecar = mesh.proxy("product-v1");
    let to = sidecar.inbound();
    let mut kept = [Kept::http1(to).await.unwrap(), Kept::http2(to).await.unwrap()];
    for connection in &mut kept {
        assert_eq!(connection.get("/").await.unwrap().status, 200);
    }
    let start = Instant::now();
    assert_eq!(sidecar.drain().await.code, Some(0));
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
    eventually("they end", PROMPT, async || {
        ensure!(kept.iter().all(Kept::is_closed), "one is still open");
        Ok(())
    })
    .await;
    let mut late = Kept::http1(to).await.unwrap();
    let answer = late.get("/").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("connection")), (200, "close"));
}

#[tokio::test]
async fn what_a_drained_workload_calls_itself_goes_on() {
    let mesh = Mesh::builder().service("product", &["v1"]).serving_caller("order").start().await;
    let order = mesh.proxy("order-v1");
    let mut load = Load::start(order.entry("product"), 60);
    load.passes(30).await;
    assert_eq!(order.drain().await.code, Some(0));
    load.passes(60).await;
    load.stop().await.assert_no_failures();
}

#[tokio::test]
async fn sigterm_of_one_of_two_endpoints_under_load_fails_nothing() {
    let mesh = two_endpoints().start().await;
    let mut load = Load::start(mesh.entry("gateway", "product"), 120);
    both_busy(&mesh).await;
    let start = Instant::now();
    let status = mesh.proxy("product-v1").process().terminate(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
    let before = mesh.app("product-v1").count();
    load.passes(300).await;
    let (tally, apps) = (load.stop().await, mesh.apps());
    tally.assert_no_failures();
    tally.assert_posts_arrived_once(&apps);
    assert_eq!(mesh.app("product-v1").count(), before, "nobody is behind a sidecar that is gone");
}

#[tokio::test]
async fn sigterm_under_http2_load_fails_nothing() {
    let mesh = two_endpoints().start().await;
    let mut load = Load::start_http2(mesh.entry("gateway", "product"), 120);
    both_busy(&mesh).await;
    let start = Instant::now();
    let status = mesh.proxy("product-v2").process().terminate(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
    load.passes(300).await;
    let (tally, apps) = (load.stop().await, mesh.apps());
    tally.assert_no_failures();
    tally.assert_posts_arrived_once(&apps);
}

#[tokio::test]
async fn sigterm_lets_a_slow_request_end_and_takes_no_new_ones() {
    let builder = Mesh::builder().service("product", &["v1"]).caller("gateway");
    let mesh = builder.proxy_args(&GRACE).start().await;
    let entry = mesh.entry("gateway", "product");
    let app = mesh.app("product-v1");
    app.script(|_| Act::Delay(Duration::from_secs(2)));
    let slow = tokio::spawn(async move { get(entry, "/slow").await });
    eventually("the request is under way", Duration::from_secs(5), async || {
        ensure!(app.count() == 1);
        Ok(())
    })
    .await;
    let status = mesh.proxy("product-v1").process().terminate(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    assert_eq!(slow.await.unwrap().unwrap().status, 200);
    assert_eq!(get(entry, "/late").await.unwrap().status, 503);
}
