//! The mesh's roots are replaced while requests are under way: nothing fails, nothing is started again, nobody is left
//! behind, and what is retired is believed by nobody.

mod garbage;
pub(crate) mod issuer;

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Builder, Load, Mesh, Output, TlsClient, eventually};

/// A rotation takes some 20 s: an idle sidecar reports every ten, and renewals are spread over five.
const ROTATION: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(40);
const HOUR: Duration = Duration::from_secs(3600);
const WORKLOADS: [&str; 3] = ["gateway", "product-v1", "product-v2"];

fn shop_of() -> Builder {
    let shop = Mesh::builder().service("product", &["v1", "v2"]).in_turn("product");
    shop.caller("gateway").mtls("STRICT")
}

async fn shop() -> Mesh {
    shop_of().start().await
}

/// How the roots stand, as programs see it.
async fn status(mesh: &Mesh) -> Result<Value> {
    mesh.control_plane().admin().get("/v1/trust").await
}

/// Fingerprints of the roots in this state.
fn roots(status: &Value, state: &str) -> Vec<String> {
    let all = status["roots"].as_array().into_iter().flatten();
    let of = all.filter(|root| root["state"] == state);
    of.filter_map(|root| root["fingerprint"].as_str().map(str::to_owned)).collect()
}

/// Both loads, and the processes that must not be started again.
struct Traffic {
    loads: [Load; 2],
    pids: Vec<(String, Pid)>,
}

impl Traffic {
    fn start(mesh: &Mesh) -> Self {
        let entry = mesh.entry("gateway", "product");
        let loads = [Load::start(entry, 50), Load::start_http2(entry, 50)];
        let pid = |workload: &str| mesh.proxy(workload).process().pid().expect("it runs");
        let pids = WORKLOADS.map(|workload| (workload.to_owned(), pid(workload)));
        Self { loads, pids: pids.into() }
    }

    async fn passes(&mut self, requests: u64) {
        for load in &mut self.loads {
            load.passes(requests).await;
        }
    }

    /// Ends it: 0 failed, 0 started again.
    async fn nothing_failed(self, mesh: &Mesh, what: &str) {
        let (apps, mut count) = (mesh.apps(), 0);
        for load in self.loads {
            let tally = load.stop().await;
            tally.assert_no_failures();
            tally.assert_posts_arrived_once(&apps);
            count += tally.count();
        }
        for (workload, pid) in self.pids {
            assert_eq!(mesh.proxy(&workload).process().pid().unwrap(), pid, "{workload}");
        }
        eprintln!("{what}: 0 of {count} requests failed, 0 restarts");
    }
}

fn assert_done(output: &Output, steps: &[&str]) {
    assert_eq!(output.code, Some(0), "{output:?}");
    let said = output.json();
    assert_eq!(said["done"], true, "{said}");
    assert_eq!(said["steps"], serde_json::json!(steps), "{said}");
}

#[tokio::test]
async fn two_rotations_under_load_fail_nothing_and_start_nothing_again() {
    let mesh = shop().await;
    let mut traffic = Traffic::start(&mesh);
    traffic.passes(50).await;
    let before = mesh.leaf("gateway", HOUR);
    let first = roots(&status(&mesh).await.unwrap(), "issuing");

    let rotated = mesh.weft_within(&["trust", "rotate", "-o", "json"], ROTATION).await;
    assert_done(&rotated, &["stage", "issue", "retire"]);
    traffic.passes(50).await;
    let after = status(&mesh).await.unwrap();
    assert_eq!(after["roots"].as_array().map(Vec::len), Some(1), "{after}");
    assert_ne!(roots(&after, "issuing"), first);
    assert_eq!(after["roots"][0]["leaves"], 3, "{after}");

    // What leads to the root that was retired is believed by nobody any more, however it is still valid.
    let product = mesh.proxy("product-v1").inbound();
    let bundle = mesh.control_plane().authority().bundle().clone();
    let old = TlsClient::new(Some(&before), &bundle, &mesh.id("product"));
    eventually("the old root is believed no more", SOON, async || {
        let knock = old.knock(product).await;
        ensure!(!knock.is_let_in(), "{knock:?}");
        Ok(())
    })
    .await;
    let now = mesh.leaf("gateway", HOUR);
    let knock = TlsClient::new(Some(&now), &bundle, &mesh.id("product")).knock(product).await;
    assert!(knock.is_let_in(), "{knock:?}");

    let again = mesh.weft_within(&["trust", "rotate", "-o", "json"], ROTATION).await;
    assert_done(&again, &["stage", "issue", "retire"]);
    traffic.passes(50).await;
    traffic.nothing_failed(&mesh, "two rotations").await;
    let table = mesh.weft(&["trust", "status"]).await;
    assert!(table.stdout.contains("no rotation is under way"), "{table:?}");
    assert!(table.stdout.contains("3/3"), "{table:?}");
}

