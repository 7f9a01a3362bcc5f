//! `weft analyze`: what is wrong or odd in the configuration. Of a directory it says what the control plane would say of it;
//! without one, what the control plane says of what it has.
//!
//! The reading is the control plane's own; nothing is checked in here.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use weft_control_plane::source::DirectorySource;

use crate::admin::Finding;
use crate::args::AnalyzeArgs;
use crate::control_planes;
use crate::environment::Environment;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, Verdict, WARN, styled};

/// Runs `weft analyze`.
pub(crate) async fn run(
    args: &AnalyzeArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let (findings, place) = match &args.directory {
        Some(directory) => (read(directory)?, directory.display().to_string()),
        None => (ask(args, mesh, environment).await?, "the configuration in force".to_owned()),
    };
    if output.is_json() {
        output.json(&json!({ "schema_version": 1, "findings": findings }))?;
    } else {
        output.data(&draw(&findings, &place))?;
    }
    let complaint = findings.iter().any(Finding::is_complaint);
    Ok(if complaint { Verdict::Findings } else { Verdict::Fine })
}

/// What the control planes say. Replicas read the same configuration, so each thing is said once.
async fn ask(
    args: &AnalyzeArgs,
    mesh: Option<&str>,
    environment: &Environment,
) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for control_plane in control_planes::find(&args.place, mesh, environment).await? {
        let of_one: Vec<Finding> =
            control_plane.get("/v1/analysis").await.context("cannot ask for the findings")?;
        for finding in of_one {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    Ok(findings)
}

fn read(directory: &Path) -> Result<Vec<Finding>> {
    let source = DirectorySource::open(directory)?;
    let findings = source.findings();
    let findings =
        serde_json::to_value(&**findings.borrow()).context("cannot show the findings")?;
    serde_json::from_value(findings).context("cannot read the findings")
}

/// All findings and how many there are, or that there is none.
fn draw(findings: &[Finding], directory: &str) -> String {
    if findings.is_empty() {
        return format!("{} Nothing to complain about in {directory}.", styled(GOOD, "√"));
    }
    let mut text: Vec<String> = findings.iter().map(describe).collect();
    text.push(format!("{} in {directory}.", count(findings)));
    text.join("\n")
}

/// One finding: what, where, how to mend it.
pub(crate) fn describe(finding: &Finding) -> String {
    let (mark, style) = match finding.severity.as_str() {
        "error" => ("×", BAD),
        "warning" => ("‼", WARN),
        _ => ("·", FAINT),
    };
    let place = match (finding.file.is_empty(), finding.line) {
        (true, _) => String::new(),
        (false, 0) => format!("  {}", finding.file),
        (false, line) => format!("  {}:{line}", finding.file),
    };
    let field = if finding.field.is_empty() { "" } else { ": " };
    let mut text = format!(
        "{} {} {}{place}\n    {}{field}{}",
        styled(style, mark),
        styled(style, &finding.code),
        styled(STRONG, &finding.object),
        finding.field,
        finding.message
    );
    if !finding.hint.is_empty() {
        text.push_str(&styled(FAINT, &format!("\n    fix: {}", finding.hint)));
    }
    text
}

/// `2 errors, 1 warning`.
pub(crate) fn count(findings: &[Finding]) -> String {
    let of = |severity: &str| findings.iter().filter(|found| found.severity == severity).count();
    let words = [(of("error"), "error"), (of("warning"), "warning"), (of("info"), "note")];
    let words: Vec<String> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests;
