//! What is shown while it happens: `weft tap`, `weft check` of an application that breaks traces, `weft dashboard`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::{DEADLINE, inside};
use super::{are_known, workloads};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{Act, App, Inside, http1, request};

/// Nobody collects anything there; but without a collector sidecars leave traces to the applications.
const TRACING: &str = "
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: weft-system}
spec: {tracing: {endpoint: 'http://127.0.0.1:9', sampling: 0}}
";

/// Where the client's application listens.
const PORT: u16 = 8080;

/// The client's application calls the server whenever it is asked, without the trace context that it is given, and it is
/// asked again and again.
struct Forgetful {
    _inside: Inside,
    _app: App,
    asking: JoinHandle<()>,
}

impl Forgetful {
    async fn start(namespace: &Namespace, server: SocketAddr) -> Self {
        let inside = inside(namespace, "client").await;
        let started = async { App::start("client", (Ipv4Addr::UNSPECIFIED, PORT).into()).await };
        let app = inside.run(started).await.expect("the port is free");
        app.script(move |_| Act::CallAlone(server));
        let to = SocketAddr::new(namespace.pod(namespace.name(), "client").await, PORT);
        let asking = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            let parent = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
            loop {
                tick.tick().await;
                // Refused, as everything that goes to the server.
                let _ = http1(to, request(Method::GET, "/", &[parent], "")).await;
            }
        });
        Self { _inside: inside, _app: app, asking }
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

pub(super) async fn shown(cluster: &Cluster, namespace: &Namespace, server: SocketAddr) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let of_all = Cluster::mesh_config().await;
    cluster.apply(TRACING).await;
    let forgetful = Forgetful::start(namespace, server).await;
    tapped(cluster, namespace, directory.path()).await;
    tokio::join!(filtered(cluster, namespace), checked(cluster, namespace));
    cluster.kubectl(&["-n", "weft-system", "delete", "meshconfig", "default"]).await;
    drop(of_all);
    // What is shown must not change while it is compared.
    drop(forgetful);
    paged(cluster, namespace, directory.path()).await;
}

/// Every sidecar is shown in one and the same tap, whichever replica it is connected to.
async fn tapped(cluster: &Cluster, namespace: &Namespace, directory: &Path) {
    let all = workloads(namespace).await;
    let wanted: Vec<&str> = all.iter().map(String::as_str).collect();
    let tap =
        cluster.start_weft(&[&["tap", "-o", "json"], &wanted[..]].concat(), directory.join("tap"));
    let are_shown = async || {
        let log = tap.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of = lines.filter_map(|line| Some(line["workload"].as_str()?.to_owned()));
        let shown: BTreeSet<String> = of.collect();
        ensure!(shown.len() >= all.len(), "only {shown:?}: {}", tap.quote());
        assert!(shown.iter().all(|workload| all.contains(workload)), "{shown:?}");
        Ok(())
    };
    namespace.eventually("all are shown", namespace.name(), DEADLINE, are_shown).await;
    tap.signal(Signal::SIGINT);
    assert!(tap.ended(DEADLINE).await.success(), "{}", tap.quote());
    assert!(tap.log().contains("requests shown"), "{}", tap.quote());
}

async fn filtered(cluster: &Cluster, namespace: &Namespace) {
    let to = format!("server.{}", namespace.name());
    let wanted = ["tap", "-o", "json", "--to", &to, "--status", "4xx", "--max", "3"];
    let output = cluster.weft(&wanted).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines = output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let service = format!("{to}:8080");
    let is_it = |one: &Value| {
        one["direction"] == "outbound" && one["service"] == *service && one["status"] == 403
    };
    assert!(lines.len() == 3 && lines.iter().all(is_it), "{output:?}");
}