#[tokio::test]
async fn a_rotation_survives_its_own_end_and_that_of_the_control_plane() {
    let mesh = shop().await;
    let mut traffic = Traffic::start(&mesh);
    traffic.passes(50).await;
    let control_plane = mesh.control_plane();
    let staged = mesh.weft(&["trust", "stage", "-o", "json"]).await;
    assert_eq!(staged.json()["changed"], true, "{staged:?}");
    let new = roots(&status(&mesh).await.unwrap(), "staged");
    control_plane.process().kill();
    control_plane.restart().await;
    assert_eq!(roots(&status(&mesh).await.unwrap(), "staged"), new, "it was written down");

    // The command is interrupted once the new root issues.
    let issues = eventually("the new root issues", ROTATION, async || {
        let status = status(&mesh).await?;
        ensure!(roots(&status, "issuing") == new, "{status}");
        Ok(())
    });
    tokio::select! {
        biased;
        () = issues => {}
        output = mesh.weft_within(&["trust", "rotate", "--timeout", "90s"], ROTATION) => {
            panic!("it ended before it was interrupted: {output:?}")
        }
    }
    // And the control plane is killed while the next one waits.
    let args = ["trust", "rotate", "-o", "json"];
    let (rotated, ()) = tokio::join!(mesh.weft_within(&args, ROTATION), async {
        traffic.passes(50).await;
        control_plane.process().kill();
        traffic.passes(50).await;
        control_plane.restart().await;
    });
    assert_done(&rotated, &["retire"]);
    assert_eq!(roots(&rotated.json()["status"], "issuing"), new);
    traffic.passes(50).await;
    traffic.nothing_failed(&mesh, "a rotation with the control plane killed twice").await;
    // One that starts now finds its way with what it is told now.
    mesh.add_workload("product", "v3").await.unwrap();
}

#[tokio::test]
async fn a_step_that_would_leave_somebody_behind_is_refused_by_name() {
    let mesh = shop().await;
    let gateway = mesh.proxy("gateway");
    // Neither hears nor says anything, and is connected all the same.
    gateway.process().signal(Signal::SIGSTOP);
    mesh.weft(&["trust", "stage"]).await;
    eventually("the others believe the new root", SOON, async || {
        let status = status(&mesh).await?;
        ensure!(status["roots"][1]["believed_by"] == 2, "{status}");
        Ok(())
    })
    .await;
    let refused = mesh.weft(&["trust", "issue"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(
        refused.stderr.contains("gateway.shop does not believe the new root yet"),
        "{refused:?}"
    );
    let early = mesh.weft(&["trust", "rotate", "--timeout", "2s"]).await;
    assert_eq!(early.code, Some(3), "{early:?}");
    assert!(early.stdout.contains("! gateway.shop"), "{early:?}");
    gateway.process().signal(Signal::SIGCONT);
    eventually("all believe the new root", SOON, async || {
        let status = status(&mesh).await?;
        ensure!(status["roots"][1]["believed_by"] == 3, "{status}");
        Ok(())
    })
    .await;
    // Who does nothing does not renew either: as long as that nobody is let out of the old root.
    gateway.process().signal(Signal::SIGSTOP);
    let issued = mesh.weft(&["trust", "issue", "-o", "json"]).await;
    assert_eq!(issued.code, Some(0), "{issued:?}");
    let refused = mesh.weft(&["trust", "retire", "-o", "json"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let reason = refused.json()["refused"].as_str().unwrap_or_default().to_owned();
    let named = WORKLOADS.iter().any(|workload| reason.contains(&format!("{workload}.shop")));
    assert!(named && reason.contains("leads to the old root"), "{reason}");
    gateway.process().signal(Signal::SIGCONT);
    eventually("the old root is retired", ROTATION, async || {
        let retired = mesh.weft(&["trust", "retire"]).await;
        ensure!(retired.code == Some(0), "{retired:?}");
        Ok(())
    })
    .await;
}

/// Of a workload that is connected to nobody nothing is known, but its certificate ends some day.
#[tokio::test]
async fn whoever_is_away_is_waited_for_until_its_last_certificate_is_over() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .absent_caller("job")
        .leaf_lifetime("10s")
        .start()
        .await;
    mesh.weft(&["trust", "stage"]).await;
    let refused = mesh.weft(&["trust", "issue"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("job.shop is not connected"), "{refused:?}");
    assert!(refused.stderr.contains("(until 20"), "{refused:?}");
    let rotated = mesh.weft_within(&["trust", "rotate", "-o", "json"], ROTATION).await;
    assert_done(&rotated, &["issue", "retire"]);
}
