//! README's "On Kubernetes" and "View traces in Jaeger", executed as they stand on a real node, but for the building of
//! images, which the node has. Then one checkout is read back from Jaeger: one trace, and for every hop the span of the
//! caller's sidecar and that of the receiver's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::Value;

use crate::harness::kubernetes::{Cluster, Jaeger};
use crate::harness::{Process, Program, binary, eventually, http1, request, run, tool};

/// For one block: images start on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// A checkout, as hops: who calls whom.
const HOPS: [(&str, &str); 4] =
    [("gateway", "order"), ("order", "user"), ("order", "product"), ("order", "payment")];
/// Two spans for each, and the first sidecar's for the caller outside.
const SPANS: usize = 2 * HOPS.len() + 1;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README's shell blocks below a heading.
fn blocks(heading: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("README has no section {heading}"));
    let parts = section.split("```sh\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A shell that runs a block in the checkout, as a reader would: with `weft` and `kubectl` on its PATH.
fn shell(cluster: &Cluster, block: &str, tools: &Path, log: &Path) -> Program {
    let weft = binary("weft");
    let programs = weft.parent().unwrap().display();
    let path = format!("{}:{programs}:/usr/bin:/bin", tools.display());
    let script = format!("cd '{}' && {block}", root().display());
    Program {
        name: "a block of README".to_owned(),
        path: "/bin/bash".into(),
        args: ["-euxc", &script].map(OsString::from).into(),
        variables: vec![
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), tools.to_string_lossy().into_owned()),
            ("KUBECONFIG".to_owned(), cluster.kubeconfig().to_string_lossy().into_owned()),
        ],
        log: log.to_owned(),
    }
}

/// One span, as far as it is looked at.
#[derive(Debug)]
struct Span {
    service: String,
    kind: String,
    parent: Option<String>,
    tags: BTreeMap<String, String>,
}

/// By span id.
fn spans(trace: &Value) -> BTreeMap<String, Span> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let read = |span: &Value| {
        let tags: BTreeMap<String, String> = span["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|tag| (text(&tag["key"]), text(&tag["value"])))
            .collect();
        let process = &trace["processes"][text(&span["processID"]).as_str()];
        let parent = span["references"][0]["spanID"].as_str().map(str::to_owned);
        let kind = tags.get("span.kind").cloned().unwrap_or_default();
        (text(&span["spanID"]), Span { service: text(&process["serviceName"]), kind, parent, tags })
    };
    trace["spans"].as_array().into_iter().flatten().map(read).collect()
}

/// For every hop one CLIENT span of the caller, whose child is the SERVER span of the receiver, under the SERVER span
/// that the caller was called with.
fn assert_whole(spans: &BTreeMap<String, Span>) {
    assert_eq!(spans.len(), SPANS, "{spans:#?}");
    let servers = |service: &str| {
        let found = spans.iter().filter(|(_, span)| span.service == service);
        found.filter(|(_, span)| span.kind == "server").collect::<Vec<_>>()
    };
    for (caller, receiver) in HOPS {
        let [(_, server)] = servers(receiver)[..] else { panic!("{receiver}: {spans:#?}") };
        let client = &spans[server.parent.as_ref().unwrap()];
        assert_eq!((&*client.service, &*client.kind), (caller, "client"), "{spans:#?}");
        let [(called_with, _)] = servers(caller)[..] else { panic!("{caller}: {spans:#?}") };
        assert_eq!(client.parent.as_ref(), Some(called_with), "{spans:#?}");
        for span in [server, client] {
            for tag in ["http.request.method", "http.response.status_code", "server.address"] {
                let known = span.tags.contains_key(tag) || tag == "server.address";
                assert!(known, "{caller} to {receiver}: no {tag}: {span:?}");
            }
        }
    }
}

fn is_error(span: &Span) -> bool {
    span.tags.get("error").is_some_and(|error| error == "true")
}

/// A checkout with a trace of ours: its status and its spans.
async fn checkout(gateway: SocketAddr, jaeger: Jaeger, number: u32) -> Result<(u16, Value)> {
    let trace = format!("5b8efff798038103d269b633{number:08x}");
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("traceparent", &*traceparent), ("content-type", "application/json")];
    let asked = request(Method::POST, "/checkout", &headers, r#"{"product": 1}"#);
    let answer = http1(gateway, asked).await?;
    let whole = eventually("the trace is whole", Duration::from_secs(30), async || {
        jaeger.trace(&trace, SPANS).await
    });
    Ok((answer.status.as_u16(), whole.await))
}

