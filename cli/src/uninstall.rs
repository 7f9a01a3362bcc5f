//! `weft uninstall`: deletes through the API server what `weft install` installs and what the control plane has
//! made since.
//!
//! What and in which order is decided first (`plan`, pure). Never while pods are meshed, unless forced: their
//! sidecars would lose who renews their certificates.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use crate::args::UninstallArgs;
use crate::cluster::{self, Unanswered};
use crate::environment::shell_quoted;
use crate::output::{BAD, Output, Verdict, styled};
use crate::shell::Shell;
use plan::{TRUST_BUNDLE, Target};

/// Bound: namespaces in one command.
const SHOWN: usize = 5;

/// Runs `weft uninstall`.
pub(crate) async fn run(args: &UninstallArgs, output: &Output) -> Result<Verdict> {
    let client = cluster::connect(&args.cluster).await?;
    let pods = cluster::pods(&client).await.context("cannot list pods")?;
    let meshed = cluster::meshed(&pods);
    if !meshed.is_empty() && !args.force {
        if output.is_json() {
            output.json(&json!({ "schema_version": 1, "meshed": meshed, "deleted": [] }))?;
        } else {
            output.data(&refusal(&meshed, &Shell::new("weft", None, &args.cluster)))?;
        }
        return Ok(Verdict::Findings);
    }
    let bundles = ListParams::default().fields(&format!("metadata.name={TRUST_BUNDLE}"));
    let bundles = cluster::list(&Api::<ConfigMap>::all(client.clone()), bundles).await;
    let bundles = bundles.context("cannot list ConfigMaps")?;
    let namespaces = bundles.into_iter().filter_map(|found| found.metadata.namespace);
    let namespaces: Vec<String> = namespaces.collect();
    let mut deleted = Vec::new();
    for target in plan::plan(&namespaces)? {
        if delete(&client, &target, args.dry_run).await? {
            if !output.is_json() {
                let done = if args.dry_run { "would delete" } else { "deleted" };
                output.data(&format!("{done} {target}"))?;
            }
            deleted.push(target.to_string());
        }
    }
    if output.is_json() {
        output.json(&json!({ "schema_version": 1, "meshed": meshed, "deleted": deleted }))?;
    } else if deleted.is_empty() {
        output.note("there was nothing of Weft");
    }
    Ok(Verdict::Fine)
}

/// Deletes one; `false` if it is not there. With the Kubernetes API a dry run is asked of the server, which
/// then also says whether it would be allowed.
async fn delete(client: &Client, target: &Target, dry_run: bool) -> Result<bool> {
    let resource = ApiResource::from_gvk(&GroupVersionKind {
        group: target.group.clone(),
        version: target.version.clone(),
        kind: target.kind.clone(),
    });
    let api: Api<DynamicObject> = match &target.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = DeleteParams { dry_run, ..DeleteParams::background() };
    match api.delete(&target.name, &params).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => {
            Err(Unanswered::from(error)).with_context(|| format!("cannot delete {target}"))
        }
    }
}

/// `× 12 pods in 3 namespaces are still meshed: shop (5), billing (6), ops (1)`.
fn refusal(meshed: &BTreeMap<String, usize>, shell: &Shell) -> String {
    let pods: usize = meshed.values().sum();
    let names: Vec<String> =
        meshed.iter().map(|(namespace, count)| format!("{namespace} ({count})")).collect();
    let plural = |count: usize, word: &str| {
        if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
    };
    let verb = if pods == 1 { "is" } else { "are" };
    let rest = if meshed.len() > SHOWN { ", and so on with the others" } else { "" };
    let shown: Vec<&str> = meshed.keys().take(SHOWN).map(String::as_str).collect();
    let one = |namespace: &&str| {
        shell.kubectl(&format!("label namespace {} weft.dev/inject-", shell_quoted(namespace)))
    };
    let labels = shown.iter().map(one).collect::<Vec<_>>().join("; ");
    format!(
        "{} {} in {} {verb} still meshed: {}\n    fix: have them start without sidecars{rest}, or leave them as they are with \
         --force\n         {labels}; {}",
        styled(BAD, "×"),
        plural(pods, "pod"),
        plural(meshed.len(), "namespace"),
        names.join(", "),
        shell.restart(&shown)
    )
}
