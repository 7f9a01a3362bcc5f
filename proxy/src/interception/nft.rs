//! Loads the nft table, removes it, compares it.

use super::difference::{difference, nft_lines};
use super::ruleset::{TABLE, removal, table, transaction};
use super::tool::{ToolError, run};
use super::{Settings, unique};

/// Would the kernel take these rules? Nothing is changed.
pub(super) fn probe(settings: &Settings) -> Result<(), ToolError> {
    run("nft", &["-c", "-f", "-"], &transaction(settings)).map(drop)
}

/// Brings the table into force, whatever was there.
pub(super) fn install(settings: &Settings) -> Result<(), ToolError> {
    run("nft", &["-f", "-"], &transaction(settings)).map(drop)
}

/// Removes the table, if it is there.
pub(super) fn remove() -> Result<(), ToolError> {
    run("nft", &["-f", "-"], &removal(TABLE)).map(drop)
}

/// Is there a table of ours?
pub(super) fn is_present() -> Result<bool, ToolError> {
    let line = format!("table inet {TABLE}");
    Ok(run("nft", &["list", "tables"], "")?.lines().any(|found| found.trim() == line))
}

/// What differs from these settings. The wanted table is loaded too, dormant and under another name, so that nft
/// itself writes down both: how it spells a rule is its own affair and changes with its version.
pub(super) fn findings(settings: &Settings) -> Result<Vec<String>, ToolError> {
    if !is_present()? {
        return Ok(vec![format!("the table inet {TABLE} is missing")]);
    }
    let trial = format!("{TABLE}_check_{}", unique());
    run("nft", &["-f", "-"], &table(settings, &trial, true))?;
    let wanted = list(&trial);
    // Order: it goes before anything is said, also if it could not be listed.
    run("nft", &["-f", "-"], &removal(&trial))?;
    Ok(difference(&nft_lines(&wanted?), &nft_lines(&list(TABLE)?)))
}

/// Without counters.
fn list(name: &str) -> Result<String, ToolError> {
    run("nft", &["-s", "list", "table", "inet", name], "")
}
