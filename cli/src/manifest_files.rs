//! Manifests that are named on the command line: files, directories, stdin. Used by `wait` and `authz`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Bound: bytes of one file. As much as an API server takes of one object, for some objects.
const MAX_BYTES: u64 = 16 << 20;

/// The texts of the files, each with its name. A directory is read one level deep, as kubectl does.
///
/// # Errors
/// One cannot be read, or is too large.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        if path == Path::new("-") {
            let mut text = String::new();
            let stdin = std::io::stdin().lock();
            stdin.take(MAX_BYTES).read_to_string(&mut text).context("cannot read stdin")?;
            texts.push(("stdin".to_owned(), text));
        } else if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {name}"))?;
            let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            files.retain(|file| file.is_file() && is_manifest(file));
            files.sort();
            for file in files {
                texts.push((file.display().to_string(), read_file(&file)?));
            }
        } else {
            texts.push((name, read_file(path)?));
        }
    }
    Ok(texts)
}

fn is_manifest(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read_file(path: &Path) -> Result<String> {
    let shown = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(shown)?.len();
    anyhow::ensure!(size <= MAX_BYTES, "{} is larger than {MAX_BYTES} bytes", path.display());
    std::fs::read_to_string(path).with_context(shown)
}
