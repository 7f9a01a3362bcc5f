//! What the mesh stands on goes away or never rests, under load: the API server, the kubelet, a replica of the control
//! plane, endpoints, the webhook. Each of these changes the cluster for everybody, so they run alone: `tests/run --all`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{CLIENT, Calls, DEADLINE, MESHED, RATE, SERVER, images, inside, scene, served};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{Usage, get, tool};

/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(300);

/// How long endpoints never rest.
const CHURN: Duration = Duration::from_secs(30);

/// The control plane, in weft-system.
const CONTROL_PLANE: &str = "deployment/weft-control-plane";

/// Addresses of the pods with this label, by their names.
pub(super) async fn pods(cluster: &Cluster, namespace: &str, label: &str) -> Vec<(String, String)> {
    let label = label.replace('=', "%3D");
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={label}");
    let found = cluster.get(&path).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = found["items"].as_array().into_iter().flatten();
    let alive = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    alive.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["status"]["podIP"]))).collect()
}

/// What the control plane's processes take.
async fn control_plane(cluster: &Cluster) -> Vec<Usage> {
    let label = "app.kubernetes.io/component=control-plane";
    let pods = pods(cluster, "weft-system", label).await;
    let usage = |(_, address): &(String, String)| {
        Usage::of(address.parse().unwrap(), "weft-control-plane").unwrap()
    };
    pods.iter().map(usage).collect()
}

/// Lists that the API server has answered since its start, of kinds that the control plane alone asks for, but for two
/// controllers: that of namespaces lists those in one that goes, which does not count; the garbage collector all, which
/// cannot be told from ours.
async fn lists(cluster: &Cluster) -> Result<u64> {
    let metrics = cluster.try_kubectl(&["get", "--raw", "/metrics"]).await;
    ensure!(metrics.code == Some(0), "{}", metrics.stderr);
    let ours = metrics.stdout.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && line.contains(r#"group="weft.dev""#)
            && line.contains(r#"scope="cluster""#)
            && line.contains(r#"verb="LIST""#)
    });
    Ok(ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

#[tokio::test]
#[ignore = "takes the API server away for minutes: tests/run --all"]
async fn the_api_server_is_away_and_no_request_fails() {
    let Some(cluster) = Cluster::installed("API server away").await else { return };
    let namespace = cluster.labelled("away", &MESHED).await;
    let server = scene(&namespace).await;
    let mut calls = Calls::start(&namespace, server).await;
    calls.go_on(Duration::from_secs(2)).await;
    cluster.component("kill", "kube-apiserver").await;
    calls.go_on(AWAY).await;
    cluster.component("start", "kube-apiserver").await;
    let lists = namespace
        .eventually("the API server is back", namespace.name(), DEADLINE, async || {
            let output = cluster.try_kubectl(&["get", "--raw", "/readyz"]).await;
            ensure!(output.code == Some(0), "{}", output.stderr);
            lists(cluster).await
        })
        .await;
    // Longer than any backoff of a watch.
    calls.go_on(Duration::from_secs(40)).await;
    let after = self::lists(cluster).await.unwrap();
    eprintln!(
        "API server away for {AWAY:?}: {lists} to {after} lists of our four kinds on its return"
    );
    calls.served("API server away").await;
    // Of each kind one by us and one by the garbage collector, for watches that were too old.
    assert!(after <= 8, "{after} lists of four kinds");
    // What happens now is heard of.
    cluster.control_plane_is_ready().await;
    namespace.kubectl(&["rollout", "restart", "-n", namespace.name(), "deployment/server"]).await;
    namespace.rolled_out(namespace.name(), "deployment/server", DEADLINE).await;
    let mut calls = Calls::start(&namespace, server).await;
    calls.pass(200).await;
    calls.served("after it").await;
}

#[tokio::test]
#[ignore = "restarts the kubelet that all tests share: tests/run --all"]
async fn the_kubelet_is_restarted_and_no_request_fails() {
    let Some(cluster) = Cluster::installed("kubelet restarted").await else { return };
    let namespace = cluster.labelled("kubelet", &MESHED).await;
    let server = scene(&namespace).await;
    let mut calls = Calls::start(&namespace, server).await;
    cluster.component("kill", "kubelet").await;
    calls.go_on(Duration::from_secs(5)).await;
    cluster.component("start", "kubelet").await;
    // It has taken up its work when a pod that is new gets ready.
    let late = images(CLIENT).replace("name: client", "name: late");
    namespace.apply(&late).await;
    namespace.wait(namespace.name(), "pod/late", "condition=Ready", DEADLINE).await;
    calls.pass(u64::from(RATE)).await;
    calls.served("kubelet restarted").await;
}

/// A route that says which change it is.
pub(super) fn route(change: usize) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: server}}
spec:
  parentRefs: [{{group: '', kind: Service, name: server, port: 8080}}]
  rules:
  - backendRefs: [{{name: server, port: 8080}}]
    filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-change, value: '{change}'}}]}}}}]
