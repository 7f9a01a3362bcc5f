//! Who gets the requests, by each balancer, through real sidecars.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use http::Method;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Load, Mesh, Tally, eventually, get, http1, request};

const VERSIONS: [&str; 10] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9"];
const SLOW: &str = "product-v3";
const FAILING: &str = "product-v7";
/// How long a good endpoint takes.
const SERVES: Duration = Duration::from_millis(50);

/// Ten endpoints, one ten times slower, one failing at once. Ejection is off, so that only the balancer is looked at.
/// Latencies are printed, counts are asserted: a busy machine bends the former, and they are long so that it bends them
/// less. With at most a hundredth to the slow one the p99 is one of the good ones'.
#[tokio::test]
async fn peak_ewma_avoids_the_slow_and_the_fast_failing() {
    let mesh = Mesh::builder()
        .service("product", &VERSIONS)
        .caller("gateway")
        .file("policy.yaml", &policy("RoundRobin"))
        .start()
        .await;
    for app in mesh.apps() {
        match app.workload() {
            SLOW => app.script(|_| Act::Delay(SERVES * 10)),
            FAILING => app.script(|_| Act::Status(503)),
            _ => app.script(|_| Act::Delay(SERVES)),
        }
    }
    let turns = measure(&mesh, "RoundRobin").await;
    mesh.write("policy.yaml", &policy("PeakEwma"));
    // Where a machine stands still, good endpoints look as slow as the slow one for a while: the best of some counts.
    let is_good = |shares: &Shares| shares.slow < 0.04 && shares.failing <= 0.01;
    let mut ewma = Vec::new();
    while ewma.len() < 6 && !ewma.iter().any(is_good) {
        ewma.push(measure(&mesh, "PeakEwma").await);
    }
    // A tenth each if nobody looks.
    assert!((0.07..0.13).contains(&turns.slow), "{turns:?}");
    assert!((0.07..0.13).contains(&turns.failing), "{turns:?}");
    assert!(ewma.iter().any(is_good), "{ewma:?}");
}

