//! Which objects of some manifests have a status that Weft writes. Pure.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Bound: objects that are waited for.
const MAX_OBJECTS: usize = 10_000;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// `HTTPRoute shop/web`.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    /// Each once.
    pub(super) wanted: BTreeSet<Wanted>,
    /// Objects of other kinds, and routes of Gateways.
    pub(super) others: usize,
}

impl Manifests {
    /// Takes in the documents of one file, YAML or JSON.
    ///
    /// # Errors
    /// It is neither.
    pub(super) fn add(&mut self, text: &str, namespace: &str) -> Result<()> {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).context("it is neither YAML nor JSON")?;
        for document in documents {
            if document["kind"] == "List" {
                for item in document["items"].as_array().into_iter().flatten() {
                    self.add_object(item, namespace)?;
                }
            } else if !document.is_null() {
                self.add_object(&document, namespace)?;
            }
        }
        Ok(())
    }

    fn add_object(&mut self, object: &Value, namespace: &str) -> Result<()> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&object["kind"]);
        let is_ours = plural(&text(&object["apiVersion"]), &kind).is_some();
        let is_gateways = kind.ends_with("Route") && !has_service(object);
        if !is_ours || is_gateways {
            self.others += 1;
            return Ok(());
        }
        let metadata = &object["metadata"];
        let name = text(&metadata["name"]);
        ensure!(!name.is_empty(), "a {kind} has no name");
        let namespace = metadata["namespace"].as_str().unwrap_or(namespace).to_owned();
        self.wanted.insert(Wanted { kind, namespace, name });
        ensure!(self.wanted.len() <= MAX_OBJECTS, "more than {MAX_OBJECTS} objects");
        Ok(())
    }
}

/// Has the route a parent that is Weft's business?
pub(super) fn has_service(route: &Value) -> bool {
    let parents = route["spec"]["parentRefs"].as_array().into_iter().flatten();
    let mut parents = parents.filter(|parent| is_service(parent));
    parents.next().is_some()
}

/// Is the parentRef to a Service?
pub(super) fn is_service(parent: &Value) -> bool {
    let group = parent["group"].as_str();
    matches!(group, Some("" | "core")) && parent["kind"] == "Service"
}

/// The name of a kind in the API's paths, if Weft gives it a status.
pub(super) fn plural(api_version: &str, kind: &str) -> Option<&'static str> {
    let group = api_version.split('/').next().unwrap_or_default();
    Some(match (group, kind) {
        ("gateway.networking.k8s.io", "HTTPRoute") => "httproutes",
        ("gateway.networking.k8s.io", "GRPCRoute") => "grpcroutes",
        ("weft.dev", "TrafficPolicy") => "trafficpolicies",
        ("weft.dev", "AccessPolicy") => "accesspolicies",
        ("weft.dev", "InboundPolicy") => "inboundpolicies",
        ("weft.dev", "TelemetryPolicy") => "telemetrypolicies",
        ("weft.dev", "MeshConfig") => "meshconfigs",
        ("weft.dev", "MeshWorkload") => "meshworkloads",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
