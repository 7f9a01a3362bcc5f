//! The person's tools in a cluster with two replicas of the control plane, of which each knows its own sidecars: they are asked
//! in their pods, by way of the API server; what they say is put together; who may not ask is told what it takes.

mod live;
mod report;
mod why;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{DEADLINE, MESHED, PATH, authz, inside, readers, rolling, scene};
use crate::harness::get;
use crate::harness::kubernetes::{Cluster, Namespace};

/// What it takes to ask the control plane, but for the verbs of `pods/exec`.
const ASKER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: NAME, namespace: weft-system}
rules:
- {apiGroups: [''], resources: [pods], verbs: [list]}
- {apiGroups: [''], resources: [pods/exec], verbs: [VERBS]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: NAME, namespace: weft-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}
subjects: [{kind: ServiceAccount, name: default, namespace: NAME}]
";

/// Selects nothing.
const IDLE: &str = "
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {name: idle}
spec: {selector: {matchLabels: {app: nobody}}, mtls: STRICT}
";

#[tokio::test]
async fn the_persons_tools_put_together_what_two_replicas_say() {
    let Some(cluster) = Cluster::installed("asked").await else { return };
    another_replica(cluster).await;
    let namespace = cluster.labelled("asked", &MESHED).await;
    let server = scene(&namespace).await;
    authz::asked(cluster, &namespace, server).await;
    refused_to_others(cluster, &namespace).await;

    namespace.apply(&readers("other", "")).await;
    denied(&namespace, server).await;
    listed(cluster, &namespace).await;
    configured(cluster, &namespace).await;
    // Order: an application that has once handed trace context on is not suspected for a while.
    live::shown(cluster, &namespace, server).await;
    why::explained(cluster, &namespace, server).await;
    analysed(cluster, &namespace).await;
    report::gathered(cluster, &namespace).await;
}

/// One more control plane, as a pod of its own. It stays: whoever runs beside this may just be asking it, or have a pod made
/// by it; and who applies the installation again finds it as it was.
async fn another_replica(cluster: &Cluster) {
    let path = "/apis/apps/v1/namespaces/weft-system/deployments/weft-control-plane";
    let deployment = cluster.get(path).await.expect("it is installed");
    let template = &deployment["spec"]["template"];
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "another", "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"] },
        "spec": template["spec"],
    });
    let made = cluster.post("/api/v1/namespaces/weft-system/pods", &pod).await;
    made.expect("it is taken");
    cluster.wait("weft-system", "pod/another", "condition=Ready", DEADLINE).await;
}

/// The workloads of the scene as the mesh calls them, the client first.
async fn workloads(namespace: &Namespace) -> Vec<String> {
    let name = namespace.name();
    let servers = rolling::pods(namespace).await.into_iter();
    std::iter::once("client".to_owned()).chain(servers).map(|pod| format!("{pod}.{name}")).collect()
}

/// Waits until every request of the client is refused, whichever server it goes to.
async fn denied(namespace: &Namespace, server: SocketAddr) {
    let client = inside(namespace, "client").await;
    let refused = async || {
        for _ in 0..8 {
            let answer = client.run(get(server, PATH)).await?;
            ensure!(answer.status == 403, "{answer:?}");
        }
        Ok(())
    };
    namespace.eventually("the policy is enforced", namespace.name(), DEADLINE, refused).await;
}