"
    )
}

/// Waits until the client's sidecar routes by this change.
async fn in_force(namespace: &Namespace, server: std::net::SocketAddr, change: usize) {
    let client = inside(namespace, "client").await;
    let what = format!("change {change} is in force");
    namespace
        .eventually(&what, namespace.name(), DEADLINE, async || {
            let answer = client.run(get(server, super::PATH)).await?;
            let found = answer.header("x-change").to_owned();
            ensure!(found == change.to_string(), "still {found:?}");
            Ok(())
        })
        .await;
}

#[tokio::test]
#[ignore = "kills a replica of the control plane that all tests share: tests/run --all"]
async fn a_replica_of_the_control_plane_is_killed_and_no_request_fails() {
    let Some(cluster) = Cluster::installed("replica killed").await else { return };
    cluster.apply_file(&tool("gateway-api.yaml")).await;
    let scale = async |replicas: &str| {
        cluster.kubectl(&["scale", "-n", "weft-system", CONTROL_PLANE, replicas]).await;
        cluster.control_plane_is_ready().await;
    };
    scale("--replicas=2").await;
    let namespace = cluster.labelled("replica", &MESHED).await;
    let server = scene(&namespace).await;
    let mut calls = Calls::start(&namespace, server).await;
    for change in 0..10 {
        namespace.apply(&route(change)).await;
        if change % 3 == 2 {
            let label = "app.kubernetes.io/component=control-plane";
            let (name, _) = pods(cluster, "weft-system", label).await.remove(0);
            let kill = ["delete", "pod", "-n", "weft-system", &name, "--force", "--grace-period=0"];
            cluster.kubectl(&kill).await;
        }
        in_force(&namespace, server, change).await;
        calls.pass(u64::from(RATE)).await;
    }
    cluster.control_plane_is_ready().await;
    scale("--replicas=1").await;
    calls.served("replicas of the control plane killed, routes changed").await;
}

/// A pod of the namespace is made, on trial, as fast as it is answered, while the control plane's pods are replaced.
#[tokio::test]
#[ignore = "replaces the control plane that all tests share: tests/run --all"]
async fn the_control_plane_is_restarted_and_every_pod_gets_its_sidecar() {
    let Some(cluster) = Cluster::installed("control plane restarted").await else { return };
    let namespace = cluster.labelled("made", &MESHED).await;
    let pods = format!("/api/v1/namespaces/{}/pods?dryRun=All", namespace.name());
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trial"},
        "spec": {"containers": [{"name": "app", "image": "none", "resources": {}}]}});
    let mut made = 0;
    let made_until_it_ends = async {
        loop {
            let answer = namespace.post(&pods, &pod).await;
            let answer = answer.unwrap_or_else(|error| panic!("after {made}: {error:#}"));
            let first = &answer["spec"]["initContainers"][0]["name"];
            assert!(first.is_string(), "it has a sidecar: {answer}");
            made += 1;
        }
    };
    let restarted = async {
        for _ in 0..3 {
            cluster.kubectl(&["rollout", "restart", "-n", "weft-system", CONTROL_PLANE]).await;
            cluster.control_plane_is_ready().await;
            // Those that end are asked until they have.
            let path = "/api/v1/namespaces/weft-system/pods?labelSelector=\
                app.kubernetes.io%2Fcomponent%3Dcontrol-plane";
            let is_alone = async || {
                let found = cluster.get(path).await.context("pods can be listed")?;
                let count = found["items"].as_array().map_or(0, Vec::len);
                ensure!(count == 1, "{count} pods");
                Ok(())
            };
            cluster.eventually("the old one is gone", "weft-system", DEADLINE, is_alone).await;
        }
    };
    tokio::select! {
        () = restarted => {}
        () = made_until_it_ends => {}
    }
    eprintln!("{made} pods made while the control plane was restarted three times");
    assert!(made > 100, "{made}");
}

