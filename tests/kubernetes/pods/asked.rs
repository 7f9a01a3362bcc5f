//! Commands that ask the control plane of a cluster: in its pod, through the API server, and only for who may.

use anyhow::ensure;

use super::{CLIENT, DEADLINE, MESHED, images};
use crate::harness::kubernetes::Cluster;

#[tokio::test]
async fn proxy_status_lists_the_sidecars_of_a_cluster() {
    let Some(cluster) = Cluster::installed("asked").await else { return };
    let namespace = cluster.labelled("asked", &MESHED).await;
    namespace.apply(&images(CLIENT)).await;
    namespace.ready("client").await;
    let name = namespace.name();
    let listed = async || {
        let output = cluster.weft(&["proxy-status", "-o", "json"]).await;
        ensure!(output.code == Some(0), "{output:?}");
        let proxies = output.json();
        let mut proxies = proxies.as_array().into_iter().flatten();
        let workload = format!("client.{name}");
        let found = proxies.find(|proxy| proxy["workload"] == *workload);
        ensure!(found.is_some_and(|proxy| proxy["connected"] == true), "{output:?}");
        Ok(())
    };
    namespace.eventually("the sidecar is listed", name, DEADLINE, listed).await;

    let nobody = namespace.asked_by(name, "default").await;
    let refused = nobody.weft(&["proxy-status"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("cannot list the pods of the control plane"), "{refused:?}");
    assert!(refused.stderr.contains("forbidden"), "{refused:?}");
}
