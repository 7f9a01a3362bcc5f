//! What is deleted, in which order. Pure.
//!
//! Order: the webhook first, so that no pod waits for a control plane that is going; then the control plane, so
//! that it makes nothing anew; then what it had made; the definitions of our kinds and the namespace last.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::install::{DISRUPTION_BUDGET, MANIFEST};

/// What sidecars trust, in every namespace with meshed pods.
pub(super) const TRUST_BUNDLE: &str = "weft-trust-bundle";
const NAMESPACE: &str = "weft-system";
/// What the control plane makes for itself.
const MADE: [(&str, &str, &str, &str); 3] = [
    ("", "v1", "Secret", "weft-ca"),
    ("", "v1", "Secret", "weft-webhook"),
    ("coordination.k8s.io", "v1", "Lease", "weft-control-plane"),
];

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    /// `None`: of the whole cluster.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// All of them; `bundles` are the namespaces with a trust bundle.
///
/// # Errors
/// The manifest that is built in is not one.
pub(super) fn plan(bundles: &[String]) -> Result<Vec<Target>> {
    let mut installed: Vec<Target> = Vec::new();
    for document in [MANIFEST, DISRUPTION_BUDGET].into_iter().flat_map(|text| text.split("\n---\n"))
    {
        let value: Value = serde_saphyr::from_str(document).context("the manifest is not YAML")?;
        if !value.is_null() {
            installed
                .push(target(&value).context("the manifest holds something else than objects")?);
        }
    }
    // As it was installed, from the end.
    installed.reverse();
    let is_late =
        |target: &Target| matches!(target.kind.as_str(), "CustomResourceDefinition" | "Namespace");
    let (late, mut plan): (Vec<Target>, Vec<Target>) = installed.into_iter().partition(is_late);
    plan.sort_by_key(|target| target.kind != "MutatingWebhookConfiguration");
    plan.extend(
        MADE.map(|(group, version, kind, name)| made(group, version, kind, NAMESPACE, name)),
    );
    plan.extend(
        bundles.iter().map(|namespace| made("", "v1", "ConfigMap", namespace, TRUST_BUNDLE)),
    );
    plan.extend(late);
    Ok(plan)
}

fn target(object: &Value) -> Option<Target> {
    let (group, version) = match object["apiVersion"].as_str()?.split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", object["apiVersion"].as_str()?),
    };
    let metadata = &object["metadata"];
    Some(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: object["kind"].as_str()?.to_owned(),
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        name: metadata["name"].as_str()?.to_owned(),
    })
}

fn made(group: &str, version: &str, kind: &str, namespace: &str, name: &str) -> Target {
    Target {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}
