//! What the mesh tells about a request: counters, log lines and spans of both sidecars, and they agree.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use http::Method;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

use crate::harness::{Act, Collector, Mesh, Span, eventually, get, http1, request};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn both_sidecars_count_a_request_and_tell_the_control_plane() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    let app = mesh.app("product-v1");
    app.script(|seen| if seen.path == "/fail" { Act::Status(500) } else { Act::Echo });
    for target in ["/", "/", "/", "/fail"] {
        get(entry, target).await.unwrap();
    }
    for (workload, direction) in [("gateway", "outbound"), ("product-v1", "inbound")] {
        let direction = format!("direction=\"{direction}\"");
        let labels = [&*direction, "mtls=\"true\""];
        let sidecar = mesh.proxy(workload);
        eventually("it is counted", SOON, async || {
            let requests = sidecar.metric("weft_requests_total", &labels).await?;
            let failures = sidecar.metric("weft_request_failures_total", &[&direction]).await?;
            ensure!((requests, failures) == (4.0, 1.0), "{workload}: {requests} {failures}");
            Ok(())
        })
        .await;
    }
    let stat = eventually("the control plane knows", SOON, async || {
        let stat = mesh.control_plane().admin().get("/v1/stat?window=all").await?;
        let edges = stat["edges"].as_array().cloned().unwrap_or_default();
        let edge = edges.iter().find(|edge| edge["requests"] == 4);
        ensure!(edge.is_some(), "{stat}");
        let workloads = stat["workloads"].as_array().cloned().unwrap_or_default();
        let served = workloads.iter().any(|workload| workload["requests"] == 4);
        ensure!(served, "{stat}");
        Ok(stat)
    })
    .await;
    let edge = &stat["edges"][0];
    assert_eq!((&edge["source"], &edge["destination"]), (&"gateway".into(), &"product".into()));
    assert_eq!((edge["mtls_share"].as_f64(), edge["mesh"].as_bool()), (Some(1.0), Some(true)));
    assert_eq!(edge["success_rate"].as_f64(), Some(0.75));
    let product = stat["workloads"].as_array().unwrap().iter().find(|w| w["name"] == "product");
    let product = product.unwrap();
    assert_eq!(product["identity"], mesh.id("product").as_str());
    assert_eq!(product["success_rate"].as_f64(), Some(0.75));
    assert!(product["p50_ms"].as_f64().unwrap() > 0.0, "{product}");
}

#[tokio::test]
async fn the_access_log_has_one_json_line_a_request_on_each_side() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .proxy_args(&["--access-log", "all"])
        .start()
        .await;
    let headers = [("host", "shop.test"), ("x-request-id", "id-4711")];
    let sent = request(Method::GET, "/shoes?secret=1", &headers, "");
    http1(mesh.entry("gateway", "product"), sent).await.unwrap();
    for (workload, direction, peer) in
        [("gateway", "outbound", "product"), ("product-v1", "inbound", "gateway")]
    {
        let lines = eventually("the line is there", SOON, async || {
            let lines = access_log(&mesh, workload);
            ensure!(!lines.is_empty(), "nothing yet");
            Ok(lines)
        })
        .await;
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(line["direction"], direction);
        assert_eq!(line["workload"], format!("{workload}.shop"));
        assert_eq!((&line["method"], &line["path"]), (&"GET".into(), &"/shoes".into()));
        assert_eq!((line["status"].as_u64(), line["mtls"].as_bool()), (Some(200), Some(true)));
        assert_eq!(line["peer_identity"], mesh.id(peer).as_str());
        assert_eq!(line["request_id"], "id-4711");
        assert_eq!(line["identity"], mesh.id(workload.trim_end_matches("-v1")).as_str());
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
        assert!(!line.to_string().contains("secret"), "queries are not logged: {line}");
    }
}

fn access_log(mesh: &Mesh, workload: &str) -> Vec<Value> {
    let log = mesh.proxy(workload).process().log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["protocol"].is_string()).collect()
}

#[tokio::test]
async fn each_hop_has_a_client_and_a_server_span_of_one_trace() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .setting(&format!("tracing: {{endpoint: 'http://{}', sampling: 1.0}}", collector.address()))
        .proxy_variable("OTEL_BSP_SCHEDULE_DELAY", "50")
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let answer = get(entry, "/hop").await.unwrap();
    let spans = eventually("both spans arrive", SOON, async || {
        let spans = collector.spans();
        ensure!(spans.len() >= 2, "{spans:?}");
        Ok(spans)
    })
    .await;
    let of_kind = |kind| spans.iter().find(|span| span.kind == kind).unwrap();
    let (client, server) = (of_kind(SpanKind::Client), of_kind(SpanKind::Server));
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!(client.trace, server.trace);
    assert_eq!((client.parent.as_str(), &server.parent), ("", &client.id));
    assert_eq!(attribute(client, "http.response.status_code"), "200");
    assert_eq!(attribute(server, "url.path"), "/hop");
    let services: BTreeSet<&str> = [client, server].map(|span| span.service.as_str()).into();
    assert_eq!(services.len(), 2, "each sidecar speaks for its workload: {services:?}");
    let traceparent = answer.received("traceparent");
    assert_eq!(traceparent, format!("00-{}-{}-01", client.trace, server.id), "for the application");
}

fn attribute<'a>(span: &'a Span, name: &str) -> &'a str {
    span.attributes.get(name).unwrap_or_else(|| panic!("no {name} in {span:?}"))
}

#[tokio::test]
async fn a_trace_that_came_in_goes_on() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .setting(&format!("tracing: {{endpoint: 'http://{}', sampling: 0.0}}", collector.address()))
        .proxy_variable("OTEL_BSP_SCHEDULE_DELAY", "50")
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    for (flags, target) in [("00", "/unsampled"), ("01", "/sampled")] {
        let traceparent = format!("00-{trace}-{parent}-{flags}");
        let headers = [("traceparent", &*traceparent), ("tracestate", "vendor=1")];
        let answer = http1(entry, request(Method::GET, target, &headers, "")).await.unwrap();
        let received = answer.received("traceparent");
        assert!(received.contains(trace) && received.ends_with(flags), "{received}");
        assert_eq!(answer.received("tracestate"), "vendor=1");
    }
    let spans = eventually("the sampled one is exported", SOON, async || {
        let spans = collector.spans();
        ensure!(spans.len() >= 2, "{spans:?}");
        Ok(spans)
    })
    .await;
    assert!(spans.iter().all(|span| span.trace == trace), "{spans:?}");
    assert!(spans.iter().any(|span| span.parent == parent), "{spans:?}");
    assert!(spans.iter().all(|span| !format!("{span:?}").contains("/unsampled")), "{spans:?}");
}

#[tokio::test]
async fn a_failure_has_the_same_word_everywhere() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .proxy_args(&["--access-log", "errors"])
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    get(entry, "/").await.unwrap();
    mesh.app("product-v1").stop();
    let answer = get(entry, "/").await.unwrap();
    let word = "application_unreachable";
    assert_eq!(answer.status, 503);
    assert!(answer.header("proxy-status").contains(word), "{answer:?}");
    let inbound = mesh.proxy("product-v1");
    let label = format!("error=\"{word}\"");
    eventually("it is counted and logged", SOON, async || {
        let counted = inbound.metric("weft_request_errors_total", &[&label]).await?;
        ensure!(counted >= 1.0, "{counted}");
        let lines = access_log(&mesh, "product-v1");
        ensure!(lines.iter().all(|line| line["error"] == word), "errors only: {lines:?}");
        ensure!(!lines.is_empty(), "no line yet");
        Ok(())
    })
    .await;
}
