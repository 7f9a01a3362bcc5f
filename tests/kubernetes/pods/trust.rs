//! The roots of a whole cluster are replaced while pods call each other, start and end, with two replicas of the control
//! plane; then by an issuing CA in a Secret as cert-manager makes it, and back.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::{Value, json};

use super::rolling::restarts;
use super::{Calls, DEADLINE, MESHED, authz, images, scene};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{Admin, Answer};
use crate::trust::issuer::{Made, secret};

const SECRETS: &str = "/api/v1/namespaces/weft-system/secrets";
const BUNDLES: &str = "configmaps/weft-trust-bundle";

const ASKED: usize = 15;

/// A pod that is meant to have a sidecar and has none: nobody can know what it believes.
const STUCK: &str = "
apiVersion: v1
kind: Pod
metadata: {name: stuck, labels: {weft.dev/inject: disabled}, annotations: {weft.dev/injected: 0.1.0}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: app, image: 'BUSYBOX'}]
";

/// The admin sockets of the cluster's replicas, by the processes that they are on this machine.
pub(super) fn replicas() -> Vec<Admin> {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let states = processes.filter_map(|process| {
        let line = fs::read_to_string(process.path().join("cmdline")).ok()?;
        let state = process.path().join("root/var/run/weft/state");
        (line.contains("weft-control-plane\0--kubernetes") && state.join("admin.sock").exists())
            .then_some(state)
    });
    states.map(|state| Admin::of(&state)).collect()
}

/// How the roots stand.
async fn status() -> Result<Value> {
    replicas().first().context("no replica runs")?.get("/v1/trust").await
}

/// A step, asked of another replica than the status.
async fn step(step: &str) -> Result<Answer> {
    let replicas = replicas();
    let replica = replicas.last().context("no replica runs")?;
    replica.ask(Method::POST, &format!("/v1/trust/{step}"), "").await
}

/// Takes a step once everybody is ready for it.
async fn take(namespace: &Namespace, name: &str) {
    let taken = async || {
        let answer = step(name).await?;
        ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
        Ok(())
    };
    namespace.eventually(name, "weft-system", DEADLINE, taken).await;
}

/// A step is refused, and the pod that is in the way is named.
async fn refused(namespace: &Namespace, name: &str) {
    let named = format!("stuck.{} is not connected", namespace.name());
    let is_refused = async || {
        let answer = step(name).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == 409 && text.contains(&named), "{}: {text}", answer.status);
        Ok(())
    };
    namespace.eventually("it is refused by name", "weft-system", DEADLINE, is_refused).await;
}