#[tokio::test]
async fn a_key_stays_with_its_endpoint() {
    let policy =
        "  loadBalancer: {policy: RingHash, hashOn: [{header: x-user}, {cookie: {name: sid}}]}\n";
    let mesh = Mesh::builder()
        .service("product", &["v0", "v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let ask = async |header: (&str, &str)| {
        let answer = http1(entry, request(Method::GET, "/", &[header], "")).await.unwrap();
        answer.workload()
    };
    let mut owners = BTreeMap::new();
    // Shares of a ring are uneven: of 120 keys, 24 of which would leave an endpoint out once in some thousand runs.
    for user in 0..120 {
        let user = format!("user-{user}");
        let owner = ask(("x-user", &user)).await;
        assert_eq!(ask(("x-user", &user)).await, owner, "{user}");
        assert_eq!(ask(("cookie", &format!("a=b; sid={user}"))).await, owner, "the same key");
        owners.insert(user, owner);
    }
    let used: BTreeSet<_> = owners.values().collect();
    assert_eq!(used.len(), 3, "{owners:?}");
    // Who goes takes its own keys along and hardly any of the others'.
    mesh.remove_workload("product-v1").await;
    eventually("it is gone", Duration::from_secs(5), async || {
        let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
        ensure!(!endpoints.to_string().contains("product-v1"), "{endpoints}");
        Ok(())
    })
    .await;
    let mut moved = 0;
    for (user, owner) in owners.iter().filter(|(_, owner)| *owner != "product-v1") {
        moved += usize::from(ask(("x-user", user)).await != *owner);
    }
    assert!(moved <= owners.len() / 4, "{moved} moved");
}

#[tokio::test]
async fn a_session_stays_with_its_endpoint_until_that_is_gone() {
    let policy = "  loadBalancer: {policy: RoundRobin}
  sessionAffinity: {cookie: {name: sid, ttl: 1h}}\n";
    let mesh = Mesh::builder()
        .service("product", &["v0", "v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let first = get(entry, "/").await.unwrap();
    let cookie = first.header("set-cookie").to_owned();
    assert!(cookie.starts_with("sid=\"") && cookie.ends_with("; Max-Age=3600; Path=/; HttpOnly"));
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let ask = async |cookie: &str| {
        let headers = [("cookie", cookie)];
        http1(entry, request(Method::GET, "/", &headers, "")).await.unwrap()
    };
    for _ in 0..6 {
        let again = ask(&cookie).await;
        assert_eq!(again.workload(), first.workload());
        assert_eq!(again.header("set-cookie"), "", "it has not changed");
    }
    let others: BTreeSet<_> = [get(entry, "/").await, get(entry, "/").await]
        .map(|answer| answer.unwrap().workload())
        .into();
    assert!(others.iter().any(|other| *other != first.workload()), "{others:?}");
    mesh.remove_workload(&first.workload()).await;
    eventually("it is gone", Duration::from_secs(5), async || {
        let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
        ensure!(!endpoints.to_string().contains(&first.workload()), "{endpoints}");
        Ok(())
    })
    .await;
    let elsewhere = ask(&cookie).await;
    assert_eq!(elsewhere.status, 200);
    assert_ne!(elsewhere.workload(), first.workload());
    let fresh = elsewhere.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_ne!((fresh.as_str(), fresh.is_empty()), (cookie.as_str(), true));
    assert_eq!(ask(&fresh).await.workload(), elsewhere.workload());
}

#[tokio::test]
async fn the_near_ones_come_first_and_the_far_ones_help_out() {
    let policy = "  loadBalancer: {policy: RoundRobin, locality: {mode: PreferLocal}}
  outlierDetection: {consecutiveFailures: 1, baseEjection: 5m, maxEjectedPercent: 100}\n";
    let mesh = Mesh::builder()
        .service("product", &["v0", "v1", "v2", "v3"])
        .caller("gateway")
        .locality("gateway", "eu/a")
        .locality("product-v0", "eu/a")
        .locality("product-v1", "eu/a")
        .locality("product-v2", "eu/b")
        .locality("product-v3", "us/a")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let ask = async |times: usize| {
        let mut answers = BTreeMap::<String, usize>::new();
        for _ in 0..times {
            let answer = get(entry, "/").await.unwrap();
            let who = if answer.status == 200 { answer.workload() } else { "failed".into() };
            *answers.entry(who).or_default() += 1;
        }
        answers
    };
    let near = ask(40).await;
    assert_eq!(near.keys().collect::<Vec<_>>(), ["product-v0", "product-v1"], "{near:?}");
    // Half of the near ones can take 70 %; the rest goes to the same region.
    mesh.app("product-v0").script(|_| Act::Status(500));
    eventually("it is ejected", Duration::from_secs(5), async || {
        ensure!(!ask(4).await.contains_key("failed"), "not yet");
        Ok(())
    })
    .await;
    let spilled = ask(200).await;
    assert_eq!(spilled.keys().collect::<Vec<_>>(), ["product-v1", "product-v2"], "{spilled:?}");
    assert!((12..110).contains(&spilled["product-v2"]), "{spilled:?}");
    // Without them the region takes all, and then the world.
    mesh.app("product-v1").script(|_| Act::Status(500));
    mesh.app("product-v2").script(|_| Act::Status(500));
    eventually("only the far one is left", Duration::from_secs(5), async || {
        let answers = ask(20).await;
        ensure!(answers.keys().eq(["product-v3"]), "{answers:?}");
        Ok(())
    })
    .await;
}

fn policy(balancer: &str) -> String {
    let spec = format!(
        "  loadBalancer: {{policy: {balancer}}}
  outlierDetection: {{consecutiveFailures: 0}}\n"
    );
    traffic_policy("product", &spec)
}

/// Shares of the requests.
#[derive(Debug)]
struct Shares {
    slow: f64,
    failing: f64,
}

async fn measure(mesh: &Mesh, balancer: &str) -> Shares {
    eventually("the policy is in force", Duration::from_secs(5), async || {
        let clusters = mesh.proxy("gateway").admin().get("/v1/config/clusters").await?;
        let all = clusters.as_array().cloned().unwrap_or_default();
        let in_force = all.iter().any(|cluster| {
            cluster["cluster"] == "product.shop:8080" && cluster["balancer"] == balancer
        });
        ensure!(in_force, "{clusters}");
        Ok(())
    })
    .await;
    let entry = mesh.entry("gateway", "product");
    // Who is what must be found out first.
    let mut learning = Load::start(entry, 100);
    learning.passes(150).await;
    learning.stop().await;
    let before = counts(mesh);
    let mut load = Load::start(entry, 100);
    load.passes(600).await;
    let tally = load.stop().await;
    let shares = shares(&before, &counts(mesh), &tally);
    eprintln!(
        "{balancer:>10}: p50 {:?}, p99 {:?} of {}, {shares:?}",
        tally.p50(),
        tally.p99(),
        tally.count()
    );
    shares
}

fn counts(mesh: &Mesh) -> [usize; 2] {
    [mesh.app(SLOW).count(), mesh.app(FAILING).count()]
}

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn shares(before: &[usize; 2], after: &[usize; 2], tally: &Tally) -> Shares {
    let share = |which: usize| (after[which] - before[which]) as f64 / tally.count() as f64;
    Shares { slow: share(0), failing: share(1) }
}
