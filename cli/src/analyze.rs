//! `weft analyze`: what is wrong or odd in the configuration. Of directories and files it says what the control plane would say
//! of them; without any, what the control plane says of what it has.
//!
//! The reading is the control plane's own; nothing is checked in here.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weft_control_plane::source::{analyze_directory, analyze_paths};

use crate::admin::Finding;
use crate::args::AnalyzeArgs;
use crate::control_planes;
use crate::environment::Environment;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, Verdict, WARN, clean, styled};

/// Bound: bytes of stdin, as much as of a cluster's largest manifests.
const MAX_STDIN: u64 = 16 << 20;

/// Runs `weft analyze`.
pub(crate) async fn run(
    args: &AnalyzeArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let analysis = match &args.paths[..] {
        [] => Analysis::new(Place::Mesh, ask(args, mesh, environment).await?),
        paths => read(paths)?,
    };
    if analysis.may_lack_the_rest() {
        output.note(
            "what the files refer to is looked for in them alone; name the directory that has the rest too",
        );
    }
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
    place: Place,
    /// There is nothing that a mesh could be made of.
    is_empty: bool,
}

/// What it is about.
#[derive(Debug)]
enum Place {
    /// What a mesh has.
    Mesh,
    /// The files of one directory, which are called as they are in it.
    Directory(PathBuf),
    /// What was named: files, directories, stdin. At least one.
    Paths(Vec<PathBuf>),
}

/// Of references to what does not exist.
const MISSING: &str = "WEFT010";

impl Analysis {
    fn new(place: Place, findings: Vec<Finding>) -> Self {
        Self { findings, place, is_empty: false }
    }

    /// Is something missing that may be in a file which was not named?
    fn may_lack_the_rest(&self) -> bool {
        let missing = |finding: &Finding| finding.code.starts_with(MISSING);
        matches!(self.place, Place::Paths(_)) && self.findings.iter().any(missing)
    }

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

fn read(paths: &[PathBuf]) -> Result<Analysis> {
    let (place, (mesh, findings)) = match paths {
        [one] if one.is_dir() => (Place::Directory(one.clone()), analyze_directory(one)?),
        all => {
            let is_stdin = |path: &PathBuf| path == Path::new("-");
            let text = all.iter().any(is_stdin).then(stdin).transpose()?;
            let named: Vec<PathBuf> = all.iter().filter(|one| !is_stdin(one)).cloned().collect();
            (Place::Paths(all.to_vec()), analyze_paths(&named, text)?)
        }
    };
    let is_empty = findings.is_empty() && mesh == weft_control_plane::model::Mesh::default();
    let findings = serde_json::to_value(findings).context("cannot show the findings")?;
    let findings = serde_json::from_value(findings).context("cannot read the findings")?;
    Ok(Analysis { findings, place, is_empty })
}

/// By its name.
fn stdin() -> Result<(String, String)> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(MAX_STDIN + 1);
    let read = input.read_to_string(&mut text).context("cannot read stdin")?;
    ensure!(read as u64 <= MAX_STDIN, "stdin is longer than {MAX_STDIN} bytes");
    Ok(("stdin".to_owned(), text))
}

impl Place {
    /// For people.
    fn shown(&self) -> String {
        let shown = |path: &PathBuf| match path == Path::new("-") {
            true => "stdin".to_owned(),
            false => clean(&path.display().to_string()).into_owned(),
        };
        match self {
            Self::Mesh => "the configuration in force".to_owned(),
            Self::Directory(directory) => shown(directory),
            Self::Paths(all) => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        }
    }
}

/// All findings and how many there are, or that there is none.
fn draw(analysis: &Analysis) -> String {
    let Analysis { findings, place: of, is_empty } = analysis;
    let place = of.shown();
    if *is_empty {
        let nothing = match of {
            Place::Paths(_) => "no object that Weft reads is in",
            Place::Mesh | Place::Directory(_) => {
                "no object that Weft reads is in any *.yaml or *.yml of"
            }
        };
        return format!("{} {nothing} {place}.", styled(WARN, "‼"));
    }
    if findings.is_empty() {
        return format!("{} Nothing to complain about in {place}.", styled(GOOD, "√"));
    }
    let directory = match of {
        Place::Directory(directory) => Some(directory.as_path()),
        Place::Mesh | Place::Paths(_) => None,
    };
    let one = |finding: &Finding| described(finding, directory);
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
