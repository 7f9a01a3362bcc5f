//! A mistake in the configuration costs nothing but itself: it is reported with file, line and object, what was good
//! before stays in force, and everything beside it goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::harness::manifests::{backend, http_route};
use crate::harness::{Mesh, eventually, get};

const SOON: Duration = Duration::from_secs(5);

fn all_to(service: &str) -> String {
    http_route("product", "product", &format!("  - backendRefs: [{}]\n", backend(service, 1)))
}

async fn finding(mesh: &Mesh, code: &str) -> Result<Value> {
    let findings = mesh.control_plane().admin().get("/v1/analysis").await?;
    let found = findings.as_array().and_then(|all| all.iter().find(|one| one["code"] == code));
    found.cloned().ok_or_else(|| anyhow::anyhow!("{findings}"))
}

async fn reported(mesh: &Mesh, code: &str) -> Value {
    eventually("the mistake is reported", SOON, async || finding(mesh, code).await).await
}

async fn reaches(mesh: &Mesh, service: &str, workload: &str) {
    let entry = mesh.entry("gateway", service);
    eventually(&format!("{service} is {workload}"), SOON, async || {
        for _ in 0..5 {
            let answer = get(entry, "/").await?;
            ensure!(answer.status == 200 && answer.workload() == workload, "{answer:?}");
        }
        Ok(())
    })
    .await;
}

fn shop() -> crate::harness::Builder {
    Mesh::builder().service("product", &["v1", "v2"]).caller("gateway")
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_version_and_harms_no_other() {
    let mesh = shop().file("route.yaml", &all_to("product-v2")).start().await;
    reaches(&mesh, "product", "product-v2").await;

    let broken = all_to("product-v1").replace("  rules:", "  rules: [}");
    let line = 1 + broken.lines().position(|line| line.contains("[}")).unwrap();
    mesh.write("route.yaml", &broken);
    let found = reported(&mesh, "WEFT0204").await;
    assert_eq!(found["file"], "route.yaml", "{found}");
    let named = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
    assert!(named.abs_diff(line) <= 1, "line {line}: {found}");
    assert_eq!(found["severity"], "error");

    // Another file still takes effect, while the broken one's last good version is in force.
    let other = all_to("product-v1").replace("name: product, namespace", "name: other, namespace");
    let other = other.replace("name: product, port", "name: product-v1, port");
    mesh.write(
        "other.yaml",
        &other.replace("backendRefs: [{name: product-v1", "backendRefs: [{name: product-v2"),
    );
    reaches(&mesh, "product-v1", "product-v2").await;
    reaches(&mesh, "product", "product-v2").await;

    mesh.write("route.yaml", &all_to("product-v1"));
    reaches(&mesh, "product", "product-v1").await;
    eventually("the report is gone", SOON, async || {
        ensure!(finding(&mesh, "WEFT0204").await.is_err(), "still there");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_broken_object_harms_no_other_in_the_same_file() {
    let policy = "\
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: product, namespace: shop}
spec:
  targetRefs: [{group: \"\", kind: Service, name: product}]
  connectTimeout: soon
";
    let mesh = shop().file("both.yaml", &all_to("product-v1")).start().await;
    reaches(&mesh, "product", "product-v1").await;
    mesh.write("both.yaml", &format!("{}---\n{policy}", all_to("product-v2")));
    reaches(&mesh, "product", "product-v2").await;
    let found = reported(&mesh, "WEFT0205").await;
    assert_eq!(found["file"], "both.yaml");
    assert_eq!(found["object"], "TrafficPolicy shop/product");
    let text = found.to_string();
    assert!(text.contains("connectTimeout") && text.contains("soon"), "{text}");
}

#[tokio::test]
async fn an_unknown_field_is_a_mistake_and_not_ignored() {
    let misspelt = all_to("product-v1").replace("backendRefs", "backendrefs");
    let mesh = shop().file("route.yaml", &misspelt).start().await;
    let found = reported(&mesh, "WEFT0205").await;
    assert!(found.to_string().contains("backendrefs"), "{found}");
    assert_eq!(found["object"], "HTTPRoute shop/product");
    // The control plane came up, and so did everything that is right.
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn weft_analyze_finds_the_same_before_anything_reads_it() {
    let mesh = shop().file("route.yaml", &all_to("nothing")).start().await;
    let directory = mesh.config_dir();
    let directory = directory.to_str().unwrap();
    let table = mesh.weft(&["analyze", directory]).await;
    assert_eq!(table.code, Some(3), "{table:?}");
    assert!(table.stdout.contains("WEFT0101") && table.stdout.contains("route.yaml:"), "{table:?}");
    let json = mesh.weft(&["analyze", directory, "-o", "json"]).await;
    assert_eq!(json.code, Some(3));
    let mut findings: Vec<Value> = json.json()["findings"].as_array().unwrap().clone();
    let served = mesh.control_plane().admin().get("/v1/analysis").await.unwrap();
    let mut served: Vec<Value> = served.as_array().unwrap().clone();
    for list in [&mut findings, &mut served] {
        list.sort_by_key(ToString::to_string);
    }
    assert_eq!(findings, served);
}
