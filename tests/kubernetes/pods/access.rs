//! AccessPolicy on a real node: who calls is who the token of his pod says, and the kubelet's probes need no rule.

use anyhow::ensure;

use super::{DEADLINE, MESHED, PATH, inside, readers, scene};
use crate::harness::get;
use crate::harness::kubernetes::Cluster;

#[tokio::test]
async fn a_policy_is_enforced_by_the_callers_account_and_probes_go_on() {
    let Some(cluster) = Cluster::installed("access").await else { return };
    let namespace = cluster.labelled("access", &MESHED).await;
    let server = scene(&namespace).await;
    let client = inside(&namespace, "client").await;
    for (account, expected) in [("other", 403), ("default", 200)] {
        namespace
            .apply(&readers(account, "\n    to: [{methods: [GET], paths: [{value: /users}]}]"))
            .await;
        let becomes = async || {
            let answer = client.run(get(server, PATH)).await?;
            ensure!(answer.status == expected, "{answer:?}");
            Ok(answer)
        };
        let name = namespace.name();
        let answer = namespace.eventually("the policy is enforced", name, DEADLINE, becomes).await;
        if expected == 403 {
            let why = answer.header("proxy-status");
            assert!(why.contains("AccessPolicy/") && why.contains("/sa/other"), "{why}");
        }
        let accepted = "condition=Accepted";
        namespace.wait(name, "accesspolicy/readers", accepted, DEADLINE).await;
        namespace
            .wait(name, "accesspolicy/readers", "condition=weft.dev/Programmed", DEADLINE)
            .await;
    }
    // Nothing allows them, and all the same the server is ready.
    let health = client.run(get(server, "/health")).await.unwrap();
    assert_eq!(health.status, 403, "{health:?}");
    namespace.rolled_out(namespace.name(), "deployment/server", DEADLINE).await;
}
