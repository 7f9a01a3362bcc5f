//! What a pod gets, as a JSON patch, and its inverse.
//!
//! Made by `shape`; used by the webhook for pods and by `document` for pod templates. The patch is computed on the document as
//! it was sent: fields that this program does not know stay untouched.

use std::collections::BTreeMap;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use k8s_openapi::api::core::v1::{Container, Volume};
use serde_json::{Map, Value};

use super::shape::{DEFAULT_CONTAINER, VOLUMES};
use super::{INIT_CONTAINER, INJECT, INJECTED, INJECTED_BY, INJECTED_METADATA, PROXY_CONTAINER};

/// What a pod gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    /// At the head of `spec.initContainers`, in this order.
    pub init_containers: Vec<Container>,
    /// At the end of `spec.volumes`.
    pub volumes: Vec<Volume>,
    /// Names that the pod does not have.
    pub annotations: BTreeMap<String, String>,
    /// Names that the pod does not have.
    pub labels: BTreeMap<String, String>,
}

impl Addition {
    /// The patch that adds it to the pod, or pod template, that lies in a document at `place`, a list of keys.
    ///
    /// # Errors
    /// Never expected: if an object of Kubernetes cannot be JSON.
    pub fn patch(&self, pod: &Value, place: &[&str]) -> Result<Patch, serde_json::Error> {
        let mut patch = Adding { pod, place, operations: Vec::new() };
        patch.parent(&["metadata"], Value::Object(Map::new()));
        for (kind, added) in [("annotations", &self.annotations), ("labels", &self.labels)] {
            if !added.is_empty() {
                patch.parent(&["metadata", kind], Value::Object(Map::new()));
            }
            for (name, value) in added {
                patch.add(&["metadata", kind, name], value.clone().into());
            }
        }
        patch.parent(&["spec", "initContainers"], Value::Array(Vec::new()));
        for (index, container) in self.init_containers.iter().enumerate() {
            let index = index.to_string();
            patch.add(&["spec", "initContainers", &index], serde_json::to_value(container)?);
        }
        patch.parent(&["spec", "volumes"], Value::Array(Vec::new()));
        for volume in &self.volumes {
            patch.add(&["spec", "volumes", "-"], serde_json::to_value(volume)?);
        }
        Ok(Patch(patch.operations))
    }
}

struct Adding<'a> {
    pod: &'a Value,
    place: &'a [&'a str],
    operations: Vec<PatchOperation>,
}

impl Adding<'_> {
    fn add(&mut self, path: &[&str], value: Value) {
        let path = PointerBuf::from_tokens(self.place.iter().chain(path).copied());
        self.operations.push(PatchOperation::Add(AddOperation { path, value }));
    }

    /// Makes what is added to, where it is absent or null.
    fn parent(&mut self, path: &[&str], empty: Value) {
        let found = path.iter().try_fold(self.pod, |value, key| value.get(key));
        if found.is_none_or(Value::is_null) {
            self.add(path, empty);
        }
    }
}

/// Takes everything out of `pod` that an [`Addition`] puts in. Returns whether there was anything.
pub(super) fn remove(pod: &mut Value) -> bool {
    let Some(pod) = pod.as_object_mut() else { return false };
    let Some(metadata) = child(pod, "metadata") else { return false };
    let Some(annotations) = child(metadata, "annotations") else { return false };
    if annotations.shift_remove(INJECTED).is_none() {
        return false;
    }
    annotations.shift_remove(INJECTED_BY);
    let added = annotations.shift_remove(INJECTED_METADATA);
    let added = added.as_ref().and_then(Value::as_str).unwrap_or_default();
    // Only these: the list is a text that anybody can have written.
    for name in added.split(',').filter(|name| DEFAULT_CONTAINER.contains(name)) {
        annotations.shift_remove(name);
    }
    if added.split(',').any(|name| name == INJECT)
        && let Some(labels) = child(metadata, "labels")
    {
        labels.shift_remove(INJECT);
    }
    for kind in ["annotations", "labels"] {
        if child(metadata, kind).is_some_and(|map| map.is_empty()) {
            metadata.shift_remove(kind);
        }
    }
    if metadata.is_empty() {
        pod.shift_remove("metadata");
    }
    if let Some(spec) = child(pod, "spec") {
        without(spec, "initContainers", &[INIT_CONTAINER, PROXY_CONTAINER]);
        without(spec, "volumes", &VOLUMES);
    }
    true
}

fn child<'a>(object: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    object.get_mut(key)?.as_object_mut()
}

/// Removes the elements of a list that have one of these names, and the list if nothing is left.
fn without(spec: &mut Map<String, Value>, key: &str, names: &[&str]) {
    let Some(list) = spec.get_mut(key).and_then(Value::as_array_mut) else { return };
    list.retain(|element| {
        let name = element.get("name").and_then(Value::as_str);
        name.is_none_or(|name| !names.contains(&name))
    });
    if list.is_empty() {
        spec.shift_remove(key);
    }
}
