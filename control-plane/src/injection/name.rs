//! What a workload is called in traces.
//!
//! Called by `shape`, and by whoever shows pods by name. In the order of OpenTelemetry's conventions for Kubernetes: its
//! annotation, the labels `app.kubernetes.io/instance` and `app.kubernetes.io/name`, the workload that owns the pod, the
//! pod. The label `app`, which they do not know, comes before the workload: it is what `weft stat` and metrics go by where
//! there is no name ([`crate::model::Workload::display_name`]), and what most versions of one application have in common.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

/// The workload that a pod belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its API version, as `apps/v1`; empty if it is not known.
    pub api_version: String,
    /// Its kind: `ReplicaSet`, `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID; empty if it is not known.
    pub uid: String,
}

impl Owner {
    /// The controller of `pod`.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true))?;
        Some(Self {
            api_version: controller.api_version.clone(),
            kind: controller.kind.clone(),
            name: controller.name.clone(),
            uid: controller.uid.clone(),
        })
    }

    /// The name of the workload that a person wrote: without the hash of a ReplicaSet, without the time of a CronJob's Job.
    fn workload<'a>(&'a self, labels: Option<&BTreeMap<String, String>>) -> &'a str {
        let Some((stem, suffix)) = self.name.rsplit_once('-') else { return &self.name };
        let hash = labels.and_then(|labels| labels.get("pod-template-hash"));
        let made = match &*self.kind {
            "ReplicaSet" => hash.is_some_and(|hash| hash == suffix),
            // Minutes since 1970: eight digits until 2160.
            "Job" => suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        if made && !stem.is_empty() { stem } else { &self.name }
    }
}

/// `service.name` of `pod`; never empty.
#[must_use]
pub fn service_name(pod: &Pod, owner: Option<&Owner>) -> String {
    let labels = pod.metadata.labels.as_ref();
    let annotated = of(pod.metadata.annotations.as_ref(), "resource.opentelemetry.io/service.name");
    let labelled = ["app.kubernetes.io/instance", "app.kubernetes.io/name", "app"];
    let named = || labelled.iter().find_map(|key| of(labels, key));
    let owned = || owner.map(|owner| owner.workload(labels));
    let own = || pod.metadata.name.as_deref().filter(|name| !name.is_empty());
    let generated = || pod.metadata.generate_name.as_deref().map(|name| name.trim_end_matches('-'));
    let name = annotated.or_else(named).or_else(owned).or_else(own).or_else(generated);
    name.filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned()
}

/// `service.version` of `pod`, if it says one.
#[must_use]
pub fn service_version(pod: &Pod) -> Option<String> {
    let labels = pod.metadata.labels.as_ref();
    of(pod.metadata.annotations.as_ref(), "resource.opentelemetry.io/service.version")
        .or_else(|| of(labels, "app.kubernetes.io/version"))
        .or_else(|| of(labels, "version"))
        .map(str::to_owned)
}

fn of<'a>(map: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    map?.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
