//! `weft analyze`: what is wrong or odd in the configuration. Of a directory it says what the control plane would say of it;
//! without one, what the control plane says of what it has.
//!
//! The reading is the control plane's own; nothing is checked in here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use weft_control_plane::source::analyze_directory;

use crate::admin::Finding;
use crate::args::AnalyzeArgs;
use crate::control_planes;
use crate::environment::Environment;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, Verdict, WARN, clean, styled};

/// Runs `weft analyze`.
pub(crate) async fn run(
    args: &AnalyzeArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let analysis = match &args.directory {
        Some(directory) => read(directory)?,
        None => Analysis {
            findings: ask(args, mesh, environment).await?,
            directory: None,
            is_empty: false,
        },
    };
    if output.is_json() {
        output.json(&analysis.to_json())?;
    } else {
        output.data(&draw(&analysis))?;
    }
    let complaint = analysis.findings.iter().any(Finding::is_complaint);
    Ok(if complaint { Verdict::Findings } else { Verdict::Fine })
}

/// What is to be said.
#[derive(Debug)]
struct Analysis {
    findings: Vec<Finding>,
    /// Whose files they are about; a mesh's own configuration otherwise.
    directory: Option<PathBuf>,
    /// There is nothing that a mesh could be made of.
    is_empty: bool,
}

impl Analysis {
    fn to_json(&self) -> Value {
        json!({ "schema_version": 1, "findings": self.findings })
    }
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

fn read(directory: &Path) -> Result<Analysis> {
    if directory.is_file() {
        bail!(
            "{} is a file; name the directory that it is in: what it refers to is looked for there",
            directory.display()
        );
    }
    let (mesh, findings) = analyze_directory(directory)?;
    let is_empty = findings.is_empty() && mesh == weft_control_plane::model::Mesh::default();
    let findings = serde_json::to_value(findings).context("cannot show the findings")?;
    let findings = serde_json::from_value(findings).context("cannot read the findings")?;
    Ok(Analysis { findings, directory: Some(directory.to_owned()), is_empty })
}

/// All findings and how many there are, or that there is none.
fn draw(analysis: &Analysis) -> String {
    let Analysis { findings, directory, is_empty } = analysis;
    let place = directory.as_ref().map_or_else(
        || "the configuration in force".to_owned(),
        |directory| clean(&directory.display().to_string()).into_owned(),
    );
    if *is_empty {
        let nothing = "no object that Weft reads is in any *.yaml or *.yml of";
        return format!("{} {nothing} {place}.", styled(WARN, "‼"));
    }
    if findings.is_empty() {
        return format!("{} Nothing to complain about in {place}.", styled(GOOD, "√"));
    }
    let one = |finding: &Finding| described(finding, directory.as_deref());
    let mut text: Vec<String> = findings.iter().map(one).collect();
    text.push(format!("{} in {place}.", count(findings)));
    text.join("\n")
}

/// One finding: what, where, how to mend it.
pub(crate) fn describe(finding: &Finding) -> String {
    described(finding, None)
}

/// The same; the place as it can be opened from here, where it is known in which directory the file is.
fn described(finding: &Finding, directory: Option<&Path>) -> String {
    let (mark, style) = match finding.severity.as_str() {
        "error" => ("×", BAD),
        "warning" => ("‼", WARN),
        _ => ("·", FAINT),
    };
    let file = match directory {
        Some(directory) => directory.join(&finding.file).display().to_string(),
        None => finding.file.clone(),
    };
    let place = match (finding.file.is_empty(), finding.line) {
        (true, _) => String::new(),
        (false, 0) => format!("  {}", clean(&file)),
        (false, line) => format!("  {}:{line}", clean(&file)),
    };
    let field = if finding.field.is_empty() { "" } else { ": " };
    let object = match finding.object.is_empty() {
        true => String::new(),
        false => format!(" {}", styled(STRONG, &clean(&finding.object))),
    };
    let mut text = format!(
        "{} {}{object}{place}\n    {}{field}{}",
        styled(style, mark),
        styled(style, &finding.code),
        clean(&finding.field),
        clean(&finding.message)
    );
    if !finding.hint.is_empty() {
        text.push_str(&styled(FAINT, &format!("\n    fix: {}", clean(&finding.hint))));
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
