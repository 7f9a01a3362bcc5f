//! Certificates are replaced while requests are under way, again and again, and no request notices.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;

use crate::harness::{Load, Mesh, eventually};

/// Life 16 s: the renewals are due after 8 to 11 s, so that within 33 s three certificates are in force one after the
/// other on each side, and every connection that was opened under the first has outlived it.
#[tokio::test]
async fn a_short_leaf_life_under_load_fails_nothing() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .in_turn("product")
        .caller("gateway")
        .leaf_lifetime("16s")
        .mtls("STRICT")
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let (http1, http2) = (Load::start(entry, 50), Load::start_http2(entry, 50));
    let workloads = ["gateway", "product-v1", "product-v2"];
    let mut ends = vec![BTreeSet::new(); workloads.len()];
    eventually("every sidecar has had three certificates", Duration::from_secs(120), async || {
        for (workload, ends) in workloads.iter().zip(&mut ends) {
            let certificate = mesh.proxy(workload).admin().get("/v1/config/certificate").await?;
            ensure!(certificate["valid"] == true, "{workload}: {certificate}");
            ends.insert(certificate["not_after"].as_u64());
        }
        ensure!(ends.iter().all(|ends| ends.len() >= 3), "{ends:?}");
        Ok(())
    })
    .await;
    let apps = mesh.apps();
    for load in [http1, http2] {
        let tally = load.stop().await;
        tally.assert_no_failures();
        tally.assert_posts_arrived_once(&apps);
    }
    for app in &apps {
        assert!(app.count() > 100, "{} has {}", app.workload(), app.count());
    }
    let versions: BTreeSet<String> =
        apps.iter().flat_map(|app| app.seen()).map(|seen| format!("{:?}", seen.version)).collect();
    assert_eq!(versions.len(), 2, "both loads arrived as what they are: {versions:?}");
}
