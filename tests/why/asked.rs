//! The ways to ask, besides by the id of one request.

use std::time::Duration;

use anyhow::ensure;
use http::Method;
use serde_json::Value;

use super::{edge_is_explained, why};
use crate::harness::{Act, Mesh, eventually, get, http1, request};

const DEADLINE: Duration = Duration::from_secs(10);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Gateway calls order, order calls payment, payment fails.
async fn three_tiers() -> Mesh {
    let mesh = Mesh::builder()
        .serving_caller("order")
        .service("payment", &["v1"])
        .caller("gateway")
        .start()
        .await;
    let payment = mesh.entry("order-v1", "payment");
    mesh.app("order-v1").script(move |_| Act::Call(payment));
    mesh.app("payment-v1").script(|_| Act::Status(503));
    mesh
}

#[tokio::test]
async fn of_several_hops_the_innermost_is_explained() {
    let mesh = three_tiers().await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("traceparent", parent.as_str()), ("x-request-id", "mine")];
    let asked = request(Method::GET, "/checkout?secret=1", &headers, "");
    let answer = http1(mesh.entry("gateway", "order"), asked).await.unwrap();
    assert_eq!(answer.status, 503);
    for id in [answer.header("x-request-id"), TRACE] {
        let found = edge_is_explained(&mesh, &[id], "application-error").await;
        assert_eq!(found["object"], "payment-v1.shop", "{found}");
        assert_eq!(
            found["trail"],
            serde_json::json!(["gateway.shop", "order-v1.shop", "payment-v1.shop"])
        );
        assert_eq!(found["outbound"]["workload"], "order-v1.shop");
        assert_eq!(found["inbound"]["workload"], "payment-v1.shop");
        assert!(!found.to_string().contains("secret"), "no query is kept");
        let golden = include_str!("../../cli/src/why/golden/failed.json");
        let golden: Value = serde_json::from_str(golden).unwrap();
        let fields = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(fields(&found), fields(&golden), "{found}");
    }
    let text = mesh.weft(&["why", "mine"]).await;
    assert_eq!(text.code, Some(3), "{text:?}");
    for expected in [
        "gateway.shop → order-v1.shop → payment-v1.shop",
        "1 intercepted",
        "7 outcome",
        "application-error  payment-v1.shop",
        "try:",
    ] {
        assert!(text.stdout.contains(expected), "no {expected} in:\n{}", text.stdout);
    }
    println!("{}", text.stdout);
}

#[tokio::test]
async fn by_who_called_what_and_what_nobody_remembers() {
    let mesh = three_tiers().await;
    let found = why(&mesh, &["order", "payment", "--path", "/charge"]).await.unwrap();
    assert_eq!(
        (&found["fault"], &found["whose"]),
        (&"nothing".into(), &"nobody".into()),
        "{found}"
    );
    get(mesh.entry("order-v1", "payment"), "/charge").await.unwrap();
    get(mesh.entry("gateway", "payment"), "/other").await.unwrap();
    let found =
        edge_is_explained(&mesh, &["order", "payment", "--path", "/charge"], "application-error")
            .await;
    assert_eq!(found["outbound"]["workload"], "order-v1.shop");
    edge_is_explained(&mesh, &["--to", "payment", "--path", "/other"], "application-error").await;
    eventually("both sides remember both requests", DEADLINE, async || {
        let all = why(&mesh, &[]).await?;
        ensure!(list(&all["requests"]).len() >= 4, "{all}");
        Ok(())
    })
    .await;
    for (args, fault) in [
        (&["order", "payment:81"][..], "wrong-port"),
        (&["order", "nobody"], "wrong-port"),
        (&["order", "order"], "nothing"),
    ] {
        let found = why(&mesh, args).await.unwrap();
        assert_eq!(found["fault"], fault, "{args:?}: {found}");
    }
    let unknown = mesh.weft(&["why", "never-seen"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("no sidecar remembers never-seen"), "{unknown:?}");
    let nobody = mesh.weft(&["why", "nobody", "payment"]).await;
    assert!(nobody.stderr.contains("no workload is called"), "{nobody:?}");
}

#[tokio::test]
async fn a_caller_without_a_sidecar_at_a_strict_port() {
    let mesh = Mesh::builder().service("product", &["v1"]).mtls("STRICT").start().await;
    assert!(get(mesh.proxy("product-v1").inbound(), "/").await.is_err());
    let found = edge_is_explained(&mesh, &["--to", "product"], "plaintext-refused").await;
    assert_eq!(found["object"], "MeshConfig/weft-system/default", "{found}");
}

#[tokio::test]
async fn a_slow_request_is_remembered_and_a_good_one_is_not() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    mesh.app("product-v1").script(|seen| match seen.path.as_str() {
        "/slow" => Act::Delay(Duration::from_millis(300)),
        _ => Act::Echo,
    });
    let entry = mesh.entry("gateway", "product");
    for path in ["/good", "/slow"] {
        assert_eq!(get(entry, path).await.unwrap().status, 200);
    }
    let all = eventually("both sides remember the slow one", DEADLINE, async || {
        let all = why(&mesh, &[]).await?;
        let slow = list(&all["requests"]).iter().filter(|one| one["path"] == "/slow");
        ensure!(slow.count() == 2, "{all}");
        Ok(all)
    })
    .await;
    // On a busy machine the other one may have been slow too, and is then remembered for that and nothing else.
    assert!(list(&all["requests"]).iter().all(|one| one["slow"] == true), "{all}");
    configuration_is_named(&mesh).await;
    let found = edge_is_explained(&mesh, &["gateway", "product", "--path", "/slow"], "slow").await;
    assert_eq!(found["object"], "product-v1.shop", "{found}");
}

/// What is remembered names the configuration as everybody else does.
async fn configuration_is_named(mesh: &Mesh) {
    eventually("both name the same version", DEADLINE, async || {
        let all = why(mesh, &[]).await?;
        let proxy = mesh.control_plane().proxy("gateway.shop").await?;
        let version = proxy["config_version"].as_str().unwrap_or_default();
        let named = list(&all["requests"]).iter().filter(|one| one["workload"] == "gateway.shop");
        let named: Vec<_> = named.map(|one| &one["config_version"]).collect();
        ensure!(!version.is_empty() && !named.is_empty(), "{proxy}");
        ensure!(named.iter().all(|one| **one == version), "{named:?}, {version}");
        Ok(())
    })
    .await;
}
