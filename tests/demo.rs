//! `weft demo`: README's first command, as a person and as a program would use it.

use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Demo, eventually, own_port};

/// On a busy machine with a debug build.
const UP: Duration = Duration::from_secs(180);
const DOWN: Duration = Duration::from_secs(60);

const EDGES: [(&str, &str); 6] = [
    ("gateway", "user"),
    ("gateway", "product"),
    ("gateway", "order"),
    ("order", "user"),
    ("order", "product"),
    ("order", "payment"),
];

#[tokio::test]
async fn the_demo_meshes_everything_says_so_and_leaves_nothing_behind() {
    // Another demo may run at the same time.
    let port = own_port().to_string();
    let args = ["--exit-after", "8s", "-o", "json", "--port", port.as_str()];
    let demo = Demo::start(&args).unwrap();
    let (output, remains) = demo.ended(UP + DOWN).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(remains.list(), Vec::<String>::new());
    let report = output.json();
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["ok"], true, "{}", report["errors"]);
    assert_eq!(report["errors"], Value::Array(Vec::new()));
    assert_edges(&report);
    let workloads = report["workloads"].as_array().unwrap();
    let names: Vec<&str> = workloads.iter().filter_map(|one| one["name"].as_str()).collect();
    for name in ["gateway", "user", "product", "order", "payment"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for workload in workloads {
        assert_eq!(workload["meshed"], true, "{workload}");
        let identity = workload["identity"].as_str().unwrap();
        assert!(identity.starts_with("spiffe://demo.local/ns/shop/sa/"), "{workload}");
    }
    let proxies = &report["proxies"];
    assert_eq!(proxies["connected"], proxies["synced"], "{proxies}");
    assert_eq!(proxies["rejected"], 0, "{proxies}");
    assert!(report["expected_faults"][0]["observed_share"].is_number(), "{report}");
    let shop = report["urls"]["shop"].as_str().unwrap();
    let port = shop.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "{shop} is still open");
}

fn assert_edges(report: &Value) {
    let edges = report["edges"].as_array().unwrap();
    for (source, destination) in EDGES {
        let found = edges
            .iter()
            .find(|edge| edge["source"] == source && edge["destination"] == destination)
            .unwrap_or_else(|| panic!("no edge {source} -> {destination} in {edges:?}"));
        assert!(found["requests"].as_u64().unwrap() > 0, "{found}");
        assert_eq!(found["mtls_share"].as_f64(), Some(1.0), "{found}");
        assert!(found["p50_ms"].as_f64().unwrap() > 0.0, "{found}");
    }
    let outside = edges.iter().find(|edge| edge["source"] == "outside").unwrap();
    assert_eq!(outside["destination"], "gateway", "the load is a plain client: {outside}");
    assert_ne!(outside["mtls_share"].as_f64(), Some(1.0), "{outside}");
    let mesh = edges.iter().filter(|edge| edge["mesh"] == true).count();
    assert_eq!(mesh, EDGES.len(), "{edges:?}");
}

/// The moments are those at which so many processes are there: none yet, the first, half of them.
#[tokio::test]
async fn an_interrupt_while_it_starts_leaves_nothing_behind() {
    for moment in [1, 2, 8] {
        let demo = Demo::start(&[]).unwrap();
        eventually("it has begun", UP, async || {
            let count = demo.processes().len();
            ensure!(count >= moment && demo.heeds_interrupts()?, "{count} processes");
            Ok(())
        })
        .await;
        demo.signal(Signal::SIGINT).unwrap();
        let (output, remains) = demo.ended(DOWN).await;
        assert!(!output.stderr.contains("panicked"), "{output:?}");
        assert_eq!(remains.list(), Vec::<String>::new(), "with {moment} processes");
    }
}

#[tokio::test]
async fn while_it_runs_edits_take_effect_and_a_killed_sidecar_comes_back() {
    // A port that nobody else would use by chance, taken before the demo wants it.
    let _occupied = std::net::TcpListener::bind("127.0.0.1:20888");
    let demo = Demo::start(&["-o", "json", "--rate", "40", "--port", "20888"]).unwrap();
    eventually("the demo is up", UP, async || {
        let stat = demo.weft(&["stat", "edges", "-o", "json"]).await;
        let stat: Value = serde_json::from_str(&stat.stdout).context(stat.stderr)?;
        let edges = stat["edges"].as_array().map_or(0, Vec::len);
        ensure!(edges >= EDGES.len(), "{stat}");
        Ok(())
    })
    .await;

    let canary = demo.manifests().join("product-canary.yaml");
    let text = std::fs::read_to_string(&canary).unwrap();
    let edited = text.replace("weight: 90", "weight: 0").replace("weight: 10\n", "weight: 100\n");
    assert_ne!(edited, text);
    std::fs::write(&canary, edited).unwrap();
    eventually("v2 takes all of product", Duration::from_secs(20), async || {
        let stat = demo.weft(&["stat", "routes", "-t", "2s", "-o", "json"]).await.json();
        let routes = stat["routes"].as_array().cloned().unwrap_or_default();
        let to = |backend: &str| {
            let matching = routes.iter().filter(|route| {
                route["backend"].as_str().is_some_and(|name| name.starts_with(backend))
            });
            matching.filter_map(|route| route["requests"].as_u64()).sum::<u64>()
        };
        ensure!(to("product-v1") == 0 && to("product-v2") > 0, "{stat}");
        Ok(())
    })
    .await;

    let sidecar = |demo: &Demo| {
        let processes = demo.processes().into_iter();
        let mut of_order = processes.filter(|(_, line)| line.contains("proxies/order.shop"));
        of_order.next().map(|(pid, _)| pid)
    };
    let killed = sidecar(&demo).expect("order has a sidecar");
    nix::sys::signal::kill(killed, Signal::SIGKILL).unwrap();
    eventually("it is back and all is well", Duration::from_secs(20), async || {
        let now = sidecar(&demo).context("no sidecar")?;
        ensure!(now != killed, "it is the same");
        let check = demo.weft(&["check"]).await;
        ensure!(check.code == Some(0), "{}", check.stdout);
        Ok(())
    })
    .await;

    demo.signal(Signal::SIGINT).unwrap();
    let (output, remains) = demo.ended(DOWN).await;
    assert_eq!(remains.list(), Vec::<String>::new());
    assert!(output.stderr.contains("order"), "the death is told: {}", output.stderr);
    assert!(output.stderr.contains("port 20888 is in use"), "the shift is told: {}", output.stderr);
    let report = output.json();
    let restarts = report["restarts"].to_string();
    assert!(restarts.contains("sidecar of order"), "{restarts}");
    assert_edges(&report);
}
