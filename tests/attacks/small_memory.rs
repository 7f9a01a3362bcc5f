//! A sidecar in a cgroup of 64 MiB, attacked from all sides while it has work: it is never killed. At 85 % it turns away
//! what is new and lets go of who only waits; what gets through is served, and afterwards everything is as before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::crowd::{Crowd, Words, client_hello, dripping, saying};
use super::{bombs, mib, pair};
use crate::harness::{
    Act, Cgroup, Load, Mesh, Sidecar, Tally, eventually, get, loud, raise_file_limit,
};

const LIMIT: u64 = 64 << 20;
const ATTACK: Duration = Duration::from_secs(25);

/// Who attacks, with how many.
fn attackers(mesh: &Mesh, account: &str) -> Vec<(&'static str, usize, Words)> {
    let head = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(length));
    let body = "POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx";
    vec![
        ("half handshakes", 5_000, saying(client_hello(mesh, account))),
        ("heads of 60 KB, unfinished", 500, saying(head(60_000).into_bytes())),
        ("slow heads", 1_000, dripping(head(10).into_bytes(), Duration::from_secs(1))),
        ("slow bodies", 1_000, dripping(body.as_bytes(), Duration::from_secs(1))),
        ("silent ones", 1_000, saying(&b""[..])),
    ]
}

fn small(attacked: &str) -> Option<Cgroup> {
    raise_file_limit();
    match Cgroup::with_memory(LIMIT) {
        Ok(cgroup) => Some(cgroup),
        Err(error) => {
            loud(&format!(
                "SKIPPED: {attacked} in a small cgroup: none can be made here: {error:#}"
            ));
            None
        }
    }
}

#[tokio::test]
async fn the_receiving_side_outlives_an_attack_in_64_mib() {
    attacked("product-v1", "product").await;
}

#[tokio::test]
async fn the_calling_side_outlives_an_attack_in_64_mib() {
    attacked("gateway", "gateway").await;
}

/// While the attack lasts: how long it shed, and the slowest answer of its health port.
async fn watched(sidecar: &Sidecar) -> (Duration, Duration) {
    let started = Instant::now();
    let (mut shed_for, mut slowest) = (Duration::ZERO, Duration::ZERO);
    while started.elapsed() < ATTACK {
        let asked = Instant::now();
        sidecar.readiness().await.expect("it lives, and its health port answers");
        slowest = slowest.max(asked.elapsed());
        if sidecar.metric("weft_memory_shedding", &[]).await.expect("it lives") > 0.0 {
            shed_for += asked.elapsed() + Duration::from_millis(50);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (shed_for, slowest)
}

/// What was turned away or let go, by kind.
async fn shed(sidecar: &Sidecar) -> Vec<(&'static str, f64)> {
    let mut shed = Vec::new();
    for what in ["connection", "request", "idle", "stalled"] {
        let label = format!("what=\"{what}\"");
        shed.push((what, sidecar.metric("weft_memory_shed_total", &[&label]).await.unwrap()));
    }
    shed
}

async fn attacked(workload: &'static str, account: &str) {
    // Order: gone after its processes.
    let Some(cgroup) = small(workload) else { return };
    let mesh = pair()
        .prepared(workload, &cgroup.enter())
        .proxy_args(&["--http2-stall-timeout", "5s"])
        .start()
        .await;
    let sidecar = mesh.proxy(workload);
    let pid = sidecar.process().pid().unwrap();
    let to = match workload {
        "gateway" => mesh.entry("gateway", "product"),
        _ => sidecar.inbound(),
    };
    let app = mesh.app("product-v1");
    app.script(|seen| match seen.headers.contains_key("x-bomb") {
        true => Act::Stay,
        false => Act::Echo,
    });
    let mut load = Load::start(mesh.entry("gateway", "product"), 50);
    load.passes(100).await;
    let idle = cgroup.usage();
    let crowds: Vec<_> = attackers(&mesh, account)
        .into_iter()
        .map(|(what, many, words)| (what, Crowd::gather(to, many, 20, &words)))
        .collect();
    let bombs = tokio::spawn(bombs::rain(to, ATTACK));
    let started = Instant::now();
    let (shed_for, slowest) = watched(&sidecar).await;
    let tally = load.stop().await;
    let bombs = bombs.await.unwrap();
    for (what, crowd) in &crowds {
        eprintln!("  {what}: {} came, {} are held", crowd.connected(), crowd.held());
    }
    drop(crowds);
    let good = tally.count() - tally.failures().len();
    let shed = shed(&sidecar).await;
    eprintln!(
        "64 MiB, {workload}: idle {:.1} MiB, peak {:.1} MiB; shed for {shed_for:?} of {ATTACK:?}: {shed:?}; {bombs} bombs; good requests {good} of {}, p50 {:?}, p99 {:?}; health within {slowest:?}",
        mib(idle),
        mib(cgroup.peak()),
        tally.count(),
        tally.p50(),
        tally.p99(),
    );
    for (reason, count) in reasons(&tally) {
        eprintln!("  {count} failed: {reason}");
    }
    assert_eq!(cgroup.killed(), 0, "the kernel killed it");
    assert_eq!(sidecar.process().pid().unwrap(), pid, "it is the same process");
    assert!(
        shed.iter().any(|(_, count)| *count > 0.0),
        "the attack was too small to prove anything"
    );
    let log = sidecar.process().logged(&["memory is short"]).await;
    let said = log.lines().filter(|line| line.contains("memory is short")).count();
    // Every ten seconds at the most.
    let times = 2 + usize::try_from(started.elapsed().as_secs() / 10).unwrap();
    assert!((1..=times).contains(&said), "it is said, and not for each connection: {said}");
    recovers(&mesh, workload, to).await;
    assert!(good * 4 >= tally.count(), "{good} of {}", tally.count());
}

/// Why requests failed, and how many for each reason.
fn reasons(tally: &Tally) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for failure in tally.failures() {
        let reason = failure.split_once(": ").map_or("", |(_, reason)| reason);
        let reason = reason.split("details").next().unwrap_or_default().to_owned();
        *reasons.entry(reason).or_default() += 1;
    }
    reasons
}

async fn recovers(mesh: &Mesh, workload: &str, to: SocketAddr) {
    let sidecar = mesh.proxy(workload);
    let started = Instant::now();
    eventually("it serves everybody again", Duration::from_secs(30), async || {
        ensure!(sidecar.metric("weft_memory_shedding", &[]).await? < 1.0, "it sheds");
        let answer = get(to, "/").await?;
        ensure!(answer.status == 200, "{}", answer.status);
        Result::Ok(())
    })
    .await;
    eprintln!("64 MiB, {workload}: everybody is served again after {:?}", started.elapsed());
    let mut load = Load::start(mesh.entry("gateway", "product"), 50);
    load.passes(100).await;
    load.stop().await.assert_no_failures();
}
