//! `weft authz` on a real node: the control plane is asked through the API server, and it asks the pods' sidecars.

use std::net::SocketAddr;

use anyhow::ensure;
use serde_json::Value;

use super::{DEADLINE, PATH, inside, readers};
use crate::harness::get;
use crate::harness::kubernetes::{Cluster, Namespace};

/// The outcome of a trial of a policy that lets only this account call, which denies all that was asked or nothing of it. No
/// sidecar of the namespace is silent, whichever replica it is connected to.
pub(super) async fn tried(
    cluster: &Cluster,
    namespace: &Namespace,
    (account, is_denied): (&str, bool),
) -> Value {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), readers(account, "")).expect("it is ours");
    let (path, name) = (file.path().to_string_lossy(), namespace.name());
    let code = if is_denied { 3 } else { 0 };
    let tried = async || {
        let output = cluster.weft(&["authz", "--try", &path, "-n", name, "-o", "json"]).await;
        ensure!(output.code == Some(code), "{output:?}");
        let outcome = output.json();
        ensure!(outcome["silent"] == Value::Array(vec![]), "{outcome}");
        let totals = &outcome["totals"];
        ensure!(totals["requests"].as_u64() >= Some(5), "{outcome}");
        let denied = if is_denied { totals["requests"].clone() } else { 0.into() };
        ensure!(totals["newly_denied"] == denied, "{outcome}");
        Ok(outcome)
    };
    // A sidecar that has just come may not be connected yet.
    namespace.eventually("the trial", name, DEADLINE, tried).await
}

/// Who can reach the server, and what a policy would do to what was asked of it. In the end the client may call it.
pub(super) async fn asked(cluster: &Cluster, namespace: &Namespace, server: SocketAddr) {
    let client = inside(namespace, "client").await;
    for _ in 0..5 {
        assert_eq!(client.run(get(server, PATH)).await.unwrap().status, 200);
    }
    let name = namespace.name();
    for (account, is_denied) in [("other", true), ("default", false)] {
        let outcome = tried(cluster, namespace, (account, is_denied)).await;
        assert_eq!(outcome["changes"][0]["object"], *format!("AccessPolicy/{name}/readers"));
    }
    // Nothing was applied by it.
    assert_eq!(client.run(get(server, PATH)).await.unwrap().status, 200);
    namespace.apply(&readers("default", "")).await;
    let accepted = "condition=weft.dev/Programmed";
    namespace.wait(name, "accesspolicy/readers", accepted, DEADLINE).await;
    let to = format!("server.{name}");
    for (account, verdict) in [("default", "allowed"), ("other", "denied")] {
        let from = format!("{name}/{account}");
        let output = cluster.weft(&["authz", "--from", &from, "--to", &to, "-o", "json"]).await;
        let answer = output.json();
        let mut rows = answer["rows"].as_array().into_iter().flatten();
        assert!(rows.all(|row| row["verdict"] == verdict), "{answer}");
    }
}
