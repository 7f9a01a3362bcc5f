//! A CA that answers garbage, or errors: the certificate that there is stays, it is said once, and counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use tonic::Status;
use weft_proto::identity::IssueResponse;

use super::ROTATION;
use crate::harness::{Load, Meddler, Mesh, eventually};

type Answer = Result<IssueResponse, Status>;

/// What somebody in the CA's place might say, with what the sidecar says of it.
fn garbage(stolen: &Arc<Mutex<Option<IssueResponse>>>, kind: usize, good: IssueResponse) -> Answer {
    let earlier = stolen.lock().unwrap().replace(good.clone());
    match kind {
        0 => Ok(IssueResponse::default()),
        1 => Ok(IssueResponse { chain: vec![vec![0x30, 0x82, 0xff, 0xff, 0]], ..good }),
        2 => Ok(IssueResponse { trust_bundle: vec![b"no certificate".to_vec()], ..good }),
        // The certificate of an earlier key.
        3 => Ok(earlier.unwrap_or_default()),
        4 => Ok(IssueResponse { chain: good.chain[1..].to_vec(), ..good }),
        5 => Err(Status::internal("the CA is on fire")),
        6 => Err(Status::permission_denied("not you")),
        _ => Err(Status::unavailable("try again")),
    }
}

#[tokio::test]
async fn a_ca_that_answers_garbage_takes_nothing_away() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .absent_caller("gateway")
        .leaf_lifetime("4m")
        .mtls("STRICT")
        .start()
        .await;
    let address = mesh.spare_address(21012);
    let meddler = Meddler::start(&mesh, "gateway", address).await.unwrap();
    let mut bootstrap = mesh.control_plane().join("gateway.shop").await.unwrap();
    bootstrap["control_plane"]["address"] = address.to_string().into();
    let gateway = mesh.start_sidecar_with("gateway", false, bootstrap).unwrap();
    gateway.ready().await;
    let certificate = async || gateway.admin().get("/v1/config/certificate").await;

    let (asked, stolen) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let count = Arc::clone(&asked);
    meddler.spoil_certificates(move |good| {
        garbage(&stolen, count.fetch_add(1, Ordering::Relaxed) % 8, good)
    });
    let first = certificate().await.unwrap()["not_after"].clone();
    let mut load = Load::start(gateway.entry("product"), 50);
    // Everybody is to renew now.
    for step in [&["trust", "stage"][..], &["trust", "issue", "--force"]] {
        let output = mesh.weft(step).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    eventually("every kind of garbage was answered, one twice", ROTATION, async || {
        let times = asked.load(Ordering::Relaxed);
        ensure!(times >= 9, "{times} times");
        Ok(())
    })
    .await;
    load.passes(50).await;
    let kept = certificate().await.unwrap();
    assert_eq!(kept["not_after"], first, "{kept}");
    assert_eq!(kept["valid"], true, "{kept}");
    let failures = gateway.metric("weft_identity_renewal_failures_total", &[]).await.unwrap();
    assert!(failures >= 8.0, "{failures}");
    let all = ["chain has 0 certificates", "the CA is on fire"];
    let log = gateway.process().logged(&all).await;
    for told in all {
        assert_eq!(log.lines().filter(|line| line.contains(told)).count(), 1, "{told}: {log}");
    }

    meddler.behave();
    eventually("it is renewed", Duration::from_secs(60), async || {
        let now = certificate().await?;
        ensure!(now["not_after"] != first, "{now}");
        Ok(())
    })
    .await;
    load.passes(50).await;
    load.stop().await.assert_no_failures();
}
