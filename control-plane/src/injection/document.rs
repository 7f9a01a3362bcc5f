//! Injection for whole documents: pods, everything with a pod template, and lists of them.
//!
//! Called by `weft inject` and `weft uninject`. What has no pods passes through as it is. A document keeps its fields and
//! their order; one that cannot be injected stays whole, and the report says why.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::{ANNOTATIONS, Facts, Outcome, Owner, Settings, Skip, addition, inject};

/// Kinds with pods, and where their pod template lies.
const TEMPLATES: [(&str, &[&str]); 8] = [
    ("Pod", &[]),
    ("Deployment", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("ReplicationController", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `deployment/web`.
    pub object: String,
    /// What was done with it.
    pub change: Change,
    /// What its owner should hear.
    pub warnings: Vec<String>,
}

/// What was done with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It got a sidecar.
    Injected,
    /// It stays as it is, though it has pods.
    Skipped(Skip),
    /// Its sidecar was taken out.
    Uninjected,
    /// It had no sidecar to take out.
    NotInjected,
    /// It has no pods.
    NoPods,
    /// It stays as it is, and must not be applied like this: why.
    Refused(String),
}

/// Gives every pod template in `document` a sidecar.
#[must_use]
pub fn inject_document(mut document: Value, settings: &Settings) -> (Value, Vec<Report>) {
    let reports = each(&mut document, None, &|object, kind, place| {
        inject_object(object, kind, place, settings)
    });
    (document, reports)
}

/// The inverse: takes every sidecar out of `document`.
#[must_use]
pub fn uninject_document(mut document: Value) -> (Value, Vec<Report>) {
    let reports = each(&mut document, None, &|object, _, place| {
        let template = place.iter().try_fold(object, |value, key| value.get_mut(key));
        let removed = template.is_some_and(addition::remove);
        (if removed { Change::Uninjected } else { Change::NotInjected }, Vec::new())
    });
    (document, reports)
}

/// What is done with an object of a kind, whose template lies at a place.
type Action<'a> = &'a dyn Fn(&mut Value, &str, &[&str]) -> (Change, Vec<String>);

/// Walks through lists. `implied` is the kind of the elements of a `PodList` and its like, which need not say it. Bound:
/// the parsers bound the depth of a document.
fn each(object: &mut Value, implied: Option<&str>, action: Action<'_>) -> Vec<Report> {
    let kind =
        object.get("kind").and_then(Value::as_str).or(implied).unwrap_or_default().to_owned();
    if let (Some(elements), Some(items)) =
        (kind.strip_suffix("List"), object.get_mut("items").and_then(Value::as_array_mut))
    {
        let implied = Some(elements).filter(|elements| !elements.is_empty());
        return items.iter_mut().flat_map(|item| each(item, implied, action)).collect();
    }
    let name = title(object, &kind);
    let template = TEMPLATES.iter().find(|(known, _)| *known == kind);
    let (change, warnings) = match template {
        Some((kind, place)) => action(object, kind, place),
        None => (Change::NoPods, Vec::new()),
    };
    vec![Report { object: name, change, warnings }]
}

fn inject_object(
    object: &mut Value,
    kind: &str,
    place: &[&str],
    settings: &Settings,
) -> (Change, Vec<String>) {
    let Some(template) = place.iter().try_fold(&*object, |value, key| value.get(key)) else {
        return (Change::Refused(format!("there is no {}", place.join("."))), Vec::new());
    };
    let within = if place.is_empty() { String::new() } else { place.join(".") + "." };
    let pod = match pod(template) {
        Ok(pod) => pod,
        Err(error) => return (Change::Refused(format!("{within}{error}")), Vec::new()),
    };
    // A pod of a file has no owner; a template's owner is the object around it.
    let facts =
        Facts { owner: if place.is_empty() { Owner::of(&pod) } else { owner(object, kind) } };
    let decision = match inject(&pod, settings, &facts) {
        Ok(decision) => decision,
        Err(denial) => return (Change::Refused(format!("{within}{denial}")), Vec::new()),
    };
    let mut warnings = misplaced(object, place);
    warnings.extend(decision.warnings.into_iter().map(|warning| format!("{within}{warning}")));
    match decision.outcome {
        // The change says it already.
        Outcome::Skipped(skip) => (Change::Skipped(skip), Vec::new()),
        Outcome::Injected(addition) => {
            let patch = addition.patch(template, place);
            let patched = patch.map_err(|error| error.to_string()).and_then(|patch| {
                json_patch::patch(object, &patch).map_err(|error| error.to_string())
            });
            match patched {
                Ok(()) => (Change::Injected, warnings),
                Err(error) => (Change::Refused(error), warnings),
            }
        }
    }
}

/// The template as a pod.
fn pod(template: &Value) -> Result<Pod, String> {
    let part = |key: &str| template.get(key).filter(|value| !value.is_null()).cloned();
    let mut pod = Pod::default();
    if let Some(metadata) = part("metadata") {
        pod.metadata = serde_path_to_error::deserialize(metadata)
            .map_err(|error| wrong("metadata", &error))?;
    }
    let spec = part("spec").ok_or("spec: is missing")?;
    pod.spec = serde_path_to_error::deserialize(spec).map_err(|error| wrong("spec", &error))?;
    Ok(pod)
}

/// `spec.containers[0].args[1]: invalid type …`.
fn wrong(part: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match error.path().to_string().as_str() {
        "." => format!("{part}: {}", error.inner()),
        path => format!("{part}.{path}: {}", error.inner()),
    }
}

fn owner(object: &Value, kind: &str) -> Option<Owner> {
    let name = object.pointer("/metadata/name")?.as_str()?.to_owned();
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    Some(Owner {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name,
        uid: String::new(),
    })
}

/// `deployment/web`.
fn title(object: &Value, kind: &str) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName"));
    let kind = if kind.is_empty() { "object" } else { kind };
    format!("{}/{}", kind.to_lowercase(), name.unwrap_or("?"))
}

/// Annotations of ours that were written one level too high, where nobody reads them.
fn misplaced(object: &Value, place: &[&str]) -> Vec<String> {
    let Some(annotations) = object.pointer("/metadata/annotations").filter(|_| !place.is_empty())
    else {
        return Vec::new();
    };
    let known = ANNOTATIONS.iter().filter(|known| annotations.get(known.name).is_some());
    known
        .map(|known| {
            format!(
                "metadata.annotations[{}]: has no effect here; write it in {}.metadata",
                known.name,
                place.join(".")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