/// The control plane is sound, and it is known of all sidecars who breaks traces.
async fn checked(cluster: &Cluster, namespace: &Namespace) {
    let name = namespace.name();
    let breaks = format!("client in {name} hands trace context on");
    let is_said = async || {
        let check = cluster.weft(&["check", "--kubernetes", "-o", "json"]).await.json();
        let categories = check["categories"].as_array().into_iter().flatten();
        let checks: Vec<&Value> =
            categories.flat_map(|one| one["checks"].as_array().into_iter().flatten()).collect();
        let said = |description: &str| -> Result<&Value> {
            let mut all = checks.iter().filter(|check| check["description"] == *description);
            let found = all.next().with_context(|| format!("no {description:?} in {check}"))?;
            ensure!(all.next().is_none(), "{description:?} twice in {check}");
            Ok(&found["result"])
        };
        ensure!(said(&breaks)? == "warning", "{check}");
        ensure!(said("the control plane is ready (1 of 1)")? == "success", "{check}");
        ensure!(!check.to_string().contains("it cannot be told"), "{check}");
        let server = format!("server in {name} hands trace context on");
        ensure!(said(&server).is_err(), "{check}");
        Ok(())
    };
    namespace.eventually("who breaks traces is said", name, DEADLINE, is_said).await;
}

/// The page shows the figures of `weft stat`, and every sidecar.
async fn paged(cluster: &Cluster, namespace: &Namespace, directory: &Path) {
    let name = namespace.name();
    let dashboard = cluster.start_weft(&["dashboard", "--port", "0"], directory.join("dashboard"));
    let port = async || {
        let log = dashboard.log();
        let port = log.split("http://127.0.0.1:").nth(1).context("it does not say where")?;
        Ok(port.split_whitespace().next().context("nothing")?.parse::<u16>()?)
    };
    let port = namespace.eventually("it says where", name, DEADLINE, port).await;
    let is_the_same = async || {
        let (snapshot, stat) =
            tokio::join!(snapshot(port), cluster.weft(&["stat", "-t", "all", "-o", "json"]));
        let (snapshot, stat) = (snapshot?, stat.json());
        let (shown, said) = (figures(&snapshot["stat"], name), figures(&stat, name));
        ensure!(shown == said, "{shown:#?}\n{said:#?}");
        let requests = said.iter().filter_map(|row| row["requests"].as_u64()).sum::<u64>();
        ensure!(said.len() == 4 && requests > 0, "three workloads and an edge: {said:#?}");
        are_known(&workloads(namespace).await, &snapshot["proxies"])
    };
    namespace.eventually("it shows what weft stat says", name, DEADLINE, is_the_same).await;
    dashboard.signal(Signal::SIGINT);
    assert!(dashboard.ended(DEADLINE).await.success(), "{}", dashboard.quote());
}

/// The client's edge with its figures, but for what changes as time goes by; of the workloads, whose probes go on, who
/// they are.
fn figures(stat: &Value, namespace: &str) -> Vec<Value> {
    let rows = |table: &str| {
        let rows = stat[table].as_array().cloned().unwrap_or_default().into_iter();
        rows.filter(|row| row["namespace"] == namespace)
    };
    let edges = rows("edges").filter(|row| row["source"] == "client").map(|mut row| {
        row.as_object_mut().expect("it is one").remove("rps");
        row
    });
    let who = ["name", "workload", "identity", "meshed"];
    let workloads =
        rows("workloads").map(|row| who.map(|field| row[field].clone()).to_vec().into());
    edges.chain(workloads).collect()
}

/// The first that the page is sent.
async fn snapshot(port: u16) -> Result<Value> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/api/events?window=all")
        .header("host", format!("127.0.0.1:{port}"))
        .body(Empty::<bytes::Bytes>::new())?;
    let mut body = sender.send_request(request).await?.into_body();
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        let frame = body.frame().await.context("it ended")??;
        text += std::str::from_utf8(frame.data_ref().map_or(&[][..], |data| &data[..]))?;
    }
    connection.abort();
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    Ok(serde_json::from_str(data.with_context(|| text.clone())?)?)
}
