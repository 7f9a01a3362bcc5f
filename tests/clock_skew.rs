//! Clocks that differ by a minute are harmless, whoever's is wrong and in which direction.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

use crate::harness::{Builder, Mesh, eventually, get};

const MINUTE: i64 = 60;
const DEADLINE: Duration = Duration::from_secs(40);

fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway").mtls("STRICT")
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Of a sidecar's certificate: its end, and how much it says is left.
async fn certificate(mesh: &Mesh, workload: &str) -> Result<(i64, i64)> {
    let answer = mesh.proxy(workload).admin().get("/v1/config/certificate").await?;
    ensure!(answer["valid"] == true, "{workload}: {answer}");
    let number = |field: &str| answer[field].as_i64().unwrap_or_default();
    Ok((number("not_after"), number("seconds_left")))
}

/// By how much the sidecar's clock is ahead, by its own words.
async fn ahead(mesh: &Mesh, workload: &str) -> i64 {
    let (end, left) = certificate(mesh, workload).await.unwrap();
    (end - left) - now()
}

#[tokio::test]
async fn a_minute_ahead_or_behind_on_any_side_fails_no_call() {
    for (whose, by) in [
        ("", MINUTE),
        ("", -MINUTE),
        ("gateway", MINUTE),
        ("gateway", -MINUTE),
        ("product-v1", MINUTE),
        ("product-v1", -MINUTE),
    ] {
        let mesh = match whose {
            "" => shop().control_plane_clock(by),
            workload => shop().clock(workload, by),
        };
        let mesh = mesh.leaf_lifetime("600s").start().await;
        let (end, _) = certificate(&mesh, "gateway").await.unwrap();
        let (off, expected) = match whose {
            // Its clock is in the certificates that it issues.
            "" => (end - now() - 600, by),
            workload => (ahead(&mesh, workload).await, by),
        };
        assert!(
            (off - expected).abs() <= 25,
            "the clock of {whose:?} is {off} s off, not {expected}"
        );
        let mut failed = 0;
        for _ in 0..20 {
            let answer = get(mesh.entry("gateway", "product"), "/").await.unwrap();
            failed += u32::from(answer.status != 200);
        }
        let who = if whose.is_empty() { "control plane" } else { whose };
        eprintln!("clock of {who:<13} {by:+} s: {failed} of 20 calls failed");
        assert_eq!(failed, 0);
    }
}

/// Life 90 s, of which a control plane that is a minute behind leaves 30 s: renewed after 15 to 21 s, and served all the
/// while. By the other's clock it would be after 45 s at the earliest.
#[tokio::test]
async fn renewal_goes_by_what_is_left_and_not_by_the_other_sides_clock() {
    let mesh = shop().control_plane_clock(-MINUTE).leaf_lifetime("90s").start().await;
    let entry = mesh.entry("gateway", "product");
    let (first, left) = certificate(&mesh, "gateway").await.unwrap();
    assert!(left <= 30, "{left} s are left");
    let (mut calls, mut failed) = (0, 0);
    let renewed = eventually("it is renewed", DEADLINE, async || {
        let answer = get(entry, "/").await?;
        (calls, failed) = (calls + 1, failed + i32::from(answer.status != 200));
        let (end, _) = certificate(&mesh, "gateway").await?;
        ensure!(end > first, "not yet");
        Ok(end - first)
    })
    .await;
    eprintln!("renewed {renewed} s after the first; {failed} of {calls} calls failed");
    assert!((15..=29).contains(&renewed), "after half to seven tenths of 30 s: {renewed}");
    assert_eq!(failed, 0);
}
