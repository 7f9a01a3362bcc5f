//! An endpoint that keeps failing gets no requests for a while, then another chance.

use std::time::Duration;

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Mesh, eventually, get};

const SOON: Duration = Duration::from_secs(60);

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
    assert!(sick.count() >= 3, "{} failures were enough", sick.count());
    // Only what happens before its time is over counts: a machine that stood still does it once more.
    eventually("it gets no request while it is ejected", SOON, async || {
        get(entry, "/").await?;
        let number = ejections(&mesh).await?;
        ensure!(health(&mesh, "product-v1.shop").await? == "ejected", "not now");
        let (ejected_at, before) = (sick.count(), well.count());
        for _ in 0..30 {
            get(entry, "/").await?;
        }
        let is_ejected = health(&mesh, "product-v1.shop").await? == "ejected";
        ensure!(is_ejected && ejections(&mesh).await? == number, "its time is over");
        assert_eq!((sick.count(), well.count()), (ejected_at, before + 30));
        Ok(())
    })
    .await;

    sick.script(|_| Act::Echo);
    let ejected_at = sick.count();
    eventually("it is back", SOON, async || {
        get(entry, "/").await?;
        ensure!(sick.count() > ejected_at, "no request yet");
        let health = health(&mesh, "product-v1.shop").await?;
        ensure!(health == "healthy", "{health}");
        Ok(())
    })
    .await;
}

async fn health(mesh: &Mesh, workload: &str) -> anyhow::Result<String> {
    shown(mesh, workload, "health").await
}

async fn shown(mesh: &Mesh, workload: &str, field: &str) -> anyhow::Result<String> {
    let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
    let all = endpoints.as_array().cloned().unwrap_or_default();
    let of_product = all.iter().find(|endpoint| {
        endpoint["workload"] == workload && endpoint["cluster"] == "product.shop:8080"
    });
    let found = of_product.ok_or_else(|| anyhow::anyhow!("{endpoints}"))?;
    Ok(found[field].as_str().unwrap_or_default().to_owned())
}

/// What `weft proxy-config endpoints` says of the circuits of both endpoints, in its JSON and in its table.
async fn said(mesh: &Mesh) -> anyhow::Result<[String; 2]> {
    let json = mesh.weft(&["proxy-config", "endpoints", "gateway", "-o", "json"]).await.json();
    let table = mesh.weft(&["proxy-config", "endpoints", "gateway"]).await.stdout;
    let circuits = ["product-v1.shop", "product-v2.shop"].map(|workload| {
        let rows = json.as_array().into_iter().flatten();
        let row = { rows }
            .find(|row| row["workload"] == workload && row["cluster"] == "product.shop:8080");
        let circuit = row.unwrap()["circuit"].as_str().unwrap().to_owned();
        let of_workload = |line: &&str| line.contains(workload) && line.contains("product.shop:");
        let word = circuit.split(' ').next().unwrap();
        // Between the one look and the other time passes.
        ensure!(table.lines().find(of_workload).unwrap().contains(word), "{circuit}: {table}");
        Ok(circuit)
    });
    let [sick, well] = circuits;
    Ok([sick?, well?])
}

/// When its time is over, one request finds out whether it is well again; all others go elsewhere until it is known.
#[tokio::test]
async fn an_endpoint_comes_back_through_exactly_one_trial() {
    let policy = "  loadBalancer: {policy: RoundRobin}
  outlierDetection: {consecutiveGatewayFailures: 2, consecutiveFailures: 0, baseEjection: 1s}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let sick = mesh.app("product-v1");
    sick.script(|_| Act::Status(503));
    let of = ["backend=\"product.shop:8080\"", "workload=\"product-v1.shop\""];
    let circuit = async || mesh.proxy("gateway").metric("weft_outlier_circuit", &of).await;
    // Its second is over soon: then it fails once more, and is out again.
    let ejections = eventually("it is ejected, and said to be", SOON, async || {
        get(entry, "/").await?;
        ensure!(circuit().await? == 2.0, "not open");
        let [of_sick, _] = said(&mesh).await?;
        ensure!(of_sick.starts_with("open"), "{of_sick}");
        ejections(&mesh).await
    })
    .await;
    sick.script(|_| Act::Hang);
    let before = sick.count();
    let mut requests = JoinSet::new();
    eventually("the trial is under way", Duration::from_secs(10), async || {
        requests.spawn(get(entry, "/"));
        ensure!(sick.count() > before, "not yet");
        Ok(())
    })
    .await;
    assert_eq!(circuit().await.unwrap(), 1.0, "half-open");
    assert_eq!(said(&mesh).await.unwrap(), ["half-open", "closed"]);
    for _ in 0..30 {
        assert_eq!(get(entry, "/").await.unwrap().status, 200);
    }
    assert_eq!(sick.count(), before + 1, "one trial, and no other request while it is under way");

    // Nobody waits for the trial any more: the next request is one, and finds it well.
    sick.script(|_| Act::Echo);
    requests.shutdown().await;
    eventually("it is back", Duration::from_secs(10), async || {
        get(entry, "/").await?;
        ensure!(circuit().await? == 0.0, "not closed");
        Ok(())
    })
    .await;
    assert_eq!(said(&mesh).await.unwrap(), ["closed", "closed"]);
    assert_eq!(self::ejections(&mesh).await.unwrap(), ejections, "a trial that nobody waited for");
}

async fn ejections(mesh: &Mesh) -> anyhow::Result<f64> {
    mesh.proxy("gateway").metric("weft_outlier_ejections_total", &[]).await
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
