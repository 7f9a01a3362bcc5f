//! `weft check`: is the installation sound? Machine, control plane, sidecars, configuration; or the same of a
//! cluster.
//!
//! Gathers first (`gather`, `cluster`), judges then (`machine`, `planes`, `kubernetes`, `meshed`: pure), and
//! prints last. Every complaint says how to mend it, with a command that can be pasted wherever there is one. The
//! JSON has the form of linkerd's, which tools know.

mod certificate;
mod cluster;
mod gather;
mod kubernetes;
mod machine;
mod meshed;
mod planes;
mod traces;

pub(crate) use certificate::MEND as MEND_CERTIFICATE;
pub(crate) use traces::MEND as MEND_TRACES;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use crate::args::CheckArgs;
use crate::environment::Environment;
use crate::moment::Moment;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, Verdict, WARN, styled};
use crate::shell::Shell;

/// Runs `weft check`.
pub(crate) async fn run(
    args: &CheckArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let shell = Shell::new(&environment.invoked_as(), mesh, &args.place.cluster);
    let categories = if args.place.means_a_cluster() {
        // Boxed, here and below: what asks a cluster is far larger than what asks a socket.
        let cluster = Box::pin(cluster::gather(&args.place.cluster)).await;
        kubernetes::judge(&cluster, &shell, true, Moment::now())
    } else {
        here(args, mesh, environment, &shell).await?
    };
    if output.is_json() {
        output.json(&shape(&categories))?;
    } else {
        output.data(&draw(&categories))?;
    }
    Ok(if count(&categories, Grade::Error) == 0 { Verdict::Fine } else { Verdict::Findings })
}

/// This machine and its mesh; where it has none, the cluster that its kubeconfig names.
async fn here(
    args: &CheckArgs,
    mesh: Option<&str>,
    environment: &Environment,
    shell: &Shell,
) -> Result<Vec<Category>> {
    let facts = gather::gather(mesh, environment).await?;
    let mut categories = vec![machine::judge(&facts.machine)];
    if facts.mesh.is_none() && mesh.is_none() && environment.has_kubeconfig {
        let cluster = Box::pin(cluster::gather(&args.place.cluster)).await;
        categories.extend(kubernetes::judge(&cluster, shell, false, facts.now));
    } else {
        categories.extend(planes::judge(facts.mesh.as_ref(), shell, facts.now));
    }
    Ok(categories)
}

/// A group of checks under one heading.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Category {
    category_name: &'static str,
    checks: Vec<Check>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Success,
    Warning,
    Error,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
struct Check {
    description: String,
    result: Grade,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How to mend it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What to type, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

/// How to mend it.
#[derive(Clone, Debug)]
struct Fix {
    words: String,
    command: Option<String>,
}

/// In words, and what to type where that does it or says more.
fn fix(words: impl Into<String>, command: impl Into<String>) -> Fix {
    Fix { words: words.into(), command: Some(command.into()) }
}

impl From<&str> for Fix {
    fn from(words: &str) -> Self {
        Self { words: words.to_owned(), command: None }
    }
}

impl Check {
    fn good(description: impl Into<String>) -> Self {
        let description = description.into();
        Self { description, result: Grade::Success, error: None, hint: None, command: None }
    }

    fn warning(
        description: impl Into<String>,
        error: impl Into<String>,
        fix: impl Into<Fix>,
    ) -> Self {
        let Fix { words, command } = fix.into();
        Self {
            description: description.into(),
            result: Grade::Warning,
            error: Some(error.into()),
            hint: Some(words),
            command,
        }
    }

    fn bad(description: impl Into<String>, error: impl Into<String>, fix: Fix) -> Self {
        Self { result: Grade::Error, ..Self::warning(description, error, fix) }
    }
}

fn count(categories: &[Category], grade: Grade) -> usize {
    let checks = categories.iter().flat_map(|category| &category.checks);
    checks.filter(|check| check.result == grade).count()
}

fn shape(categories: &[Category]) -> serde_json::Value {
    json!({ "success": count(categories, Grade::Error) == 0, "categories": categories })
}

fn draw(categories: &[Category]) -> String {
    let mut lines = Vec::new();
    for category in categories {
        lines.push(styled(STRONG, category.category_name));
        lines.push("-".repeat(category.category_name.chars().count()));
        for check in &category.checks {
            let (mark, style) = match check.result {
                Grade::Success => ("√", GOOD),
                Grade::Warning => ("‼", WARN),
                Grade::Error => ("×", BAD),
            };
            lines.push(format!("{} {}", styled(style, mark), check.description));
            let error = check.error.iter().flat_map(|error| error.lines());
            lines.extend(error.map(|line| format!("    {line}")));
            lines.extend(check.hint.iter().map(|hint| styled(FAINT, &format!("    fix: {hint}"))));
            // On a line of its own, to be taken as it is.
            lines.extend(check.command.iter().map(|command| format!("         {command}")));
        }
        lines.push(String::new());
    }
    lines.push(format!("Status: {}", status(categories)));
    lines.join("\n")
}

/// `× not sound: 1 error, 2 warnings`.
fn status(categories: &[Category]) -> String {
    let (errors, warnings) = (count(categories, Grade::Error), count(categories, Grade::Warning));
    let words = [(errors, "error"), (warnings, "warning")];
    let words: Vec<String> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    match (errors, warnings) {
        (0, 0) => styled(GOOD, "√ sound"),
        (0, _) => format!("{}, {}", styled(GOOD, "√ sound"), words.join(", ")),
        _ => format!("{}: {}", styled(BAD, "× not sound"), words.join(", ")),
    }
}

#[cfg(test)]
mod tests;
