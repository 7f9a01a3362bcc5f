//! Loads the nft table, removes it, compares it.

use super::difference::{difference, nft_lines};
use super::ruleset::{TABLE, removal, table, transaction};
use super::tool::{ToolError, run};
use super::{Settings, unique};

/// What the kernel takes of these rules: without knowledge of sockets (`nft_socket`) they lead every connection to the
/// sidecar. Nothing is changed.
pub(super) fn within_reach(settings: &Settings) -> Result<Settings, ToolError> {
    let probe = |settings: &Settings| run("nft", &["-c", "-f", "-"], &transaction(settings));
    let Err(error) = probe(settings) else { return Ok(settings.clone()) };
    let all = Settings { heard_only: false, ..settings.clone() };
    // What else is wrong with them is said of the rules as they were wanted.
    if !settings.heard_only || probe(&all).is_err() {
        return Err(error);
    }
    tracing::warn!(reason = %error, "the sidecar will answer for ports where nobody listens");
    Ok(all)
}

/// Brings the table into force, whatever was there.
pub(super) fn install(settings: &Settings) -> Result<(), ToolError> {
    run("nft", &["-f", "-"], &transaction(&within_reach(settings)?)).map(drop)
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
    run("nft", &["-f", "-"], &table(&within_reach(settings)?, &trial, true))?;
    let wanted = list(&trial);
    // Order: it goes before anything is said, also if it could not be listed.
    run("nft", &["-f", "-"], &removal(&trial))?;
    Ok(difference(&nft_lines(&wanted?), &nft_lines(&list(TABLE)?)))
}

/// Without counters.
fn list(name: &str) -> Result<String, ToolError> {
    run("nft", &["-s", "list", "table", "inet", name], "")
}