#[tokio::test]
async fn readme_installs_injects_and_shows_traces() {
    let Some(cluster) = Cluster::installed("README").await else { return };
    let _of_all = Cluster::mesh_config().await;
    let home = tempfile::tempdir().unwrap();
    // README's reader has a kubectl.
    let kubectl = home.path().join("kubectl");
    let script = format!("#!/bin/sh\nexec '{}' kubectl \"$@\"\n", tool("kubeall").display());
    fs::write(&kubectl, script).unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let log = home.path().join("log");
    for block in blocks("On Kubernetes") {
        if block.contains("docker build") {
            continue;
        }
        let output = run(&shell(cluster, &block, home.path(), &log), DEADLINE).await;
        assert_eq!(output.code, Some(0), "{block}\n{output:#?}\n{}", cluster.dump("shop").await);
    }
    // Other tests have pods there.
    cluster.kubectl(&["label", "namespace", "default", "weft.dev/inject-"]).await;

    let [block] = &blocks("View traces in Jaeger")[..] else { panic!("one block") };
    // It ends with a port-forward in the background, which goes on until this value goes.
    let forwarding = format!("{block}\nwait");
    let reader = Process::start(shell(cluster, &forwarding, home.path(), &log)).unwrap();
    let jaeger = Jaeger::at("127.0.0.1:16686".parse().unwrap());
    let found = eventually("README's checkout is in Jaeger", DEADLINE, async || {
        let pid = reader.pid();
        pid.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        let traces = jaeger.traces("gateway").await?;
        let mut traces = traces.into_iter().map(|trace| spans(&trace));
        let checkout = |spans: &BTreeMap<String, Span>| spans.len() == SPANS;
        traces.find(checkout).context("no trace of a checkout")
    })
    .await;
    assert_whole(&found);
    assert!(!found.values().any(is_error), "the first payment is good: {found:#?}");
    assert!(found.values().any(|span| span.tags.contains_key("url.path")), "{found:#?}");
    let traces = jaeger.traces("gateway").await.unwrap();
    let mut all = traces.iter().flat_map(|trace| spans(trace).into_values());
    let probed = all.find(|span| span.tags.get("url.path").is_some_and(|path| path == "/health"));
    assert!(probed.is_none(), "the kubelet asks every few seconds: {probed:?}");

    let gateway = SocketAddr::new(cluster.service("shop", "gateway").await, 8080);
    let (mut number, mut failed) = (0, None);
    while failed.is_none() && number < 60 {
        number += 1;
        let (status, trace) = checkout(gateway, jaeger, number).await.unwrap();
        failed = (status >= 500).then_some(trace);
    }
    let spans = spans(&failed.expect("payment fails now and then"));
    assert_whole(&spans);
    let marked: Vec<_> = spans.values().filter(|span| is_error(span)).collect();
    // Payment's own, those who called it for that, and so on up to the gateway.
    let on_the_way = ["payment", "order", "gateway"];
    assert!(marked.iter().all(|span| on_the_way.contains(&&*span.service)), "{marked:#?}");
    assert_eq!(marked.len(), 5, "{marked:#?}");
    assert!(marked.iter().all(|span| span.tags.contains_key("error.type")), "{marked:#?}");
    ensure_ends(reader, cluster).await.unwrap();
}

/// Ends the port-forward, a child of the shell.
async fn ensure_ends(reader: Process, cluster: &Cluster) -> Result<()> {
    let pid = reader.pid()?.to_string();
    let kill = Program {
        name: "pkill".to_owned(),
        path: "pkill".into(),
        args: ["-KILL", "-P", &pid].map(OsString::from).into(),
        variables: Vec::new(),
        log: PathBuf::new(),
    };
    let ended = run(&kill, Duration::from_secs(10)).await;
    ensure!(ended.code == Some(0), "{ended:?}");
    drop(reader);
    cluster.kubectl(&["delete", "namespace", "shop", "jaeger", "--wait=false"]).await;
    cluster.kubectl(&["-n", "weft-system", "delete", "meshconfig", "default"]).await;
    Ok(())
}
