//! A CA that is away: told in time, fails closed when it is too late, and mends itself.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

use crate::harness::{Mesh, TlsClient, eventually, get};

const DEADLINE: Duration = Duration::from_secs(40);
const HOUR: Duration = Duration::from_secs(3600);
const OVERDUE: &str = "weft_identity_renewal_overdue";

async fn left(mesh: &Mesh, workload: &str) -> Result<u64> {
    let certificate = mesh.proxy(workload).admin().get("/v1/config/certificate").await?;
    let left = certificate["seconds_left"].as_u64();
    left.ok_or_else(|| anyhow::anyhow!("{certificate}"))
}

fn lines(mesh: &Mesh, workload: &str, said: &str) -> usize {
    mesh.proxy(workload).process().log().matches(said).count()
}

/// Life 40 s: renewal is due after 20 to 28 s, overdue with 10 s left.
#[tokio::test]
async fn a_ca_that_is_away_is_told_before_it_is_too_late_and_when_it_is() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway");
    let mesh = mesh.leaf_lifetime("40s").mtls("STRICT").start().await;
    let entry = mesh.entry("gateway", "product");
    let workloads = ["gateway", "product-v1"];
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
    for workload in workloads {
        assert!(mesh.proxy(workload).metric(OVERDUE, &[]).await.unwrap() < 0.5, "{workload}");
    }
    mesh.control_plane().process().kill();
    alarmed(&mesh, workloads).await;
    let answer = get(entry, "/").await.unwrap();
    let still = [left(&mesh, "gateway").await, left(&mesh, "product-v1").await];
    // Unless this machine stood still for ten seconds.
    let is_good = still.iter().all(|left| left.as_ref().is_ok_and(|left| *left > 0));
    assert!(answer.status == 200 || !is_good, "it is still good: {answer:?}, {still:?}");
    over(&mesh, workloads).await;
    mended(&mesh, workloads).await;
}

/// Each tells it in time, and so does `weft check`.
async fn alarmed(mesh: &Mesh, workloads: [&str; 2]) {
    let mut alarms = Vec::new();
    for workload in workloads {
        eventually("the alarm", DEADLINE, async || {
            ensure!(mesh.proxy(workload).metric(OVERDUE, &[]).await? > 0.5, "not yet");
            Ok(())
        })
        .await;
        alarms.push((workload, left(mesh, workload).await.unwrap_or_default()));
    }
    eprintln!("alarm, and seconds left of 40: {alarms:?}");
    assert!(alarms.iter().all(|(_, left)| *left <= 10), "{alarms:?}");
    let check = mesh.weft(&["check"]).await;
    let said = &check.stdout;
    assert!(said.contains("the certificate of gateway.shop is renewed in time"), "{said}");
    assert!(said.contains("overdue: ") && said.contains("fix: it renews by itself"), "{said}");
}

/// Nothing goes in or out, and the reason is said.
async fn over(mesh: &Mesh, workloads: [&str; 2]) {
    let entry = mesh.entry("gateway", "product");
    eventually("it is over", DEADLINE, async || {
        let answer = get(entry, "/").await?;
        let why = answer.header("proxy-status");
        ensure!(why.contains("identity_unavailable") && why.contains("expired"), "{why}");
        Ok(())
    })
    .await;
    let authority = mesh.control_plane().authority();
    let good = mesh.leaf("gateway", HOUR);
    let client = TlsClient::new(Some(&good), authority.bundle(), &mesh.id("product"));
    let inbound = mesh.proxy("product-v1").inbound();
    eventually("nobody is let in", DEADLINE, async || {
        ensure!(!client.knock(inbound).await.is_let_in(), "still served");
        Ok(())
    })
    .await;
    let served = mesh.app("product-v1").count();
    let said = "identity_unavailable: this workload's certificate has expired";
    mesh.proxy("product-v1").process().logged(&[said]).await;
    assert_eq!(get(entry, "/").await.unwrap().status, 503);
    assert_eq!(mesh.app("product-v1").count(), served, "nothing passes");
    for workload in workloads {
        let said = "renewal of the certificate is overdue";
        mesh.proxy(workload).process().logged(&[said]).await;
        assert_eq!(lines(mesh, workload, said), 1, "{workload}");
        assert!(mesh.proxy(workload).readiness().await.is_err(), "{workload}");
    }
}

/// The control plane is back, and nothing else is done.
async fn mended(mesh: &Mesh, workloads: [&str; 2]) {
    let entry = mesh.entry("gateway", "product");
    let since = SystemTime::now();
    mesh.control_plane().restart().await;
    eventually("it mends itself", DEADLINE, async || {
        ensure!(get(entry, "/").await?.status == 200, "not yet");
        Ok(())
    })
    .await;
    eprintln!("served again {:.1?} after the control plane was started", since.elapsed().unwrap());
    for workload in workloads {
        eventually("the alarm ends", DEADLINE, async || {
            ensure!(mesh.proxy(workload).metric(OVERDUE, &[]).await? < 0.5, "not yet");
            Ok(())
        })
        .await;
        let said = "renewal is no longer overdue";
        mesh.proxy(workload).process().logged(&[said]).await;
        assert_eq!(lines(mesh, workload, said), 1, "{workload}");
    }
    eventually("the control plane knows how long it has", DEADLINE, async || {
        let proxy = mesh.control_plane().proxy("gateway.shop").await?;
        ensure!(proxy["leaf_overdue_at"].is_string(), "{proxy}");
        Ok(())
    })
    .await;
}
