//! Endpoints come and go while requests are under way, and no request notices.

use std::time::Duration;

use anyhow::ensure;

use crate::harness::{Load, Mesh, eventually, get};

#[tokio::test]
async fn endpoints_are_added_and_removed_under_load_without_a_failure() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .in_turn("product")
        .caller("gateway")
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let mut load = Load::start(entry, 100);
    load.passes(50).await;
    mesh.add_workload("product", "v2").await.unwrap();
    gets_requests(&mesh, "product-v2").await;
    mesh.add_workload("product", "v3").await.unwrap();
    gets_requests(&mesh, "product-v3").await;
    mesh.remove_workload("product-v1").await;
    load.passes(100).await;
    mesh.remove_workload("product-v2").await;
    load.passes(100).await;
    let (tally, apps) = (load.stop().await, mesh.apps());
    tally.assert_no_failures();
    tally.assert_posts_arrived_once(&apps);
    assert_eq!(tally.by_workload().len(), 3, "{:?}", tally.by_workload());
    assert_eq!(get(entry, "/").await.unwrap().workload(), "product-v3");
}

async fn gets_requests(mesh: &Mesh, workload: &str) {
    let what = format!("{workload} gets requests");
    eventually(&what, Duration::from_secs(5), async || {
        let count = mesh.app(workload).count();
        ensure!(count > 10, "{count} so far");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_service_without_endpoints_is_unavailable_until_it_has_one() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
    mesh.remove_workload("product-v1").await;
    eventually("nobody is left", Duration::from_secs(5), async || {
        let answer = get(entry, "/").await?;
        let status = answer.header("proxy-status");
        ensure!(answer.status == 503 && status.contains("destination_unavailable"), "{answer:?}");
        ensure!(status.contains("product"), "it names the Service: {status}");
        Ok(())
    })
    .await;
    mesh.add_workload("product", "v2").await.unwrap();
    eventually("somebody is back", Duration::from_secs(5), async || {
        ensure!(get(entry, "/").await?.status == 200);
        Ok(())
    })
    .await;
}

/// One request after the other: a balancer that prefers what it knows must still find out about the newcomer.
#[tokio::test]
async fn a_new_endpoint_gets_a_request_at_once_even_at_a_low_rate() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    for _ in 0..20 {
        assert_eq!(get(entry, "/").await.unwrap().workload(), "product-v1");
    }
    mesh.add_workload("product", "v2").await.unwrap();
    eventually("the new one is asked", Duration::from_secs(2), async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.workload() == "product-v2", "{}", answer.workload());
        Ok(())
    })
    .await;
}
