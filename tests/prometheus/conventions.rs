//! OpenTelemetry's names, and labels that nobody who sends requests can multiply.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::manifests::{backend, grpc_route, http_route};
use crate::harness::{Act, Grpc, Mesh, Sidecar, TcpApp, eventually, get, http1, http2, request};

const SOON: Duration = Duration::from_secs(10);
const CLIENT: &str = "http_client_request_duration_seconds_count";
const SERVER: &str = "http_server_request_duration_seconds_count";

async fn becomes(sidecar: &Sidecar, name: &str, labels: &[&str], value: f64) {
    eventually(&format!("{name} {labels:?} is {value}"), SOON, async || {
        let found = sidecar.metric(name, labels).await?;
        ensure!(found == value, "{found}: {}", sidecar.metrics().await?);
        Ok(())
    })
    .await;
}

fn routed() -> String {
    let to = format!("    backendRefs: [{}]\n", backend("product", 1));
    let rules = "  - matches:\n    - path: {type: Exact, value: /exact}\n    - path: {type: PathPrefix, value: /shoes}\n".to_owned();
    http_route("shoes", "product", &(rules + &to))
}

#[tokio::test]
async fn requests_are_told_by_the_conventions() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("route.yaml", &routed())
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    mesh.app("product-v1").script(|seen| match seen.path.as_str() {
        "/shoes/503" => Act::Status(503),
        _ => Act::Echo,
    });
    get(entry, "/shoes/1?size=4").await.unwrap();
    get(entry, "/shoes/2").await.unwrap();
    http2(entry, request(Method::POST, "/exact", &[], "x")).await.unwrap();
    get(entry, "/shoes/503").await.unwrap();
    get(entry, "/nowhere").await.unwrap();
    let (gateway, product) = (mesh.proxy("gateway"), mesh.proxy("product-v1"));
    let ours = ["server_address=\"product.shop\"", "server_port=\"8080\""];
    let shoes = [
        "http_route=\"/shoes/*\"",
        "http_request_method=\"GET\"",
        "network_protocol_version=\"1.1\"",
    ];
    let labels = |more: &[&'static str]| [&ours[..], &shoes[..], more].concat();
    becomes(&gateway, CLIENT, &labels(&["http_response_status_code=\"200\""]), 2.0).await;
    let failed = ["http_response_status_code=\"503\"", "error_type=\"503\""];
    // A GET that fails so is tried again.
    eventually("the failure is told", SOON, async || {
        let found = gateway.metric(CLIENT, &labels(&failed)).await?;
        ensure!(found == 1.0, "{}", gateway.metrics().await?);
        Ok(())
    })
    .await;
    let exact =
        ["http_route=\"/exact\"", "http_request_method=\"POST\"", "network_protocol_version=\"2\""];
    becomes(&gateway, CLIENT, &exact, 1.0).await;
    becomes(&gateway, CLIENT, &["error_type=\"route_not_found\""], 1.0).await;
    let served = [
        "url_scheme=\"http\"",
        "network_protocol_version=\"1.1\"",
        "http_response_status_code=\"200\"",
    ];
    becomes(&product, SERVER, &served, 2.0).await;
    let le: BTreeSet<String> = bounds(&gateway.metrics().await.unwrap());
    let expected = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf";
    assert_eq!(le, expected.split(' ').map(str::to_owned).collect());
    // Of the two patterns of one rule there is one edge.
    let requests = gateway.metrics().await.unwrap();
    let edges = requests.lines().filter(|line| {
        line.starts_with("weft_requests_total{") && line.contains("2xx") && line.contains("shoes#")
    });
    assert_eq!(edges.count(), 1, "{requests}");
}

