//! Endpoints that say that they are ill get no requests, before a request has met it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::ensure;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Mesh, eventually, get};

/// What the sidecar of `gateway` says of a workload's health.
async fn checked(mesh: &Mesh, workload: &str) -> anyhow::Result<String> {
    let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
    let all = endpoints.as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|endpoint| {
        endpoint["workload"] == workload && endpoint["cluster"] == "product.shop:8080"
    });
    let found = found.ok_or_else(|| anyhow::anyhow!("{endpoints}"))?;
    Ok(found["checked"].as_str().unwrap_or_default().to_owned())
}

async fn becomes(mesh: &Mesh, workload: &str, health: &str) {
    eventually(&format!("{workload} is {health}"), Duration::from_secs(10), async || {
        let now = checked(mesh, workload).await?;
        ensure!(now == health, "{now}");
        Ok(())
    })
    .await;
}

fn policy(check: &str) -> String {
    let spec = format!(
        "  loadBalancer: {{policy: RoundRobin}}
  healthCheck: {{{check}, interval: 200ms, timeout: 2s, healthyThreshold: 2, unhealthyThreshold: 2}}\n"
    );
    traffic_policy("product", &spec)
}

#[tokio::test]
async fn an_endpoint_that_is_ill_gets_no_requests_until_it_is_well() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &policy("http: {path: /healthz, expectedStatuses: [200, 204]}"))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    assert_eq!(get(entry, "/").await.unwrap().status, 200, "nobody waits for the first check");
    let app = mesh.app("product-v1");
    let ill = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&ill);
    app.script(move |seen| match (seen.path.as_str(), says.load(Relaxed)) {
        ("/healthz", true) => Act::Status(503),
        ("/healthz", false) => Act::Status(204),
        _ => Act::Echo,
    });
    for workload in ["product-v1.shop", "product-v2.shop"] {
        becomes(&mesh, workload, "healthy").await;
    }
    ill.store(true, Relaxed);
    becomes(&mesh, "product-v1.shop", "unhealthy").await;
    // The load follows within the time for which a pick goes by its count.
    for _ in 0..20 {
        assert_eq!(get(entry, "/").await.unwrap().workload(), "product-v2");
    }
    let sidecar = mesh.proxy("gateway");
    let unhealthy = ["backend=\"product.shop:8080\"", "health=\"unhealthy\""];
    assert_eq!(sidecar.metric("weft_health_endpoints", &unhealthy).await.unwrap(), 1.0);
    assert!(
        sidecar.metric("weft_health_checks_total", &["result=\"failed\""]).await.unwrap() >= 2.0
    );
    let seen = app.seen();
    let check = seen.iter().find(|seen| seen.path == "/healthz").unwrap();
    assert_eq!(check.headers["host"], "product.shop:8080");
    assert!(check.headers["x-forwarded-client-cert"].to_str().unwrap().contains("/sa/gateway"));
    ill.store(false, Relaxed);
    becomes(&mesh, "product-v1.shop", "healthy").await;
    let calls = || app.seen().iter().filter(|seen| seen.path == "/").count();
    let before = calls();
    for _ in 0..10 {
        assert_eq!(get(entry, "/").await.unwrap().status, 200);
    }
    assert!(calls() > before, "it is used again");
}

#[tokio::test]
async fn with_less_than_half_well_all_are_used() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2", "v3"])
        .caller("gateway")
        .file("policy.yaml", &policy("http: {path: /healthz}"))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    // The first request makes the sidecar subscribe, and so check.
    get(entry, "/").await.unwrap();
    for workload in ["product-v1", "product-v2"] {
        let act = |path: &str| if path == "/healthz" { Act::Status(500) } else { Act::Echo };
        mesh.app(workload).script(move |seen| act(&seen.path));
        becomes(&mesh, &format!("{workload}.shop"), "unhealthy").await;
    }
    eventually("all are used", Duration::from_secs(5), async || {
        let mut used = std::collections::BTreeSet::new();
        for _ in 0..9 {
            used.insert(get(entry, "/").await?.workload());
        }
        ensure!(used.len() == 3, "{used:?}");
        Ok(())
    })
    .await;
}

/// The other sidecar stands and takes connections; that the application is gone shows all the same.
#[tokio::test]
async fn a_connection_check_reaches_the_application() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &policy("tcp: {}"))
        .start()
        .await;
    get(mesh.entry("gateway", "product"), "/").await.unwrap();
    becomes(&mesh, "product-v1.shop", "healthy").await;
    mesh.app("product-v1").stop();
    becomes(&mesh, "product-v1.shop", "unhealthy").await;
    assert_eq!(checked(&mesh, "product-v2.shop").await.unwrap(), "healthy");
    mesh.app("product-v1").listen().await.unwrap();
    becomes(&mesh, "product-v1.shop", "healthy").await;
}
