//! A sidecar that may call many Services holds only what it uses: subscribed on first use, kept while a connection is
//! open, dropped when idle, and remembered over a restart as far as it was in use.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::harness::{Kept, Mesh, eventually, get};

async fn mesh(idle: &str) -> Mesh {
    Mesh::builder()
        .service("product", &["v1"])
        .service("order", &["v1"])
        .caller("gateway")
        .proxy_args(&["--on-demand-above", "0", "--upstream-idle", idle])
        .start()
        .await
}

/// Names and standings of what the gateway may call.
async fn standings(mesh: &Mesh) -> anyhow::Result<Vec<(String, String)>> {
    let listeners = mesh.proxy("gateway").admin().get("/v1/config/listeners").await?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rows = listeners.as_array().cloned().unwrap_or_default();
    let outbound = rows.iter().filter(|row| row["direction"] == "outbound");
    Ok(outbound.map(|row| (text(&row["listener"]), text(&row["standing"]))).collect())
}

async fn clusters(mesh: &Mesh) -> anyhow::Result<usize> {
    let clusters = mesh.proxy("gateway").admin().get("/v1/config/clusters").await?;
    Ok(clusters.as_array().map_or(0, Vec::len))
}

async fn eventually_standing(mesh: &Mesh, order: &str, product: &str) {
    let row = |name: &str, standing: &str| (format!("{name}.shop:8080"), standing.to_owned());
    let wanted = [row("order", order), row("product", product)];
    eventually("the standings", Duration::from_secs(15), async || {
        let found = standings(mesh).await?;
        ensure!(found == wanted, "{found:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_called_is_subscribed_and_what_is_idle_is_dropped() {
    let mesh = mesh("1s").await;
    eventually_standing(&mesh, "unused", "unused").await;
    assert_eq!(clusters(&mesh).await.unwrap(), 0);
    let entry = mesh.entry("gateway", "product");
    let mut open = Kept::http1(entry).await.unwrap();
    assert_eq!(open.get("/").await.unwrap().status, 200, "the first request is held, not failed");
    assert_eq!(clusters(&mesh).await.unwrap(), 1);

    // `order` is used after it and dropped first: `product` has an open connection.
    assert_eq!(get(mesh.entry("gateway", "order"), "/").await.unwrap().status, 200);
    eventually_standing(&mesh, "unused", "in force").await;
    assert_eq!(open.get("/").await.unwrap().status, 200);
    drop(open);
    eventually_standing(&mesh, "unused", "unused").await;
    eventually("nothing of it is held", Duration::from_secs(15), async || {
        let unused = ["standing=\"unused\""];
        let count = mesh.proxy("gateway").metric("weft_upstreams", &unused).await?;
        let held = clusters(&mesh).await?;
        ensure!((count, held) == (2.0, 0), "{count} unused, {held} clusters");
        Ok(())
    })
    .await;
    assert_eq!(get(entry, "/").await.unwrap().status, 200, "and asked for again");
}

#[tokio::test]
async fn what_does_not_exist_is_told_at_once_and_found_when_it_does() {
    let mesh = mesh("10m").await;
    let file = mesh.config_dir().join("service-order.yaml");
    let service = std::fs::read_to_string(file).unwrap();
    mesh.remove("service-order.yaml");
    let entry = mesh.entry("gateway", "order");
    eventually("it is gone", Duration::from_secs(10), async || {
        let started = Instant::now();
        let answer = get(entry, "/").await?;
        ensure!(answer.status == 503, "{answer:?}");
        ensure!(answer.header("proxy-status").contains("proxy_configuration_error"), "{answer:?}");
        ensure!(started.elapsed() < Duration::from_secs(2), "held for nothing");
        Ok(())
    })
    .await;
    eventually_standing(&mesh, "absent", "unused").await;
    mesh.write("service-order.yaml", &service);
    eventually("it is there", Duration::from_secs(10), async || {
        ensure!(get(entry, "/").await?.status == 200, "not yet");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_was_in_use_is_served_after_a_restart_without_a_control_plane() {
    let mesh = mesh("10m").await;
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
    mesh.control_plane().process().kill();
    let gateway = mesh.proxy("gateway");
    let status = gateway.process().terminate(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    gateway.restart().await;
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
    let started = Instant::now();
    let answer = get(mesh.entry("gateway", "order"), "/").await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(started.elapsed() < Duration::from_secs(45), "held for {:?}", started.elapsed());
    eventually_standing(&mesh, "waiting", "in force").await;
    mesh.control_plane().restart().await;
    eventually("the rest is there", Duration::from_secs(20), async || {
        ensure!(get(mesh.entry("gateway", "order"), "/").await?.status == 200, "not yet");
        Ok(())
    })
    .await;
}
