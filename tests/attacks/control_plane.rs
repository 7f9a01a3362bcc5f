//! S27: what users may write and what proxies, strangers and thieves of an identity may ask of the control plane. What is
//! too large or not theirs is refused, costs little memory, and others are served meanwhile.

mod objects;
mod streams;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::mib;
use crate::harness::manifests::traffic_policy;
use crate::harness::{Builder, Mesh, eventually, get};

const HOUR: Duration = Duration::from_secs(3600);
/// From the edit of a file to its effect on requests, on a machine that has other things to do.
const LIVE: Duration = Duration::from_secs(60);

fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway")
}

/// Everybody else gets changes: a route that names this round is in force at the gateway. Returns how long it took.
async fn others_are_served(mesh: &Mesh, round: usize) -> Duration {
    let route = crate::harness::manifests::http_route(
        "product",
        "product",
        &format!(
            "  - filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-round, value: '{round}'}}]}}}}]\n    backendRefs: [{}]\n",
            crate::harness::manifests::backend("product", 1)
        ),
    );
    mesh.write("round.yaml", &route);
    let (entry, started) = (mesh.entry("gateway", "product"), Instant::now());
    eventually("the change is in force", LIVE, async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.header("x-round") == round.to_string(), "{answer:?}");
        Result::Ok(())
    })
    .await;
    started.elapsed()
}

/// What it has cost the control plane so far, printed; fails if it is over `limit` MiB.
fn costs(mesh: &Mesh, what: &str, before: u64, limit: f64) {
    let process = mesh.control_plane().process();
    let grown = mib(process.peak().saturating_sub(before));
    eprintln!("S27 {what}: {grown:.1} MiB more at the most, {:.1} MiB now", mib(process.rss()));
    assert!(grown <= limit, "{what}: {grown} MiB of {limit}");
    let log = process.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// A policy of another namespace that selects the same names.
fn policy_of(namespace: &str) -> String {
    traffic_policy("product", "  limits: {requests: 1}\n")
        .replace("namespace: shop", &format!("namespace: {namespace}"))
}
