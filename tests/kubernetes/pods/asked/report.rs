//! `weft bug-report`: something of each replica, and no secret.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::super::faults;
use super::workloads;
use crate::harness::kubernetes::{Cluster, Namespace};

/// As every token of a service account begins.
const TOKEN: &str = "eyJhbGciOi";

pub(super) async fn gathered(cluster: &Cluster, namespace: &Namespace) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("report.tar.gz");
    let output = cluster.weft(&["bug-report", "--file", &path.to_string_lossy()]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let files = unpacked(&path);
    let replicas =
        faults::pods(cluster, "weft-system", "app.kubernetes.io/component=control-plane").await;
    assert_eq!(replicas.len(), 2, "{replicas:?}");
    let ours = workloads(namespace).await;
    for (replica, _) in &replicas {
        let proxies: Value =
            serde_json::from_str(&files[&format!("pod-{replica}.weft-system/proxies.json")])
                .unwrap();
        let proxies = proxies.as_array().into_iter().flatten();
        let mut named = proxies.filter_map(|proxy| proxy["workload"].as_str());
        assert!(named.any(|workload| ours.iter().any(|own| own == workload)), "{replica}");
        assert_ne!(files[&format!("cluster/pods/{replica}.control-plane.log")], "", "{replica}");
    }
    let policies = &files["cluster/AccessPolicy.yaml"];
    assert!(policies.contains(namespace.name()), "{policies}");

    let secrets = secrets(cluster).await;
    for (name, text) in &files {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{name} has a secret in it");
        }
    }
}

/// The archive's files by their names, without the folder that all are in.
fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let entries = archive.entries().unwrap();
    let read = entries.map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().components().skip(1).collect::<std::path::PathBuf>();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        (name.display().to_string(), String::from_utf8_lossy(&text).into_owned())
    });
    read.collect()
}

/// Words that nobody else may see: how keys and tokens begin, every line of a private key of the control plane, and each
/// Secret as the API writes it.
async fn secrets(cluster: &Cluster) -> Vec<String> {
    let mut words = vec!["PRIVATE KEY".to_owned(), TOKEN.to_owned()];
    let found = cluster.get("/api/v1/namespaces/weft-system/secrets").await.unwrap();
    for secret in found["items"].as_array().into_iter().flatten() {
        for value in secret["data"].as_object().into_iter().flatten() {
            let encoded = value.1.as_str().unwrap_or_default();
            let text = String::from_utf8_lossy(&STANDARD.decode(encoded).unwrap()).into_owned();
            let keys = text.split("PRIVATE KEY-----").skip(1).step_by(2);
            let lines = keys.flat_map(str::lines).filter(|line| line.len() > 60);
            let before = words.len();
            words.extend(lines.map(str::to_owned));
            if words.len() > before {
                words.push(encoded.to_owned());
            }
        }
    }
    assert!(words.len() > 4, "the control plane has keys");
    words
}
