//! The shipped configuration for Kubernetes scrapes sidecars and control plane, and nobody else, under the labels that rules
//! and dashboards ask. Debian's Prometheus cannot ask an API server: what it would find there is given to it in a file, by the
//! names that Prometheus documents, and all else is the shipped configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::harness::{Network, Prometheus, checked_config, eventually, promtool};

const DEADLINE: Duration = Duration::from_secs(60);

/// In place of what asks the API server: a file that the harness writes.
fn from_file(text: &str) -> String {
    let mut changed = Vec::new();
    for line in text.lines() {
        match line.trim() {
            "kubernetes_sd_configs:" => changed.push("    file_sd_configs:"),
            "- role: pod" => changed.push("      - files: [local-targets.yaml]"),
            "namespaces: {names: [weft-system]}" => {}
            _ => changed.push(line),
        }
    }
    assert!(!changed.join("\n").contains("kubernetes_sd"), "{text}");
    changed.join("\n") + "\n"
}

/// One port of a container, as it is found.
fn port(pod: &str, (address, port): (&str, &str), labels: &[(&str, &str)]) -> Value {
    let mut found = BTreeMap::from([
        ("__meta_kubernetes_pod_name".to_owned(), pod),
        ("__meta_kubernetes_namespace".to_owned(), "shop"),
        ("__meta_kubernetes_pod_phase".to_owned(), "Running"),
        ("__meta_kubernetes_pod_container_port_name".to_owned(), port),
    ]);
    found.extend(labels.iter().map(|(name, value)| (format!("__meta_kubernetes_{name}"), *value)));
    json!({ "targets": [address], "labels": found })
}

fn pods() -> Value {
    let app = ("pod_label_app", "product");
    let replicas =
        [("pod_controller_kind", "ReplicaSet"), ("pod_controller_name", "order-66b5c9d8f7")];
    let ended = ("pod_phase", "Succeeded");
    let named = ("pod_annotation_resource_opentelemetry_io_service_name", "checkout");
    let component = ("pod_label_app_kubernetes_io_component", "control-plane");
    let system = ("namespace", "weft-system");
    json!([
        port("product-7d", ("127.0.0.71:1", "weft-health"), &[app]),
        port("product-7d", ("127.0.0.71:2", "metrics"), &[app]),
        port("ended", ("127.0.0.72:1", "weft-health"), &[app, ended]),
        port("order-66b5c9d8f7-x", ("127.0.0.73:1", "weft-health"), &replicas),
        port("pay", ("127.0.0.74:1", "weft-health"), &[app, named]),
        port(
            "db-0",
            ("127.0.0.75:1", "weft-health"),
            &[("pod_controller_kind", "StatefulSet"), ("pod_controller_name", "db")]
        ),
        port("plane", ("127.0.0.76:1", "health"), &[component, system]),
        port("plane", ("127.0.0.76:2", "grpc"), &[component, system]),
    ])
}

#[tokio::test]
async fn the_configuration_for_kubernetes_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let config = checked_config(directory.path(), "prometheus.yaml", from_file).unwrap();
    let Some(output) = promtool(&["check", "config", &config.to_string_lossy()]).await else {
        return;
    };
    assert_eq!(output.code, Some(0), "{output:#?}");
}

#[tokio::test]
async fn sidecars_are_found_by_the_name_of_their_port_and_named_as_their_service() {
    let network = Network::claim();
    let address = network.at(1, 9090);
    let pods = pods().to_string();
    let started = Prometheus::start(address, "prometheus.yaml", from_file, &pods).await;
    let Some(prometheus) = started else { return };
    let found = eventually("all are found", DEADLINE, async || {
        let targets = prometheus.ask("/api/v1/targets?state=active").await?;
        let active = targets["activeTargets"].as_array().cloned().unwrap_or_default();
        ensure!(active.len() >= 5, "{targets}");
        Ok(active)
    })
    .await;
    let label =
        |target: &Value, name: &str| target["labels"][name].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = found
        .iter()
        .map(|target| {
            ["job", "namespace", "pod", "service"].map(|name| label(target, name)).join(" ")
        })
        .collect();
    found.sort();
    let expected = [
        "weft-control-plane weft-system plane ",
        "weft-proxy shop db-0 db",
        "weft-proxy shop order-66b5c9d8f7-x order",
        "weft-proxy shop pay checkout",
        "weft-proxy shop product-7d product",
    ];
    assert_eq!(found, expected);
}
