//! A meshed Deployment is restarted while a meshed client calls it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Calls, DEADLINE, MESHED, scene};
use crate::harness::kubernetes::{Cluster, Namespace};

/// The server's pods, those that end not counted.
pub(super) async fn pods(namespace: &Namespace) -> BTreeSet<String> {
    let path = format!("/api/v1/namespaces/{}/pods?labelSelector=app%3Dserver", namespace.name());
    let found = namespace.get(&path).await.unwrap();
    let pods = found["items"].as_array().cloned().unwrap_or_default();
    let alive = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    alive.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

/// How many containers were ever started again.
pub(super) async fn restarts(namespace: &Namespace) -> u64 {
    let path = format!("/api/v1/namespaces/{}/pods", namespace.name());
    let found = namespace.get(&path).await.unwrap();
    let statuses = |pod: &Value| {
        let status = |list: &str| pod["status"][list].as_array().cloned().unwrap_or_default();
        [status("containerStatuses"), status("initContainerStatuses")].concat()
    };
    let pods = found["items"].as_array().into_iter().flatten().flat_map(statuses);
    pods.filter_map(|status| status["restartCount"].as_u64()).sum()
}

#[tokio::test]
#[ignore = "takes a minute: tests/run --all"]
async fn a_deployment_is_restarted_under_load_and_no_request_fails() {
    let Some(cluster) = Cluster::installed("rolling restart").await else { return };
    let namespace = cluster.labelled("rolling", &MESHED).await;
    let server = scene(&namespace).await;
    let mut calls = Calls::start(&namespace, server).await;
    calls.pass(200).await;
    for round in ["first", "second"] {
        let before = pods(&namespace).await;
        let restart = ["rollout", "restart", "-n", namespace.name(), "deployment/server"];
        namespace.kubectl(&restart).await;
        namespace.rolled_out(namespace.name(), "deployment/server", DEADLINE).await;
        let after = pods(&namespace).await;
        assert!(before.is_disjoint(&after), "{round}: {before:?}, {after:?}");
        calls.pass(400).await;
    }
    calls.served("rolling restart, twice").await;
    assert_eq!(restarts(&namespace).await, 0, "{}", namespace.dump(namespace.name()).await);
}
