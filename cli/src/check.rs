//! `weft check`: is the installation sound? Machine, control plane, sidecars, configuration; or the same of a
//! cluster.
//!
//! Gathers first (`gather`, `cluster`), judges then (`machine`, `planes`, `kubernetes`, `meshed`: pure), and
//! prints last. Every complaint says how to mend it. The JSON has the form of linkerd's, which tools know.

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

/// Runs `weft check`.
pub(crate) async fn run(
    args: &CheckArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let categories = if args.place.means_a_cluster() {
        // Boxed, here and below: what asks a cluster is far larger than what asks a socket.
        kubernetes::judge(
            &Box::pin(cluster::gather(&args.place.cluster)).await?,
            true,
            Moment::now(),
        )
    } else {
        here(args, mesh, environment).await?
    };
    let sound =
        categories.iter().flat_map(|category| &category.checks).all(|check| match check.result {
            Grade::Success | Grade::Warning => true,
            Grade::Error => false,
        });
    if output.is_json() {
        output.json(&json!({ "success": sound, "categories": categories }))?;
    } else {
        output.data(&draw(&categories, sound))?;
    }
    Ok(if sound { Verdict::Fine } else { Verdict::Findings })
}

/// This machine and its mesh; where it has none, the cluster that its kubeconfig names.
async fn here(
    args: &CheckArgs,
    mesh: Option<&str>,
    environment: &Environment,
) -> Result<Vec<Category>> {
    let facts = gather::gather(mesh, environment).await?;
    let mut categories = vec![machine::judge(&facts.machine)];
    if facts.mesh.is_none() && mesh.is_none() && environment.has_kubeconfig {
        let cluster = Box::pin(cluster::gather(&args.place.cluster)).await;
        let cluster = cluster.unwrap_or_else(|error| cluster::Cluster::away(&format!("{error:#}")));
        categories.extend(kubernetes::judge(&cluster, false, facts.now));
    } else {
        categories.extend(planes::judge(facts.mesh.as_ref(), &environment.invoked_as(), facts.now));
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
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn good(description: impl Into<String>) -> Self {
        Self { description: description.into(), result: Grade::Success, error: None, hint: None }
    }

    fn warning(
        description: impl Into<String>,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            description: description.into(),
            result: Grade::Warning,
            error: Some(error.into()),
            hint: Some(hint.into()),
        }
    }

    fn bad(
        description: impl Into<String>,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { result: Grade::Error, ..Self::warning(description, error, hint) }
    }
}

fn draw(categories: &[Category], sound: bool) -> String {
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
            lines.extend(check.error.iter().map(|error| format!("    {error}")));
            lines.extend(check.hint.iter().map(|hint| styled(FAINT, &format!("    fix: {hint}"))));
        }
        lines.push(String::new());
    }
    lines.push(format!(
        "Status: {}",
        if sound { styled(GOOD, "√ sound") } else { styled(BAD, "× not sound") }
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests;
