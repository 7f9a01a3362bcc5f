//! What to try next, in words that can be pasted into a shell. Pure.

use crate::admin::Finding;
use crate::analyze;
use crate::environment::Environment;
use crate::output::{BAD, STRONG, styled};

/// What to try, with this mesh and these manifests.
pub(super) fn next(environment: &Environment, mesh: &str, manifests: &str) -> String {
    let weft = if mesh == super::NAME {
        environment.invoked_as()
    } else {
        format!("{} --mesh {mesh}", environment.invoked_as())
    };
    let command = |command: &str| styled(STRONG, &format!("{weft} {command}"));
    let canary = styled(STRONG, &format!("{manifests}/product-canary.yaml"));
    [
        format!(
            "Something is wrong in this shop. Find it:  {}, or open the dashboard",
            command("stat edges")
        ),
        format!("Ask why a request failed:                  {}", command("why")),
        format!(
            "See what a sidecar has:                    {}",
            command("proxy-config routes gateway")
        ),
        format!("Shift traffic to product v2:               edit {canary}"),
        format!("  and watch it:                            {}", command("stat routes --watch")),
        "Stop: Ctrl-C".to_owned(),
    ]
    .join("\n")
}

/// What is wrong with the manifests, if anything is.
pub(super) fn complaint(
    findings: &[Finding],
    environment: &Environment,
    manifests: &str,
) -> Option<String> {
    let complaints: Vec<Finding> =
        findings.iter().filter(|finding| finding.is_complaint()).cloned().collect();
    let first = complaints.first()?;
    let place = match first.line {
        0 => first.file.clone(),
        line => format!("{}:{line}", first.file),
    };
    Some(format!(
        "{} {} in the manifests, the first: {place} {} {}\n  See them:  {}",
        styled(BAD, "×"),
        analyze::count(&complaints),
        first.object,
        first.message,
        styled(STRONG, &format!("{} analyze {manifests}", environment.invoked_as())),
    ))
}

#[cfg(test)]
mod tests;
