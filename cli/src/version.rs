//! `weft version`: this program's version, and those of the running mesh if there is one.

use anyhow::Result;
use serde_json::{Value, json};

use crate::admin::Proxy;
use crate::environment::Environment;
use crate::mesh::Mesh;
use crate::output::{Output, Verdict};

/// This program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs `weft version`. A mesh that does not answer is shown as unknown: the own version is known anyway.
pub(crate) async fn run(
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let (control_plane, sidecars) = match Mesh::look(mesh, environment)? {
        Some(mesh) => of_mesh(&mesh).await,
        None => (None, Vec::new()),
    };
    if output.is_json() {
        output.json(&json!({
            "weft": VERSION,
            "control_plane": control_plane,
            "sidecars": sidecars,
        }))?;
        return Ok(Verdict::Fine);
    }
    output.data(&format!("weft           {VERSION}"))?;
    if let Some(version) = control_plane {
        output.data(&format!("control plane  {version}"))?;
        output.data(&format!("sidecars       {}", summary(&sidecars)))?;
    }
    Ok(Verdict::Fine)
}

async fn of_mesh(mesh: &Mesh) -> (Option<String>, Vec<Value>) {
    let admin = mesh.control_plane();
    let version: Option<Value> = admin.get("/v1/version").await.ok();
    let version = version.map(|answer| {
        let text = answer.get("version").and_then(Value::as_str).or_else(|| answer.as_str());
        text.unwrap_or("unknown").to_owned()
    });
    let proxies: Vec<Proxy> = admin.get("/v1/proxies").await.unwrap_or_default();
    let sidecars = proxies
        .iter()
        .map(|proxy| json!({ "workload": proxy.workload, "version": proxy.version }))
        .collect();
    (version.or(Some("unknown".to_owned())), sidecars)
}

/// `0.1.0 (6)`, one a version.
fn summary(sidecars: &[Value]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for sidecar in sidecars {
        *counts.entry(sidecar["version"].as_str().unwrap_or("unknown")).or_insert(0) += 1;
    }
    let words: Vec<String> =
        counts.iter().map(|(version, count)| format!("{version} ({count})")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
