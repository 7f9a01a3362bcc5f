//! S20: more connections than there are file descriptors. Accepting backs off, who has a connection goes on, the health
//! port and the admin socket answer, and when the crowd has gone everything is as before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::crowd::{Crowd, saying};
use super::{mib, pair};
use crate::harness::{Kept, Load, Mesh, eventually, get, raise_file_limit};

const FILES: usize = 1024;
const CROWD: usize = 9_000;
const TIME: Duration = Duration::from_secs(10);
/// Who says nothing for so long is idle, where files are short.
const IDLE: Duration = Duration::from_secs(1);

/// The sidecar of one workload has 1,024 descriptors and gets 9,000 connections: silent ones, and ones that have begun a
/// head.
#[tokio::test]
async fn nine_thousand_connections_leave_1024_descriptors_to_others() {
    raise_file_limit();
    for (what, words) in
        [("silent", &b""[..]), ("half a head", b"GET / HTTP/1.1\r\nHost: a\r\nX: ")]
    {
        for side in ["inbound", "outbound"] {
            flood(what, words, side).await;
        }
    }
}

async fn flood(what: &str, words: &[u8], side: &str) {
    let attacked = if side == "inbound" { "product-v1" } else { "gateway" };
    let mesh = pair().prepared(attacked, &format!("ulimit -n {FILES}")).start().await;
    let sidecar = mesh.proxy(attacked);
    let to = match side {
        "inbound" => sidecar.inbound(),
        _ => mesh.entry("gateway", "product"),
    };
    let mut load = Load::start(mesh.entry("gateway", "product"), 50);
    load.passes(50).await;
    sidecar.forget_peak();
    let (before, cpu, started) = (sidecar.rss(), cpu_seconds(&mesh, attacked), Instant::now());
    let kept = tokio::spawn(keep(to, TIME));
    let crowd = Crowd::gather(to, CROWD, 2, &saying(words));
    let (mut most, mut slowest, mut gap) = (0, Duration::ZERO, Duration::ZERO);
    let mut looked = Instant::now();
    // All of them have come, and some again.
    while started.elapsed() < TIME || crowd.connected() < CROWD {
        assert!(started.elapsed() < 30 * TIME, "{} of them came", crowd.connected());
        let asked = Instant::now();
        sidecar.readiness().await.expect("the health port answers");
        sidecar.admin().get("/v1/stats").await.expect("the admin socket answers");
        slowest = slowest.max(asked.elapsed());
        most = most.max(sidecar.open_files());
        gap = gap.max(std::mem::replace(&mut looked, Instant::now()).elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(most > FILES / 2 && most < FILES, "{most} descriptors were used");
    let (cpu, time) = (cpu_seconds(&mesh, attacked) - cpu, started.elapsed());
    let (connected, ended) = (crowd.connected(), crowd.ended());
    let (served, broken) = kept.await.unwrap();
    drop(crowd);
    let tally = load.stop().await;
    let failed = tally.failures().len();
    let log = sidecar.process().logged(&["files are short"]).await;
    let said = log.lines().filter(|line| line.contains("files are short")).count();
    eprintln!(
        "S20 {side}, {what}: {connected} came, {ended} ended; {most} of {FILES} descriptors; {:.1} MiB more; CPU {cpu:.1} s of {time:?}; health and admin within {slowest:?}; load: {failed} of {} failed, p50 {:?}, p99 {:?}; on a kept connection {served} served, {broken} broke off; said {said} times; longest gap {gap:?}",
        mib(sidecar.peak().saturating_sub(before)),
        tally.count(),
        tally.p50(),
        tally.p99(),
    );
    // Every ten seconds at the most.
    let times = 10 + usize::try_from(time.as_secs() / 10).unwrap();
    assert!((1..=times).contains(&said), "it is said, but not for each connection: {log}");
    // Where a machine stood still, and asked for nothing meanwhile, kept connections counted as idle: their owners were turned
    // away with the others.
    let is_fair = gap < IDLE / 2;
    assert!(served > broken || !is_fair, "{broken} of {served} on a kept connection");
    // New connections of the very application that floods its sidecar are turned away with the others.
    if side == "inbound" && is_fair {
        assert!(failed * 10 <= tally.count(), "{:?}", tally.failures());
    }
    eventually("descriptors are free again", Duration::from_secs(10), async || {
        ensure!(sidecar.open_files() < 200, "{}", sidecar.open_files());
        Result::Ok(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(get(to, "/").await.unwrap().status, 200, "it serves new connections");
    }
}

/// Asks on one connection, as somebody who was there before; another only when it breaks. How often it was answered, and how
/// often not.
async fn keep(to: SocketAddr, time: Duration) -> (usize, usize) {
    let (mut served, mut broken) = (0, 0);
    let end = Instant::now() + time;
    let mut kept = None;
    while Instant::now() < end {
        let asked = match kept.take() {
            Some(connection) => Ok(connection),
            None => Kept::http1(to).await,
        };
        let answered = match asked {
            Ok(mut connection) => {
                connection.get("/").await.map(|answer| (connection, answer.status))
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok((connection, status)) if status == 200 => {
                served += 1;
                kept = Some(connection);
            }
            _ => broken += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (served, broken)
}

/// Of user and system, by the clock of the kernel's ticks (100 a second).
fn cpu_seconds(mesh: &Mesh, workload: &str) -> f64 {
    let pid = mesh.proxy(workload).process().pid().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
