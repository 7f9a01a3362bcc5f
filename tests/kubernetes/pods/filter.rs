//! `weft inject` and `weft uninject`: the same sidecar as the webhook's, without a label on the namespace.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde_json::{Value, json};

use super::{CLIENT, DEADLINE, MESHED, PATH, SERVER, STRICT, ask, images};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{Program, binary, run};

/// What a filter makes of a manifest.
async fn weft(filter: &str, manifest: &str) -> String {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let program = Program {
        name: format!("weft {filter}"),
        path: binary("weft"),
        args: [Path::new(filter), Path::new("-f"), file.path()].map(Into::into).into(),
        variables: Vec::new(),
        log: PathBuf::new(),
    };
    let output = run(&program, DEADLINE).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    output.stdout
}

/// The documents of a manifest.
fn documents(manifest: &str) -> Vec<Value> {
    let parts = manifest.split("\n---").map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| serde_saphyr::from_str(part).unwrap()).collect()
}

/// What the API server has of a pod, as far as the injector made it.
async fn sidecar(namespace: &Namespace) -> Value {
    let path = format!("/api/v1/namespaces/{}/pods/client", namespace.name());
    let pod = namespace.get(&path).await.unwrap();
    let mut containers = pod["spec"]["initContainers"].clone();
    for container in containers.as_array_mut().unwrap() {
        // Of the service account's token; its name is drawn.
        let mounts = container["volumeMounts"].as_array_mut();
        mounts.unwrap_or(&mut Vec::new()).retain(is_ours);
    }
    let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    volumes.retain(is_ours);
    assert_eq!(pod["metadata"]["annotations"]["weft.dev/injected"], env!("CARGO_PKG_VERSION"));
    json!({"containers": containers, "volumes": volumes})
}

fn is_ours(named: &Value) -> bool {
    named["name"].as_str().is_some_and(|name| name.starts_with("weft-"))
}

#[tokio::test]
async fn what_weft_inject_writes_works_as_what_the_webhook_makes() {
    let Some(cluster) = Cluster::installed("weft inject").await else { return };
    let original = images(&[SERVER, CLIENT].join("---"));
    let injected = weft("inject", &original).await;
    assert_eq!(documents(&weft("uninject", &injected).await), documents(&original));
    assert_eq!(weft("inject", &injected).await, injected, "once is enough");

    let meshed = cluster.labelled("webhook", &MESHED).await;
    let plain = cluster.namespace("filter").await;
    plain.apply(STRICT).await;
    plain.apply(&injected).await;
    meshed.apply(&images(CLIENT)).await;
    plain.rolled_out(plain.name(), "deployment/server", DEADLINE).await;
    for namespace in [&plain, &meshed] {
        namespace.wait(namespace.name(), "pod/client", "condition=Ready", DEADLINE).await;
    }
    let server = plain.service(plain.name(), "server").await;
    let ask = ask(format!("{server} 8080"), PATH, "Ada");
    plain
        .eventually("the client is served", plain.name(), DEADLINE, async || {
            let told = plain.shell("client", "app", &ask).await?;
            ensure!(told.contains("Ada"), "{told}");
            Ok(())
        })
        .await;
    // The webhook was asked, and has left it as it was.
    assert_eq!(sidecar(&plain).await, sidecar(&meshed).await);
    nothing_passes_before_the_sidecar(&plain, &injected, server).await;
}

/// A container between the rules and the sidecar gets nowhere.
async fn nothing_passes_before_the_sidecar(namespace: &Namespace, injected: &str, server: IpAddr) {
    let mut pods = documents(injected);
    let pod = pods.iter_mut().find(|object| object["kind"] == "Pod").unwrap();
    let command = format!("nc -w 5 {server} 8080 </dev/null && exit 9; exit 0");
    let between = json!({"name": "between", "image": crate::harness::kubernetes::BUSYBOX,
        "command": ["sh", "-c", command]});
    pod["spec"]["initContainers"].as_array_mut().unwrap().insert(1, between);
    pod["metadata"]["name"] = "between".into();
    namespace.apply(&pod.to_string()).await;
    namespace.wait(namespace.name(), "pod/between", "condition=Ready", DEADLINE).await;
    let said = namespace.logs("between", "between").await;
    assert!(said.contains("refused"), "{said}");
}
