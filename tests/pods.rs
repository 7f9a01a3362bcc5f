//! A sidecar as an injector starts it in a pod: told by its environment, proven by a token in a file, ended in the order
//! in which Kubernetes ends pods.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Builder, Kept, Mesh, eventually, get, manifests};

/// `web` is known to the mesh; it is started here.
fn known() -> Builder {
    let builder = Mesh::builder().service("product", &["v1", "v2"]).absent_caller("web");
    builder.proxy_args(&["--drain-grace", "90s"])
}

/// What the control plane says to `web`, with this token in place of its own.
async fn told(mesh: &Mesh, token: &str) -> (Value, String) {
    let mut bootstrap = mesh.control_plane().join("web.shop").await.unwrap();
    let good = bootstrap["join_token"].as_str().unwrap().to_owned();
    bootstrap["join_token"] = json!(token);
    (bootstrap, good)
}

#[tokio::test]
async fn a_token_in_a_file_and_the_environment_are_enough() {
    let policy = "  loadBalancer: {policy: RoundRobin, locality: {mode: PreferLocal}}\n";
    let known = known()
        .file("policy.yaml", &manifests::traffic_policy("product", policy))
        .locality("web", "eu/b")
        .locality("product-v1", "eu/a")
        .locality("product-v2", "eu/b");
    let mesh = known.start().await;
    let (bootstrap, good) = told(&mesh, "stale").await;
    let sidecar = mesh.start_sidecar_in_pod("web", bootstrap).unwrap();
    eventually("the stale token is refused", Duration::from_secs(20), async || {
        ensure!(sidecar.process().log().contains("asked with the service-account token"));
        Ok(())
    })
    .await;
    assert!(sidecar.readiness().await.is_err(), "without a certificate it is not ready");
    std::fs::write(sidecar.mounted("token"), good + "\n").unwrap();
    sidecar.ready().await;
    // Where it is it learns from the control plane: no bootstrap file says so.
    for _ in 0..10 {
        assert!(get(sidecar.entry("product"), "/").await.unwrap().status.is_success());
    }
    let counts = ["product-v1", "product-v2"].map(|name| mesh.app(name).count());
    assert_eq!(counts, [0, 10]);
    assert!(!sidecar.process().log().contains("stale"), "no token is in the log");
}

/// The callers' grace begins with `drain`; what comes after that, the application's end and SIGTERM, takes no time.
#[tokio::test]
async fn drain_keeps_the_way_out_open_and_the_end_is_prompt() {
    let mesh = known().start().await;
    let bootstrap = mesh.control_plane().join("web.shop").await.unwrap();
    let sidecar = mesh.start_sidecar_in_pod("web", bootstrap).unwrap();
    sidecar.ready().await;
    let mut kept = Kept::http1(sidecar.entry("product")).await.unwrap();
    assert!(kept.get("/").await.unwrap().status.is_success());
    let output = sidecar.drain().await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(sidecar.readiness().await.unwrap_err().to_string().contains("draining"));
    let answer = kept.get("/").await.unwrap();
    assert!(answer.status.is_success(), "the application's connections live on");
    assert!(get(sidecar.entry("product"), "/").await.unwrap().status.is_success());
    // The application has ended.
    drop(kept);
    let start = Instant::now();
    let status = sidecar.process().terminate(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
}

/// A sidecar without traffic waits for nothing: neither for its grace, nor for whom it cannot reach.
const PROMPT: Duration = Duration::from_secs(30);

/// The end of a Job: SIGTERM without a drain, also while nobody answers at the control plane's address.
#[tokio::test]
async fn an_idle_sidecar_ends_at_once() {
    let mesh = known().start().await;
    let bootstrap = mesh.control_plane().join("web.shop").await.unwrap();
    let sidecar = mesh.start_sidecar_in_pod("web", bootstrap).unwrap();
    sidecar.ready().await;
    assert!(get(sidecar.entry("product"), "/").await.unwrap().status.is_success());
    mesh.control_plane().process().kill();
    let start = Instant::now();
    let status = sidecar.process().terminate(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < PROMPT, "it took {:?}", start.elapsed());
}
