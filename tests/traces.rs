//! Traces by real sidecars and real collectors: names, formats, shares, failures, and collectors that are away or silent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::ensure;
use http::Method;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::time::Instant;

use crate::harness::kubernetes::Jaeger;
use crate::harness::manifests::{backend, http_route, traffic_policy};
use crate::harness::{
    Act, Builder, Collector, Grpc, Load, Mesh, Network, Silent, Span, TlsDoor, eventually, get,
    http1, request,
};

const SOON: Duration = Duration::from_secs(20);
const T: &str = "0af7651916cd43dd8448eb211c80319c";
const S: &str = "b7ad6b7169203331";

/// `gateway` calls `product`; spans go to `collector` soon.
fn shop(collector: &str) -> Builder {
    Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .setting(&format!("tracing: {{{collector}}}"))
        .proxy_variable("OTEL_BSP_SCHEDULE_DELAY", "50")
}

async fn spans(collector: &Collector, at_least: usize) -> Vec<Span> {
    eventually("spans arrive", SOON, async || {
        let spans = collector.spans();
        ensure!(spans.len() >= at_least, "{spans:#?}");
        Ok(spans)
    })
    .await
}

#[tokio::test]
async fn a_collector_may_speak_http_and_tls() {
    let collector = Collector::start_http().await.unwrap();
    let door = TlsDoor::to(collector.address()).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), door.authority()).unwrap();
    let endpoint = format!("endpoint: '{}', protocol: http/protobuf, sampling: 1", door.url());
    let mesh = shop(&endpoint)
        .proxy_variable("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%201")
        .proxy_variable("OTEL_EXPORTER_OTLP_CERTIFICATE", &file.path().to_string_lossy())
        .start()
        .await;
    for _ in 0..3 {
        get(mesh.entry("gateway", "product"), "/a").await.unwrap();
    }
    let spans = spans(&collector, 6).await;
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(services.len(), 2, "{services:?}");
    let keys = collector.keys();
    assert!(!keys.is_empty() && keys.iter().all(|key| key == "k 1"), "{keys:?}");
    for workload in ["gateway", "product-v1"] {
        eventually("they are counted", SOON, async || {
            let exported = mesh.proxy(workload).metric("weft_spans_exported_total", &[]).await?;
            ensure!((exported - 3.0).abs() < 0.1, "{workload}: {exported}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn context_goes_on_in_the_form_in_which_it_came() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    // Over TLS: whom to believe stands in the MeshConfig.
    let door = TlsDoor::to(collector.address()).await.unwrap();
    let authority = serde_json::to_string(door.authority()).unwrap();
    let url = door.url();
    let tracing = format!("endpoint: '{url}', certificateAuthorities: {authority}, sampling: 0");
    let mesh = shop(&tracing).start().await;
    let entry = mesh.entry("gateway", "product");
    let (w3c, b3) = (format!("00-{T}-{S}-01"), format!("{T}-{S}-1"));
    let debug = format!("{T}-{S}-d");
    let kept = [("tracestate", "vendor=1"), ("baggage", "k=v"), ("x-request-id", "id-1")];
    for came in [
        vec![("traceparent", w3c.as_str())],
        vec![("b3", b3.as_str())],
        vec![("b3", debug.as_str())],
        vec![("x-b3-traceid", T), ("x-b3-spanid", S), ("x-b3-flags", "1")],
        vec![("x-b3-traceid", T), ("x-b3-spanid", S), ("x-b3-sampled", "1")],
        vec![("traceparent", w3c.as_str()), ("b3", b3.as_str())],
    ] {
        let headers = [&came[..], &kept].concat();
        let answer = http1(entry, request(Method::GET, "/", &headers, "")).await.unwrap();
        for (name, _) in &came {
            let received = answer.received(name);
            let whole = received.contains(T) || *name != "traceparent" && *name != "b3";
            assert!(whole && !received.is_empty(), "{name}: {received}");
            // Over both sidecars.
            let is_debug = |value: &str| value.ends_with("-d");
            let sent = came.iter().any(|(_, value)| is_debug(value));
            assert!(*name != "b3" || is_debug(&received) == sent, "{came:?}: {received}");
        }
        if came.iter().any(|(name, _)| *name == "x-b3-traceid") {
            assert_eq!(answer.received("x-b3-traceid"), T);
            assert_ne!(answer.received("x-b3-spanid"), S, "the parent is the sidecar");
        }
        for (name, value) in kept {
            assert_eq!(answer.received(name), value, "{came:?}");
        }
    }
    let spans = spans(&collector, 12).await;
    assert!(spans.iter().all(|span| span.trace == T), "{spans:#?}");
}

#[tokio::test]
async fn names_are_of_routes_and_methods_and_failures_say_why() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let rules = format!(
        "  - matches: [{{path: {{type: PathPrefix, value: /items}}}}, {{path: {{type: PathPrefix, value: /shop.Cart}}}}]\n    \
         backendRefs: [{}]\n",
        backend("product", 1)
    );
    let retries = traffic_policy("product", "  retries: {conditions: [unavailable]}\n");
    let mesh = shop(&format!("endpoint: 'http://{}', sampling: 1", collector.address()))
        .file("route.yaml", &http_route("items", "product", &rules))
        .file("retries.yaml", &retries)
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let forged = request(Method::GET, "/items/4711", &[("weft-route", "/forged")], "");
    let answer = http1(entry, forged).await.unwrap();
    assert_eq!(get(entry, "/secret/4711").await.unwrap().status, 404, "no rule");
    let mut grpc = Grpc::connect(entry).await;
    grpc.call("/shop.Cart/Add", &[], "one").await.unwrap();
    let found = spans(&collector, 5).await;
    let of = |kind: SpanKind| found.iter().filter(|span| span.kind == kind).collect::<Vec<_>>();
    let names =
        |spans: &[&Span]| spans.iter().map(|span| span.name.clone()).collect::<BTreeSet<_>>();
    let (clients, servers) = (of(SpanKind::Client), of(SpanKind::Server));
    assert_eq!(
        names(&clients),
        BTreeSet::from(["GET /items/*", "GET", "shop.Cart/Add"].map(String::from))
    );
    // The receiver is told of the caller's route, and its application is not.
    assert_eq!(
        names(&servers),
        BTreeSet::from(["GET /items/*", "shop.Cart/Add"].map(String::from))
    );
    assert_eq!(answer.received("weft-route"), "", "{answer:?}");
    let unrouted = clients.iter().find(|span| span.name == "GET").unwrap();
    assert_eq!(unrouted.attributes["error.type"], "route_not_found");
    let call = servers.iter().find(|span| span.name == "shop.Cart/Add").unwrap();
    assert_eq!(call.attributes["rpc.method"], "shop.Cart/Add");
    assert_eq!(call.attributes["rpc.response.status_code"], "OK", "it ends with the trailers");
    every_attempt_says_how_it_ended(&mesh, &collector, &mut grpc).await;

    mesh.app("product-v1").stop();
    get(entry, "/items/1").await.unwrap();
    eventually("failures have spans on both sides", SOON, async || {
        let spans = collector.spans();
        let failed = |kind| {
            let mut all = spans.iter().filter(|span| span.kind == kind);
            all.any(|span| {
                span.attributes.get("error.type").is_some_and(|word| word != "route_not_found")
            })
        };
        ensure!(failed(SpanKind::Client) && failed(SpanKind::Server), "{spans:#?}");
        Ok(())
    })
    .await;
}

/// Of a call that is tried again, for the code of gRPC in the first answer alone says that it failed.
async fn every_attempt_says_how_it_ended(mesh: &Mesh, collector: &Collector, grpc: &mut Grpc) {
    const UNAVAILABLE: Act =
        Act::Head(200, &[("content-type", "application/grpc"), ("grpc-status", "14")]);
    let tried = AtomicUsize::new(0);
    let first = move || tried.fetch_add(1, Relaxed) == 0;
    mesh.app("product-v1").script(move |_| if first() { UNAVAILABLE } else { Act::Echo });
    grpc.call("/shop.Cart/Get", &[], "one").await.unwrap();
    eventually("both attempts have a span", SOON, async || {
        let spans = collector.spans();
        let said = |span: &Span, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
        let said = |span: &Span| {
            ["rpc.response.status_code", "error.type", "http.request.resend_count"]
                .map(|name| said(span, name))
        };
        let mut attempts: Vec<_> = spans
            .iter()
            .filter(|span| span.kind == SpanKind::Client && span.name == "shop.Cart/Get")
            .map(said)
            .collect();
        attempts.sort();
        let expected = [["OK", "", "1"], ["UNAVAILABLE", "UNAVAILABLE", ""]];
        ensure!(attempts == expected, "{attempts:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_real_jaeger_takes_spans_either_way() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let log = directory.path().join("jaeger.log");
    let Some(_jaeger) = Jaeger::start(&network, log) else { return };
    for (port, protocol) in [(4317, "grpc"), (4318, "http/protobuf")] {
        let at = network.at(3, port);
        let mesh = shop(&format!("endpoint: 'http://{at}', protocol: {protocol}, sampling: 1"))
            .start()
            .await;
        let answer = get(mesh.entry("gateway", "product"), "/a").await.unwrap();
        let trace = answer.received("traceparent")[3..35].to_owned();
        let whole = Jaeger::at(network.at(3, 16686)).whole_trace(&trace, 2).await;
        let names: Vec<_> =
            whole["spans"].as_array().unwrap().iter().map(|span| &span["operationName"]).collect();
        assert_eq!(names, ["GET", "GET"], "{protocol}: {whole}");
    }
}

/// A TelemetryPolicy; `spec` is flow YAML.
fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
    )
}

#[tokio::test]
async fn shares_are_of_the_rule_then_the_workload_then_the_mesh() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let rule = |name: &str, path: &str| {
        let to = backend("product", 1);
        format!(
            "  - name: {name}\n    matches: [{{path: {{type: PathPrefix, value: {path}}}}}]\n    backendRefs: [{to}]\n"
        )
    };
    let rules = rule("often", "/often") + &rule("rarely", "/rarely");
    let target =
        "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: items, sectionName: often}";
    let of_rule = policy("often", &format!("{{targetRefs: [{target}], tracing: {{sampling: 1}}}}"));
    let mesh = shop(&format!("endpoint: 'http://{}', sampling: 0", collector.address()))
        .file("route.yaml", &http_route("items", "product", &rules))
        .file("often.yaml", &of_rule)
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    let called = async |path: &str, times: usize| {
        for _ in 0..times {
            get(entry, path).await.unwrap();
        }
    };
    let paths = || -> BTreeSet<String> {
        collector.spans().iter().map(|span| span.attributes["url.path"].clone()).collect()
    };
    called("/rarely", 10).await;
    called("/often", 10).await;
    let found = spans(&collector, 20).await;
    assert_eq!((found.len(), paths()), (20, BTreeSet::from(["/often".to_owned()])));
    // What begins at the caller now has a share of its own; the rule's stays.
    mesh.write(
        "gateway.yaml",
        &policy("callers", "{selector: {matchLabels: {app: gateway}}, tracing: {sampling: 1}}"),
    );
    eventually("the workload's share is in force", SOON, async || {
        called("/rarely", 1).await;
        ensure!(paths().contains("/rarely"), "{:?}", paths());
        Ok(())
    })
    .await;
    mesh.write("often.yaml", &of_rule.replace("sampling: 1", "sampling: 0"));
    let mut number = 0;
    eventually("the rule's share is another", SOON, async || {
        number += 1;
        let (path, later) = (format!("/often/{number}"), format!("/rarely/{number}"));
        called(&path, 1).await;
        called(&later, 1).await;
        // Order: a sidecar sends spans as they ended. Once both have told of the later one, nothing is to come of the first.
        eventually("both sidecars tell of what came later", SOON, async || {
            let spans = collector.spans();
            let told = spans.iter().filter(|span| span.attributes["url.path"] == later).count();
            ensure!(told == 2, "{told}");
            Ok(())
        })
        .await;
        ensure!(!paths().contains(&path), "still sampled");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn no_collector_that_is_away_or_silent_costs_a_request() {
    let silent = Silent::start().await.unwrap();
    let away: SocketAddr = "127.0.0.1:1".parse().unwrap();
    for (what, address) in [("away", away), ("silent", silent.address())] {
        for protocol in ["grpc", "http/protobuf"] {
            let mesh =
                shop(&format!("endpoint: 'http://{address}', protocol: {protocol}, sampling: 1"))
                    .proxy_variable("OTEL_BSP_MAX_QUEUE_SIZE", "64")
                    .start()
                    .await;
            let sidecar = mesh.proxy("gateway");
            let before = sidecar.process().rss();
            let mut load = Load::start(mesh.entry("gateway", "product"), 300);
            load.passes(900).await;
            let tally = load.stop().await;
            assert_eq!(tally.failures(), [""; 0], "{what} {protocol}");
            eventually("what nobody takes is counted", SOON, async || {
                let dropped = sidecar.metric("weft_spans_dropped_total", &[]).await?;
                ensure!(dropped >= 700.0, "{what} {protocol}: {dropped}");
                Ok(())
            })
            .await;
            let grown = sidecar.process().rss().saturating_sub(before) >> 10;
            let start = Instant::now();
            let status = sidecar.process().terminate(SOON).await;
            assert!(status.success(), "{status}");
            println!(
                "collector {what}, {protocol}: {} requests, 0 failed; {grown} KiB more; exit in {:?}",
                tally.count(),
                start.elapsed()
            );
        }
    }
}
