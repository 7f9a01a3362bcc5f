//! `weft install`: prints what `kubectl apply --server-side -f -` installs. The same bytes as
//! `k8s/install.yaml` unless flags ask for something else, and with `-o json` the same objects.
//!
//! It talks to no cluster. Words are replaced in the text, each exactly as often as it must stand there: a
//! manifest that has changed its form is an error, never a manifest with half of the images of another
//! registry.

#[cfg(test)]
mod tests;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::args::InstallArgs;
use crate::inject::text;
use crate::output::{Output, Verdict};
use crate::version::VERSION;

/// The whole installation.
pub(crate) const MANIFEST: &str = include_str!("../../k8s/install.yaml");
/// What more than one replica adds.
pub(crate) const DISRUPTION_BUDGET: &str =
    include_str!("../../k8s/overlays/ha/disruption-budget.yaml");

/// Where the images are where nobody says otherwise.
const REGISTRY: &str = "weft.dev";
/// Each stands in the manifest once.
const IMAGES: [&str; 3] = ["weft-control-plane", "weft-proxy", "weft-init"];
const REPLICAS: u32 = 2;

/// Runs `weft install`.
pub(crate) fn run(args: &InstallArgs, output: &Output) -> Result<Verdict> {
    let text = render(args)?;
    if output.is_json() {
        output.json(&as_json(&text)?)?;
    } else {
        output.raw(&text)?;
    }
    Ok(Verdict::Fine)
}

/// The same objects as one value, which kubectl takes as well.
fn as_json(text: &str) -> Result<Value> {
    Ok(text::list(text::parse(text)?.documents))
}

fn render(args: &InstallArgs) -> Result<String> {
    let mut text = MANIFEST.to_owned();
    let registry = args.registry.as_deref().unwrap_or(REGISTRY);
    let version = args.version.as_deref().unwrap_or(VERSION);
    for image in IMAGES {
        let (from, to) =
            (format!("{REGISTRY}/{image}:{VERSION}"), format!("{registry}/{image}:{version}"));
        text = replace(&text, &from, &to, 1)?;
    }
    let label = |version: &str| format!("app.kubernetes.io/version: \"{version}\"");
    text = replace(&text, &label(VERSION), &label(version), 2)?;
    if args.ha {
        let replicas = |count: u32| format!("\n  replicas: {count}\n");
        text = replace(&text, &replicas(1), &replicas(REPLICAS), 1)?;
        text.push_str("---\n");
        text.push_str(DISRUPTION_BUDGET);
    }
    Ok(text)
}

fn replace(text: &str, from: &str, to: &str, times: usize) -> Result<String> {
    let found = text.matches(from).count();
    ensure!(found == times, "{from:?} stands {found} times in the manifest instead of {times}");
    Ok(text.replace(from, to))
}
