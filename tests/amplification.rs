//! Retries do not multiply from tier to tier.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Mesh, get};

/// Requests a second. What is not optimised cannot carry as many on a busy machine, where their pile would be what is
/// measured; the budget's floor is the same share of them. `tests/run --all` runs it optimised.
const RATE: u32 = if cfg!(debug_assertions) { 40 } else { 200 };
const REQUESTS: usize = 8 * RATE as usize;

/// gateway → front → middle → leaf, and every caller retries 503 twice. The leaf answers nothing else. With attempts
/// alone it would see 27 requests for each, with budgets of a fifth 1.73.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "the figures are what it is for")]
async fn three_tiers_that_all_retry_do_not_bury_the_one_that_is_down() {
    let policy = format!(
        "  retries: {{attempts: 2, conditions: ['503'], budget: {{minRetriesPerSecond: {}}}}}
  outlierDetection: {{consecutiveFailures: 0}}\n",
        RATE / 20
    );
    let mut builder = Mesh::builder()
        .serving_caller("front")
        .serving_caller("middle")
        .service("leaf", &["v1"])
        .caller("gateway");
    for service in ["front", "middle", "leaf"] {
        builder = builder.file(&format!("{service}.yaml"), &traffic_policy(service, &policy));
    }
    let mesh = builder.start().await;
    for (tier, next) in [("front", "middle"), ("middle", "leaf")] {
        let workload = format!("{tier}-v1");
        let next = mesh.entry(&workload, next);
        mesh.app(&workload).script(move |_| Act::Call(next));
    }
    mesh.app("leaf-v1").script(|_| Act::Status(503));
    let entry = mesh.entry("gateway", "front");
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS {
        ticks.tick().await;
        requests.spawn(async move { get(entry, "/").await });
    }
    // What a sidecar says of an answer of its own; nothing of the leaf's.
    let mut words = std::collections::BTreeMap::<String, usize>::new();
    for answer in requests.join_all().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        *words.entry(answer.header("proxy-status").to_owned()).or_default() += 1;
    }
    let seen = |tier: &str| mesh.app(&format!("{tier}-v1")).count();
    let (front, middle, leaf) = (seen("front"), seen("middle"), seen("leaf"));
    println!("{REQUESTS} requests: front {front}, middle {middle}, leaf {leaf}; {words:?}");
    assert!(leaf > REQUESTS + REQUESTS / 20, "{leaf}: nothing was retried");
    assert!(leaf * 10 <= REQUESTS * 13, "{leaf} requests at the leaf for {REQUESTS}");
}
