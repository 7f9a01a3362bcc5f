//! Findings in the log: each once, when it is new. Called by the sources.

use std::collections::HashSet;

use crate::finding::{Finding, Severity};

/// Logs what is new.
pub(super) fn log(before: &[Finding], now: &[Finding]) {
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
