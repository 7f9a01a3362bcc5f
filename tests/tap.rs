//! `weft tap`: requests as they end, from real sidecars through the real control plane to the real command line.

use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Act, Load, Mesh, Output, Process, eventually, get};

const DEADLINE: Duration = Duration::from_secs(20);

async fn shop() -> Mesh {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .service("payment", &["v1"])
        .caller("gateway")
        .start()
        .await;
    mesh.app("payment-v1").script(|_| Act::Status(503));
    mesh
}

fn requests(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One request of each kind, again and again until `weft` has ended.
async fn watched(mesh: &Mesh, args: &[&str]) -> Output {
    let args = [&["tap", "-o", "json"], args].concat();
    let weft = mesh.weft(&args);
    let traffic = async {
        loop {
            for (service, path) in [
                ("product", "/carts/7?card=unseen-by-anybody"),
                ("product", "/"),
                ("payment", "/charge"),
            ] {
                get(mesh.entry("gateway", service), path).await.unwrap();
            }
        }
    };
    tokio::select! {
        output = weft => output,
        () = traffic => unreachable!(),
    }
}

#[tokio::test]
async fn filters_show_what_is_wanted_and_nothing_else() {
    let mesh = shop().await;
    type Is = fn(&Value) -> bool;
    let cases: [(&[&str], Is); 8] = [
        (&[], |_| true),
        (&["product"], |one| one["workload"] == "product-v1.shop"),
        (&["gateway", "--to", "payment.shop"], |one| one["service"] == "payment.shop:8080"),
        (&["--path", "/carts"], |one| one["path"] == "/carts/7"),
        (&["--status", "5xx"], |one| one["status"] == 503),
        (&["--status", "200", "--method", "get"], |one| one["status"] == 200),
        (&["--errors"], |one| one["status"] == 503),
        (&["--identity", "shop/gateway"], |one| {
            one["direction"] == "inbound"
                && one["peer_identity"] == "spiffe://mesh.test/ns/shop/sa/gateway"
        }),
    ];
    for (filter, is_wanted) in cases {
        let output = watched(&mesh, &[filter, &["--max", "6"]].concat()).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        let found = requests(&output);
        assert_eq!(found.len(), 6, "{output:?}");
        assert!(found.iter().all(is_wanted), "{filter:?}: {}", output.stdout);
        assert!(!output.stdout.contains("unseen-by-anybody"), "no query is shown");
    }
}

#[tokio::test]
async fn it_ends_when_it_is_told_to_and_with_the_control_plane() {
    let mesh = shop().await;
    let lines = watched(&mesh, &["--for", "1s"]).await;
    assert_eq!(lines.code, Some(0), "{lines:?}");
    assert!(lines.stderr.contains("requests shown"), "{lines:?}");
    let weft = mesh.start_weft(&["tap"], "tap.log");
    shown(&mesh, &weft).await;
    weft.signal(Signal::SIGINT);
    assert!(weft.ended(DEADLINE).await.success());
    let weft = mesh.start_weft(&["tap"], "tap-again.log");
    shown(&mesh, &weft).await;
    mesh.control_plane().process().kill();
    assert_eq!(weft.ended(DEADLINE).await.code(), Some(1));
    assert!(weft.log().contains("shows no more"), "{}", weft.log());
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
}

async fn shown(mesh: &Mesh, weft: &Process) {
    eventually("a request is shown", DEADLINE, async || {
        get(mesh.entry("gateway", "product"), "/").await?;
        ensure!(weft.log().contains("GET /  200"), "{}", weft.log());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_too_much_is_counted_and_costs_no_request() {
    let mesh = shop().await;
    let mut load = Load::start(mesh.entry("gateway", "product"), 300);
    load.passes(50).await;
    let start = Instant::now();
    let output = mesh.weft(&["tap", "gateway", "--most", "5", "--for", "3s", "-o", "json"]).await;
    let tally = load.stop().await;
    tally.assert_no_failures();
    let shown = requests(&output).len();
    let most = 5 * (2 + usize::try_from(start.elapsed().as_secs()).unwrap());
    assert!((1..=most).contains(&shown), "{shown} of 5 a second");
    let dropped: u64 = output
        .stderr
        .split("shown, ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap();
    assert!(dropped > shown as u64, "{output:?}");
    println!("{shown} shown, {dropped} counted");
}

#[tokio::test]
async fn whoever_is_asked_for_and_is_not_there_is_named() {
    let mesh = shop().await;
    let output = mesh.weft(&["tap", "nobody"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("no workload is called"), "{output:?}");
}