/// A whole rotation, by the command, which reaches the replicas by way of the API server.
async fn rotate_by_command(cluster: &Cluster) {
    let before = status().await.unwrap()["roots"][0]["fingerprint"].clone();
    let output = cluster.weft(&["trust", "rotate"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let after = status().await.unwrap();
    assert_eq!(after["roots"].as_array().map(Vec::len), Some(1), "{after}");
    assert_ne!(after["roots"][0]["fingerprint"], before, "{output:?}");
}

/// `weft stat` has the figures of every sidecar, whichever replica it tells them.
async fn measured_by_command(cluster: &Cluster, namespace: &str) {
    let output = cluster.weft(&["stat", "-t", "1m", "-o", "json"]).await;
    let stat = output.json();
    let workloads = stat["workloads"].as_array().into_iter().flatten();
    let asked = workloads.filter(|row| row["namespace"] == namespace && row["requests"] != 0);
    let asked: Vec<&Value> = asked.collect();
    assert_eq!(asked.len(), 3, "one for each pod: {stat}");
    assert!(
        asked.iter().all(|row| row["success_rate"] == 1.0 && row["p99_ms"].is_number()),
        "{stat}"
    );
    let edges = stat["edges"].as_array().into_iter().flatten();
    let edges = edges.filter(|edge| edge["namespace"] == namespace && edge["source"] == "client");
    assert_eq!(edges.count(), 1, "{stat}");
}

/// The same question again and again, while the node has other things to do.
async fn ask_by_command(cluster: &Cluster) {
    let mut taken = Vec::new();
    for _ in 0..ASKED {
        let asked = Instant::now();
        let output = cluster.weft(&["trust", "status", "-o", "json"]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        taken.push(asked.elapsed());
    }
    taken.sort();
    let (median, last) = (taken[ASKED / 2], taken[ASKED - 1]);
    eprintln!(
        "weft trust status of two replicas under load, {ASKED} times: median {median:.1?}, at the most {last:.1?}"
    );
}

/// A whole rotation.
async fn rotate(namespace: &Namespace) {
    for step in ["stage", "issue", "retire"] {
        take(namespace, step).await;
    }
}

/// What cert-manager would write.
async fn write(cluster: &Cluster, certificate: &str, key: &str, root: &str) {
    cluster.apply(&secret(certificate, key, root).to_string()).await;
}

/// Waits until the root that issues came from outside, and every sidecar of the namespace has a certificate of it.
async fn issues_from_outside(namespace: &Namespace) {
    let issues = async || {
        let status = status().await?;
        ensure!(status["next"] == "retire" && status["obstacles"] == json!([]), "{status}");
        let mut roots = status["roots"].as_array().into_iter().flatten();
        let own = roots.find(|root| root["state"] == "issuing");
        ensure!(own.is_some_and(|root| root["external"] == true), "{status}");
        Ok(())
    };
    namespace.eventually("the Secret's root issues", "weft-system", DEADLINE, issues).await;
}

/// By a Secret, renewed in it, spoilt, and back.
async fn issuer(namespace: &Namespace, cluster: &Cluster, calls: &mut Calls) {
    let name = namespace.name();
    let root = Made::root("company");
    let (first, second) = (root.below("first"), root.below("second"));
    write(cluster, &first.pem, &first.key(), &root.pem).await;
    issues_from_outside(namespace).await;
    write(cluster, &second.pem, &second.key(), &root.pem).await;
    take(namespace, "retire").await;
    let bundle = async || {
        let path = format!("/api/v1/namespaces/{name}/{BUNDLES}");
        let found = namespace.get(&path).await?;
        let text = found["data"]["root.pem"].as_str().unwrap_or_default().to_owned();
        ensure!(text.starts_with("# trust-domain: cluster.local\n"), "{text}");
        ensure!(text.matches("BEGIN CERTIFICATE").count() == 1, "{text}");
        Ok(())
    };
    namespace.eventually("the ConfigMap has this root alone", name, DEADLINE, bundle).await;
    // A pod that starts now knows no other root.
    namespace.kubectl(&["-n", name, "scale", "deployment/server", "--replicas=4"]).await;
    namespace.rolled_out(name, "deployment/server", DEADLINE).await;
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n";
    write(cluster, &second.pem, rsa, &root.pem).await;
    let said = async || {
        let status = status().await?;
        let fault = status["issuer"]["fault"].as_str().unwrap_or_default();
        ensure!(fault.contains("tls.key: it is an RSA key"), "{status}");
        Ok(())
    };
    namespace.eventually("the fault is said", name, DEADLINE, said).await;
    calls.go_on(Duration::from_secs(5)).await;

    // And back to roots of Weft's own.
    cluster.delete(&format!("{SECRETS}/weft-issuer")).await.expect("it is there");
    rotate(namespace).await;
    assert_eq!(status().await.unwrap()["roots"][0]["external"], false);
}

#[tokio::test]
#[ignore = "takes some minutes: tests/run --all"]
async fn a_cluster_changes_its_roots_under_load() {
    let Some(cluster) = Cluster::installed("roots").await else { return };
    cluster
        .kubectl(&["-n", "weft-system", "scale", "deployment/weft-control-plane", "--replicas=2"])
        .await;
    cluster.control_plane_is_ready().await;
    let namespace = cluster.labelled("roots", &MESHED).await;
    let server = scene(&namespace).await;
    let mut calls = Calls::start(&namespace, server).await;
    calls.pass(200).await;
    let before = status().await.unwrap()["roots"][0]["fingerprint"].clone();
    let name = namespace.name();

    // Somebody is in the way of either step, and a pod starts in the middle of it.
    namespace.apply(&images(STUCK)).await;
    namespace.ready("stuck").await;
    take(&namespace, "stage").await;
    refused(&namespace, "issue").await;
    namespace.kubectl(&["-n", name, "scale", "deployment/server", "--replicas=3"]).await;
    namespace.rolled_out(name, "deployment/server", DEADLINE).await;
    namespace.kubectl(&["-n", name, "delete", "pod", "stuck"]).await;
    take(&namespace, "issue").await;
    namespace.apply(&images(STUCK)).await;
    namespace.ready("stuck").await;
    refused(&namespace, "retire").await;
    namespace.kubectl(&["-n", name, "delete", "pod", "stuck"]).await;
    take(&namespace, "retire").await;
    let after = status().await.unwrap();
    assert_eq!(after["roots"].as_array().map(Vec::len), Some(1), "{after}");
    assert_ne!(after["roots"][0]["fingerprint"], before);
    calls.pass(200).await;
    ask_by_command(cluster).await;
    let trial = authz::tried(cluster, &namespace, ("other", true)).await;
    assert_eq!(trial["answered"].as_array().map(Vec::len), Some(3), "one for each pod: {trial}");
    measured_by_command(cluster, name).await;
    rotate_by_command(cluster).await;
    calls.pass(200).await;

    issuer(&namespace, cluster, &mut calls).await;
    calls.pass(200).await;
    calls.served("five roots one after the other, with pods that start meanwhile").await;
    assert_eq!(restarts(&namespace).await, 0, "{}", namespace.dump(name).await);
    cluster
        .kubectl(&["-n", "weft-system", "scale", "deployment/weft-control-plane", "--replicas=1"])
        .await;
}
