//! What gets no sidecar, and what is not made at all. The API server is asked on a dry run: it asks the webhook all the
//! same, and says what came of it. Only Events need real objects; no pod of these is ever run.

use anyhow::ensure;
use serde_json::Value;

use super::{DEADLINE, MESHED, images};
use crate::harness::Output;
use crate::harness::kubernetes::{Cluster, Namespace};

/// A pod with these fields of its metadata and its specification.
fn pod(metadata: &str, spec: &str) -> String {
    images(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: tried, {metadata}}}, spec: {{{spec}containers: [{{name: app, image: 'BUSYBOX'}}]}}}}"
    ))
}

/// What the API server would make of a pod.
async fn tried(cluster: &Cluster, namespace: &str, manifest: &str) -> Output {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let path = file.path().to_string_lossy().into_owned();
    let create = ["create", "--dry-run=server", "-o", "json", "-n", namespace, "-f", &path];
    cluster.try_kubectl(&create).await
}

/// Names of the pod's init containers.
fn init_containers(pod: &Value) -> Vec<&str> {
    let containers = pod["spec"]["initContainers"].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str()).collect()
}

const BOTH: [&str; 2] = ["weft-init", "weft-proxy"];

#[tokio::test]
async fn what_gets_no_sidecar_is_told_and_what_could_not_work_is_refused() {
    let Some(cluster) = Cluster::installed("refusals").await else { return };
    let meshed = cluster.labelled("meshed", &MESHED).await;
    let plain = cluster.namespace("plain").await;
    let enabled = "labels: {weft.dev/inject: enabled}";
    let disabled = "labels: {weft.dev/inject: disabled}";
    // Namespace, metadata, specification; has it a sidecar, what is warned of.
    let cases = [
        (meshed.name(), "", "", true, ""),
        (meshed.name(), disabled, "", false, ""),
        (meshed.name(), "annotations: {weft.dev/inject: disabled}", "", false, "no Weft sidecar"),
        (meshed.name(), "", "hostNetwork: true, ", false, "no Weft sidecar: hostNetwork"),
        (
            meshed.name(),
            "annotations: {weft.dev/drian-grace: 5s}",
            "",
            true,
            "weft.dev/drian-grace",
        ),
        (plain.name(), "", "", false, ""),
        (plain.name(), enabled, "", true, ""),
        ("kube-system", enabled, "", false, ""),
    ];
    for (namespace, metadata, spec, is_meshed, warning) in cases {
        let output = tried(cluster, namespace, &pod(metadata, spec)).await;
        let case = format!("{namespace} {metadata} {spec}: {output:?}");
        assert_eq!(output.code, Some(0), "{case}");
        let found = output.json();
        let expected = if is_meshed { &BOTH[..] } else { &[] };
        assert_eq!(init_containers(&found), expected, "{case}");
        let mark = &found["metadata"]["annotations"]["weft.dev/injected"];
        assert_eq!(mark.is_string(), is_meshed, "{case}");
        assert_eq!(output.stderr.contains("Warning:"), !warning.is_empty(), "{case}");
        assert!(output.stderr.contains(warning), "{case}");
    }
    let (meshed, plain) = (meshed.name(), plain.name());
    for (namespace, metadata, message) in [
        (meshed, "annotations: {weft.dev/drain-grace: soon}", "weft.dev/drain-grace"),
        (meshed, "annotations: {weft.dev/skip-inbound-ports: '70000'}", "skip-inbound-ports"),
        (meshed, "annotations: {weft.dev/inject: maybe}", "weft.dev/inject"),
        (meshed, "annotations: {weft.dev/injected: 0.1.0}", "weft.dev/injected"),
        (meshed, "labels: {weft.dev/inject: 'true'}", "says neither yes nor no"),
        (plain, "labels: {weft.dev/inject: 'true'}", "says neither yes nor no"),
    ] {
        let output = tried(cluster, namespace, &pod(metadata, "")).await;
        assert!(
            output.code != Some(0) && output.stderr.contains(message),
            "{metadata}: {output:?}"
        );
    }
}

/// Never run: there is no such node.
const ON_THE_NODE: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, nodeSelector: {no: node}, containers: [{name: app, image: 'BUSYBOX'}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: backup}
spec:
  template:
    spec: {hostNetwork: true, restartPolicy: Never, nodeSelector: {no: node}, containers: [{name: app, image: 'BUSYBOX'}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: wrong}
spec:
  selector: {matchLabels: {app: wrong}}
  template:
    metadata: {labels: {app: wrong}, annotations: {weft.dev/opaque-ports: many}}
    spec: {containers: [{name: app, image: 'BUSYBOX'}]}
";

/// Waits for an Event about an object of this kind, whose name begins so.
async fn told(namespace: &Namespace, kind: &str, name: &str, reason: &str, message: &str) {
    let path = format!("/api/v1/namespaces/{}/events", namespace.name());
    let what = format!("an Event {reason} about {kind} {name}");
    let is_it = |event: &&Value| {
        let about = &event["involvedObject"];
        about["kind"] == kind
            && about["name"].as_str().is_some_and(|found| found.starts_with(name))
            && event["reason"] == reason
            && event["message"].as_str().is_some_and(|found| found.contains(message))
    };
    let look = async || {
        let events = namespace.get(&path).await?;
        let found = events["items"].as_array().into_iter().flatten().any(|event| is_it(&event));
        ensure!(found, "not among {events}");
        Ok(())
    };
    namespace.eventually(&what, namespace.name(), DEADLINE, look).await;
}

#[tokio::test]
async fn owners_hear_of_it_by_an_event() {
    let Some(cluster) = Cluster::installed("events").await else { return };
    let namespace = cluster.labelled("events", &MESHED).await;
    namespace.apply(&images(ON_THE_NODE)).await;
    let skipped = "WeftInjectionSkipped";
    told(&namespace, "ReplicaSet", "agent-", skipped, "hostNetwork").await;
    told(&namespace, "Job", "backup", skipped, "hostNetwork").await;
    told(&namespace, "ReplicaSet", "wrong-", "FailedCreate", "weft.dev/opaque-ports").await;
}