/// Whoever may not run things in the control plane's pods is told which rights that takes; with them he is answered.
async fn refused_to_others(cluster: &Cluster, namespace: &Namespace) {
    let name = namespace.name();
    let somebody = namespace.asked_by(name, "default").await;
    let refused = somebody.weft(&["proxy-status"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("cannot list the pods of the control plane"), "{refused:?}");
    assert!(refused.stderr.contains("forbidden"), "{refused:?}");

    let asker = |verbs: &str| ASKER.replace("NAME", name).replace("VERBS", verbs);
    for verbs in ["create", "get, create"] {
        cluster.apply(&asker(verbs)).await;
        let is_told = async || {
            let output = somebody.weft(&["tap", "--for", "1ms"]).await;
            match verbs {
                "create" => {
                    ensure!(output.code == Some(1), "{output:?}");
                    let takes = "the rights to `get` and to `create` `pods/exec` in weft-system";
                    ensure!(output.stderr.contains(takes), "{output:?}");
                }
                _ => ensure!(output.code == Some(0), "{output:?}"),
            }
            Ok(())
        };
        namespace.eventually("it is said what it takes", name, DEADLINE, is_told).await;
    }
    let elsewhere = somebody.weft(&["proxy-config", "routes", &format!("client.{name}")]).await;
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("cannot look for pod client"), "{elsewhere:?}");
    for kind in ["rolebinding", "role"] {
        cluster.kubectl(&["-n", "weft-system", "delete", kind, name]).await;
    }
}

/// All that is known of each sidecar is in its one line, wherever its configuration comes from and its reports go to.
async fn listed(cluster: &Cluster, namespace: &Namespace) {
    let name = namespace.name();
    let is_known = async || {
        let output = cluster.weft(&["proxy-status", "-o", "json"]).await;
        ensure!(output.code == Some(0), "{output:?}");
        are_known(&workloads(namespace).await, &output.json())
    };
    namespace.eventually("all is known of the sidecars", name, DEADLINE, is_known).await;
}

/// Each of these once, connected, with what it says of itself.
fn are_known(workloads: &[String], proxies: &Value) -> Result<()> {
    let proxies = proxies.as_array().cloned().unwrap_or_default();
    for workload in workloads {
        let found = proxies.iter().filter(|proxy| proxy["workload"] == **workload);
        let [proxy] = &found.collect::<Vec<_>>()[..] else { anyhow::bail!("{proxies:?}") };
        ensure!(
            proxy["connected"] == true && proxy["resources"]["listeners"].is_object(),
            "{proxy}"
        );
        ensure!(proxy["leaf_not_after"].is_string() && proxy["config_version"] != "", "{proxy}");
    }
    Ok(())
}

/// `weft proxy-config` asks the sidecar in its pod, which has no shell.
async fn configured(cluster: &Cluster, namespace: &Namespace) {
    let name = namespace.name();
    let client = format!("client.{name}");
    let section = async |section: &str| {
        let output = cluster.weft(&["proxy-config", section, &client, "-o", "json"]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        output.json()
    };
    let has_all = async || {
        let endpoints = section("endpoints").await.to_string();
        for server in rolling::pods(namespace).await {
            let address = cluster.pod(name, &server).await.to_string();
            ensure!(endpoints.contains(&address), "{server} in {endpoints}");
        }
        Ok(())
    };
    namespace.eventually("it has all endpoints", name, DEADLINE, has_all).await;
    let certificate = section("certificate").await;
    let identity = format!("spiffe://cluster.local/ns/{name}/sa/default");
    assert_eq!(certificate["identity"], *identity, "{certificate}");
    let nobody = cluster.weft(&["proxy-config", "routes", &format!("server.{name}")]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    let there_are = format!("there is no pod server in {name}; with a sidecar there are server-");
    assert!(nobody.stderr.contains(&there_are), "{nobody:?}");
}

/// What both replicas find is said once.
async fn analysed(cluster: &Cluster, namespace: &Namespace) {
    let name = namespace.name();
    namespace.apply(IDLE).await;
    let is_found = async || {
        let output = cluster.weft(&["analyze", "-o", "json"]).await;
        ensure!(output.code == Some(3), "{output:?}");
        let answer = output.json();
        let findings = answer["findings"].as_array().into_iter().flatten();
        let object = format!("InboundPolicy {name}/idle");
        let found: Vec<&Value> = findings.filter(|found| found["object"] == *object).collect();
        let [one] = found[..] else { anyhow::bail!("{answer}") };
        ensure!(one["code"] == "WEFT0306", "{one}");
        Ok(())
    };
    namespace.eventually("it is found once", name, DEADLINE, is_found).await;
}
