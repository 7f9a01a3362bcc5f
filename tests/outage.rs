//! The control plane is away: nothing that runs notices, what restarts serves from what it remembers, and what can
//! no longer prove who it is fails closed and comes back alone.

use std::time::{Duration, SystemTime};

use anyhow::ensure;
use tokio::time::Instant;

use crate::harness::{Load, Mesh, eventually, get};

/// A sidecar that restarts serves again within this.
const RESTART: Duration = Duration::from_secs(2);

/// Seconds since 1970 at which a sidecar's certificate ends.
async fn not_after(mesh: &Mesh, workload: &str) -> anyhow::Result<u64> {
    let certificate = mesh.proxy(workload).admin().get("/v1/config/certificate").await?;
    let seconds = certificate["not_after"].as_u64();
    seconds.ok_or_else(|| anyhow::anyhow!("{certificate}"))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Life 40 s: renewals are due after 20 to 28 s, and when the control plane is back there are 11 s left.
#[tokio::test]
async fn an_outage_with_a_restart_and_renewals_due_fails_nothing() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .in_turn("product")
        .caller("gateway")
        .leaf_lifetime("40s")
        .start()
        .await;
    let workloads = ["gateway", "product-v1", "product-v2"];
    let mut ends = Vec::new();
    for workload in workloads {
        ends.push(not_after(&mesh, workload).await.unwrap());
    }
    let last = *ends.iter().max().unwrap();
    let mut load = Load::start(mesh.entry("gateway", "product"), 60);
    load.passes(30).await;
    mesh.control_plane().process().kill();

    let restarted = mesh.proxy("product-v1");
    load.passes(60).await;
    let status = restarted.process().terminate(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    restarted.restart().await;
    is_stale(&mesh, "product-v1").await;
    let before = mesh.app("product-v1").count();

    // 70 % of the life and a second: every renewal has been tried, and none has succeeded.
    eventually("renewals are due", Duration::from_secs(60), async || {
        ensure!(now() + 11 > last, "{} s left", last - now());
        Ok(())
    })
    .await;
    assert!(mesh.app("product-v1").count() > before, "the restarted one gets requests");
    mesh.control_plane().restart().await;
    for (workload, end) in workloads.into_iter().zip(ends) {
        eventually("the certificate is renewed", Duration::from_secs(60), async || {
            let renewed = not_after(&mesh, workload).await?;
            ensure!(renewed > end, "{workload} still has its old one");
            Ok(())
        })
        .await;
    }
    eventually("the old certificates are over", Duration::from_secs(10), async || {
        ensure!(now() > last + 1, "not yet");
        Ok(())
    })
    .await;
    load.passes(60).await;
    let (tally, apps) = (load.stop().await, mesh.apps());
    tally.assert_no_failures();
    tally.assert_posts_arrived_once(&apps);
    eventually("it is no longer stale", Duration::from_secs(10), async || {
        ensure!(restarted.metric("weft_config_stale", &[]).await? == 0.0, "still stale");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_sidecar_killed_during_an_outage_serves_within_two_seconds_of_its_start() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    mesh.control_plane().process().kill();
    for workload in ["gateway", "product-v1"] {
        let sidecar = mesh.proxy(workload);
        let mut took = Vec::new();
        // A machine that stands still meanwhile says nothing of the sidecar: the best of some counts.
        while took.len() < 10 && took.iter().all(|time| *time >= RESTART) {
            sidecar.process().kill();
            let start = Instant::now();
            sidecar.process().start_again().unwrap();
            eventually("a request succeeds", RESTART, async || {
                let answer = get(entry, "/").await?;
                ensure!(answer.status == 200, "{answer:?}");
                Ok(())
            })
            .await;
            took.push(start.elapsed());
            is_stale(&mesh, workload).await;
        }
        assert!(took.iter().any(|time| *time < RESTART), "{workload}: {took:?}");
    }
}

/// It serves what it remembers, and says so.
async fn is_stale(mesh: &Mesh, workload: &str) {
    eventually("it says that it is stale", RESTART, async || {
        let stale = mesh.proxy(workload).metric("weft_config_stale", &[]).await?;
        ensure!(stale > 0.0, "{workload}: {stale}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_expires_in_an_outage_fails_closed_and_comes_back_alone() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .leaf_lifetime("6s")
        .mtls("STRICT")
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    // Six seconds may be over before they are renewed.
    eventually("a request succeeds", Duration::from_secs(15), async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await;
    mesh.control_plane().process().kill();
    eventually("requests are refused", Duration::from_secs(15), async || {
        let answer = get(entry, "/").await?;
        let status = answer.header("proxy-status");
        ensure!(answer.status == 503 && status.contains("identity_unavailable"), "{answer:?}");
        Ok(())
    })
    .await;
    eventually("readiness says why", Duration::from_secs(15), async || {
        let ready = mesh.proxy("gateway").readiness().await;
        let reason = ready.err().map(|reason| reason.to_string()).unwrap_or_default();
        ensure!(reason.contains("expired"), "{reason}");
        Ok(())
    })
    .await;
    // A restart does not bring an expired certificate back to life either.
    let before = mesh.app("product-v1").count();
    mesh.proxy("gateway").process().kill();
    mesh.proxy("gateway").process().start_again().unwrap();
    eventually("the restarted one refuses too", Duration::from_secs(10), async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.status == 503, "{answer:?}");
        Ok(())
    })
    .await;
    assert_eq!(mesh.app("product-v1").count(), before);
    mesh.control_plane().restart().await;
    eventually("requests succeed again", Duration::from_secs(10), async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await;
}