/// Of all histograms of requests.
fn bounds(text: &str) -> BTreeSet<String> {
    let buckets = text.lines().filter(|line| line.starts_with("http_"));
    buckets
        .filter_map(|line| Some(line.split_once("le=\"")?.1.split('"').next()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn calls_of_grpc_are_told_by_code_and_by_the_methods_that_routes_name() {
    let rules = format!(
        "  - matches:\n    - method: {{service: shop.v1.Cart, method: Add}}\n    backendRefs: [{0}]\n  - backendRefs: [{0}]\n",
        backend("cart", 1)
    );
    let mesh = Mesh::builder()
        .service("cart", &["v1"])
        .caller("gateway")
        .file("route.yaml", &grpc_route("carts", "cart", &rules))
        .start()
        .await;
    let mut client = Grpc::connect(mesh.entry("gateway", "cart")).await;
    client.call("/shop.v1.Cart/Add", &[], "x").await.unwrap();
    client.call("/shop.v1.Cart/Remove", &[], "x").await.unwrap();
    mesh.app("cart-v1")
        .script(|_| Act::Head(200, &[("content-type", "application/grpc"), ("grpc-status", "5")]));
    client.call("/shop.v1.Cart/Add", &[], "x").await.unwrap_err();
    let (gateway, cart) = (mesh.proxy("gateway"), mesh.proxy("cart-v1"));
    let count = "rpc_client_call_duration_seconds_count";
    let add = "rpc_method=\"shop.v1.Cart/Add\"";
    becomes(
        &gateway,
        count,
        &[add, "rpc_response_status_code=\"OK\"", "rpc_system_name=\"grpc\""],
        1.0,
    )
    .await;
    becomes(&gateway, count, &[add, "error_type=\"NOT_FOUND\""], 1.0).await;
    becomes(&gateway, count, &[], 3.0).await;
    let count = "rpc_server_call_duration_seconds_count";
    becomes(&cart, count, &["rpc_response_status_code=\"NOT_FOUND\""], 1.0).await;
    becomes(&cart, count, &["error_type"], 0.0).await;
    let told = gateway.metrics().await.unwrap() + &cart.metrics().await.unwrap();
    assert!(!told.contains("Remove"), "only what a route names: {told}");
}

/// Whoever can send requests chooses methods, paths and hosts.
#[tokio::test]
async fn nobody_can_make_series_by_what_he_sends() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    let odd = async |number: u32| {
        let method = Method::from_bytes(format!("BREW{number}").as_bytes()).unwrap();
        let host = format!("host{number}.test");
        let path = format!("/path{number}");
        http1(entry, request(method, &path, &[("host", &host)], "")).await.unwrap();
    };
    odd(0).await;
    let sidecars = [mesh.proxy("gateway"), mesh.proxy("product-v1")];
    let series = async || {
        let mut counts = [0; 2];
        for (count, sidecar) in counts.iter_mut().zip(&sidecars) {
            *count = sidecar.metrics().await.unwrap().lines().count();
        }
        counts
    };
    becomes(&sidecars[0], CLIENT, &["http_request_method=\"_OTHER\""], 1.0).await;
    becomes(&sidecars[1], SERVER, &["http_request_method=\"_OTHER\""], 1.0).await;
    let before = series().await;
    for number in 1..=200 {
        odd(number).await;
    }
    becomes(&sidecars[0], CLIENT, &["http_request_method=\"_OTHER\""], 201.0).await;
    becomes(&sidecars[1], SERVER, &["http_request_method=\"_OTHER\""], 201.0).await;
    // A sidecar may have found another reason to count by than theirs; theirs would be two hundred and more.
    let after = series().await;
    let grown = after.iter().zip(&before).all(|(after, before)| *after <= before + 20);
    assert!(grown, "{before:?} lines became {after:?}");
    for sidecar in &sidecars {
        let text = sidecar.metrics().await.unwrap();
        for word in ["BREW", "host1", "path1"] {
            assert!(!text.contains(word), "{word} is in {text}");
        }
    }
}

#[tokio::test]
async fn what_finds_no_room_is_counted_under_other() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .proxy_args(&["--metrics-series", "30"])
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    mesh.app("product-v1").script(|seen| Act::Status(if seen.path == "/404" { 404 } else { 200 }));
    for path in ["/", "/404", "/404"] {
        get(entry, path).await.unwrap();
    }
    let gateway = mesh.proxy("gateway");
    let other = "peer=\"other\"";
    becomes(&gateway, CLIENT, &["http_response_status_code=\"200\""], 1.0).await;
    becomes(&gateway, CLIENT, &[other], 2.0).await;
    becomes(&gateway, CLIENT, &["http_response_status_code=\"404\""], 0.0).await;
    becomes(&gateway, "weft_metrics_other_requests_total", &[], 2.0).await;
    becomes(&gateway, "weft_requests_total", &["peer=\"product.shop:8080\""], 3.0).await;
}

#[tokio::test]
async fn bytes_of_opaque_connections_are_told_while_they_are_open() {
    let mesh = Mesh::builder().without_app("db", "tcp").caller("gateway").start().await;
    let _app = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let mut stream = TcpStream::connect(mesh.entry("gateway", "db")).await.unwrap();
    let mut greeting = vec![0; TcpApp::GREETING.len()];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(b"12345").await.unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    let received = (TcpApp::GREETING.len() + 5) as f64;
    let sidecars = [mesh.proxy("gateway"), mesh.proxy("db-v1")];
    for sidecar in &sidecars {
        becomes(sidecar, "weft_tcp_sent_bytes_total", &[], 5.0).await;
        becomes(sidecar, "weft_tcp_received_bytes_total", &[], received).await;
        becomes(sidecar, "weft_tcp_connections_open", &[], 1.0).await;
        becomes(sidecar, "weft_tcp_connections_closed_total", &[], 0.0).await;
    }
    drop(stream);
    for sidecar in &sidecars {
        becomes(sidecar, "weft_tcp_connections_closed_total", &[], 1.0).await;
        becomes(sidecar, "weft_tcp_connections_open", &[], 0.0).await;
        becomes(sidecar, "weft_tcp_sent_bytes_total", &[], 5.0).await;
    }
}