/// An EndpointSlice of a Service that has no selector: these pods, but for one.
fn slice(pods: &[(String, String)], without: usize) -> Value {
    let endpoints = pods.iter().enumerate().filter(|(number, _)| *number != without);
    let endpoint = |(_, (name, address)): (usize, &(String, String))| {
        json!({"addresses": [address], "conditions": {"ready": true}, "nodeName": "node",
            "targetRef": {"kind": "Pod", "name": name}})
    };
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "many", "labels": {"kubernetes.io/service-name": "many"}},
        "ports": [{"name": "http", "port": 8080, "appProtocol": "http"}],
        "endpoints": endpoints.map(endpoint).collect::<Vec<_>>()})
}

#[tokio::test]
#[ignore = "ten pods and half a minute of churn: tests/run --all"]
async fn a_tenth_of_the_endpoints_changes_each_second_and_no_request_fails() {
    let Some(cluster) = Cluster::installed("churn").await else { return };
    let namespace = cluster.labelled("churn", &MESHED).await;
    let many = SERVER.replace("replicas: 2", "replicas: 10");
    let service = "---
apiVersion: v1
kind: Service
metadata: {name: many}
spec: {ports: [{name: http, port: 8080, appProtocol: http}]}
";
    namespace.apply(&images(&[&many, "---", CLIENT, service].concat())).await;
    namespace.rolled_out(namespace.name(), "deployment/server", 2 * DEADLINE).await;
    namespace.ready("client").await;
    let pods = pods(cluster, namespace.name(), "app=server").await;
    assert_eq!(pods.len(), 10);
    namespace.apply(&slice(&pods, pods.len()).to_string()).await;
    let to = (namespace.service(namespace.name(), "many").await, 8080).into();
    served(&namespace, to).await;
    let mut calls = Calls::start(&namespace, to).await;
    let before = control_plane(cluster).await;
    let started = std::time::Instant::now();
    let mut changes = 0;
    while started.elapsed() < CHURN {
        namespace.apply(&slice(&pods, changes % pods.len()).to_string()).await;
        changes += 1;
        calls.pass(u64::from(RATE)).await;
    }
    let after = control_plane(cluster).await;
    let cpu = after[0].cpu.saturating_sub(before[0].cpu);
    let share = cpu.as_secs_f64() / started.elapsed().as_secs_f64();
    eprintln!("{changes} changes of a tenth: control plane {:.1} % of a core", share * 100.0);
    assert!(share < 0.5, "the control plane took {cpu:?}");
    calls.served("a tenth of the endpoints changed each second").await;
}

#[tokio::test]
#[ignore = "takes the webhook of all tests away: tests/run --all"]
async fn without_a_webhook_only_labelled_namespaces_wait() {
    let Some(cluster) = Cluster::installed("webhook down").await else { return };
    let namespace = cluster.labelled("down", &MESHED).await;
    let plain = cluster.namespace("plain").await;
    let server = scene(&namespace).await;
    let mut calls = Calls::start(&namespace, server).await;
    cluster.kubectl(&["scale", "-n", "weft-system", CONTROL_PLANE, "--replicas=0"]).await;
    let gone = ["wait", "-n", "weft-system", "pod", "--all", "--for=delete", "--timeout=180s"];
    cluster.kubectl(&gone).await;
    plain.apply(&images(CLIENT)).await;
    plain.ready("client").await;
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), images(CLIENT).replace("name: client", "name: late")).unwrap();
    let path = file.path().to_string_lossy();
    let create = ["create", "-n", namespace.name(), "-f", &path];
    let refused = cluster.try_kubectl(&create).await;
    assert!(refused.code != Some(0), "{refused:?}");
    assert!(refused.stderr.contains("inject.weft.dev"), "{refused:?}");
    calls.go_on(Duration::from_secs(5)).await;
    cluster.kubectl(&["scale", "-n", "weft-system", CONTROL_PLANE, "--replicas=1"]).await;
    cluster.control_plane_is_ready().await;
    namespace
        .eventually("pods are made again", namespace.name(), DEADLINE, async || {
            let output = cluster.try_kubectl(&create).await;
            ensure!(output.code == Some(0), "{}", output.stderr);
            Ok(())
        })
        .await;
    namespace.wait(namespace.name(), "pod/late", "condition=Ready", DEADLINE).await;
    calls.served("no control plane").await;
}
