//! The demo's manifests: those of the checkout, in place, or a copy in the mesh's directory.
//!
//! In place an edit of the checkout takes effect while the demo runs. A copy is made outside a checkout, from
//! what is built in, and where addresses had to be shifted; its path is said, and an edit there works too.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::layout::Layout;
use crate::environment::Environment;
use crate::run_dir::{create_private, write_private};

/// Where they lie in a checkout.
const IN_CHECKOUT: &str = "k8s/demo";
/// The one that names addresses and ports.
const WORKLOADS: &str = "workloads.yaml";
/// As they were when this was built.
const BUILT_IN: [(&str, &str); 4] = [
    ("mesh.yaml", include_str!("../../../k8s/demo/mesh.yaml")),
    ("product-canary.yaml", include_str!("../../../k8s/demo/product-canary.yaml")),
    ("services.yaml", include_str!("../../../k8s/demo/services.yaml")),
    (WORKLOADS, include_str!("../../../k8s/demo/workloads.yaml")),
];

/// The directory to use: the checkout's own, or a copy under `mesh`.
///
/// # Errors
/// The copy cannot be read or written.
pub(super) fn prepare(environment: &Environment, layout: &Layout, mesh: &Path) -> Result<PathBuf> {
    let checkout = in_checkout(environment);
    if let Some(directory) = checkout.as_ref().filter(|_| layout.is_usual()) {
        return Ok(directory.clone());
    }
    let files = match checkout {
        Some(directory) => read(&directory)?,
        None => BUILT_IN.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec(),
    };
    let copy = mesh.join("manifests");
    create_private(&copy).with_context(|| format!("cannot create {}", copy.display()))?;
    for (name, text) in files {
        let text = if name == WORKLOADS { shift(&text, layout) } else { text };
        write_private(&copy.join(&name), text.as_bytes())?;
    }
    Ok(copy)
}

/// `k8s/demo` of the checkout around the working directory, else of the one around the executable.
fn in_checkout(environment: &Environment) -> Option<PathBuf> {
    let around = |path: &Path| {
        path.ancestors()
            .map(|directory| directory.join(IN_CHECKOUT))
            .find(|directory| directory.join(WORKLOADS).is_file())
    };
    around(&environment.current_dir).or_else(|| around(&environment.executable))
}

fn read(directory: &Path) -> Result<Vec<(String, String)>> {
    let failed = || format!("cannot read {}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, text));
    }
    Ok(files)
}

/// Puts this demo's addresses and port where the usual ones stand.
fn shift(text: &str, layout: &Layout) -> String {
    text.replace("address: 127.66.0.", &format!("address: 127.66.{}.", layout.network))
        .replace("port: 8080\n", &format!("port: {}\n", layout.port))
}

#[cfg(test)]
mod tests;
