//! An endpoint that keeps failing gets no requests for a while, then another chance.

use std::time::Duration;

use anyhow::ensure;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Mesh, eventually, get};

#[tokio::test]
async fn an_endpoint_that_fails_is_ejected_and_comes_back() {
    let policy = "  loadBalancer: {policy: RoundRobin}
  outlierDetection: {consecutiveFailures: 3, baseEjection: 2s, maxEjectedPercent: 50}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let (sick, well) = (mesh.app("product-v1"), mesh.app("product-v2"));
    sick.script(|_| Act::Status(500));
    eventually("the sick one is ejected", Duration::from_secs(5), async || {
        get(entry, "/").await?;
        ensure!(health(&mesh, "product-v1.shop").await? == "ejected", "{} failed", sick.count());
        Ok(())
    })
    .await;
    let (ejected_at, before) = (sick.count(), well.count());
    assert!(ejected_at >= 3, "{ejected_at} failures were enough");
    for _ in 0..30 {
        assert_eq!(get(entry, "/").await.unwrap().status, 200);
    }
    assert_eq!((sick.count(), well.count()), (ejected_at, before + 30));

    sick.script(|_| Act::Echo);
    eventually("it is back", Duration::from_secs(6), async || {
        get(entry, "/").await?;
        ensure!(sick.count() > ejected_at, "no request yet");
        Ok(())
    })
    .await;
    assert_eq!(health(&mesh, "product-v1.shop").await.unwrap(), "healthy");
}

async fn health(mesh: &Mesh, workload: &str) -> anyhow::Result<String> {
    let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
    let all = endpoints.as_array().cloned().unwrap_or_default();
    let of_product = all.iter().find(|endpoint| {
        endpoint["workload"] == workload && endpoint["cluster"] == "product.shop:8080"
    });
    let found = of_product.ok_or_else(|| anyhow::anyhow!("{endpoints}"))?;
    Ok(found["health"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_last_endpoints_are_never_all_ejected() {
    let policy = "  loadBalancer: {policy: RoundRobin}
  outlierDetection: {consecutiveFailures: 2, baseEjection: 30s, maxEjectedPercent: 50}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    for app in mesh.apps() {
        app.script(|_| Act::Status(500));
    }
    for _ in 0..30 {
        let answer = get(entry, "/").await.unwrap();
        assert_eq!(answer.status, 500, "an application answers, not the sidecar: {answer:?}");
    }
}
