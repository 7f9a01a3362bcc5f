//! What a source yields: the mesh and the findings, each told of when it changes; findings are logged once, when they are
//! new. Owned by the sources.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::finding::{Finding, Severity};
use crate::model::Mesh;

/// The two channels.
#[derive(Debug, Default)]
pub(super) struct Yield {
    pub(super) mesh: watch::Sender<Arc<Mesh>>,
    pub(super) findings: watch::Sender<Arc<Vec<Finding>>>,
}

impl Yield {
    /// Tells of what is another than before.
    pub(super) fn publish(&self, mesh: Mesh, findings: Vec<Finding>) {
        self.mesh.send_if_modified(|present| {
            let changed = **present != mesh;
            if changed {
                *present = Arc::new(mesh);
            }
            changed
        });
        self.findings.send_if_modified(|present| {
            let changed = **present != findings;
            if changed {
                log(present, &findings);
                *present = Arc::new(findings);
            }
            changed
        });
    }
}

/// Logs what is new.
fn log(before: &[Finding], now: &[Finding]) {
    let known: HashSet<&Finding> = before.iter().collect();
    for finding in now.iter().filter(|finding| !known.contains(finding)) {
        match finding.severity() {
            Severity::Error => tracing::error!(hint = finding.hint, "{finding}"),
            Severity::Warning => tracing::warn!(hint = finding.hint, "{finding}"),
            Severity::Info => tracing::debug!(hint = finding.hint, "{finding}"),
        }
    }
    if now.is_empty() {
        tracing::info!("the configuration has no findings any more");
    }
}
