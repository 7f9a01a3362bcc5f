//! What keeps a pod out of the mesh, what forbids it, and what its owner should know.
//!
//! Called by `inject`, in this order: [`skip`], [`names_are_free`], [`warnings`]. Looks at the pod only.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::annotations::{Knobs, field};
use super::{
    DISABLED, Denial, ENABLED, INIT_CONTAINER, INJECT, INJECTED, INJECTED_BY, Injector,
    PROXY_CONTAINER, Skip, shape,
};

/// Annotation of the API server's copy of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What holds where a pod does not say it, in seconds.
const TERMINATION_GRACE: i64 = 30;

/// Why the pod stays as it is, if it does.
///
/// # Errors
/// If it says neither that it is to be meshed nor that it is not, or has a mark of the injector and no sidecar.
pub(super) fn skip(pod: &Pod) -> Result<Option<Skip>, Denial> {
    let spec = pod.spec.as_ref();
    if annotation(pod, MIRROR).is_some() {
        return Ok(Some(Skip::Static));
    }
    if annotation(pod, INJECTED).is_some() {
        return already_injected(pod).map(Some);
    }
    if opted_out(pod)? {
        return Ok(Some(Skip::OptedOut));
    }
    if spec.is_some_and(|spec| spec.host_network == Some(true)) {
        return Ok(Some(Skip::HostNetwork));
    }
    Ok(spec.is_some_and(is_windows).then_some(Skip::Windows))
}

/// By its own word, or by the only nodes that it may run on.
fn is_windows(spec: &PodSpec) -> bool {
    let node = spec.node_selector.as_ref().and_then(|labels| labels.get("kubernetes.io/os"));
    spec.os.as_ref().map(|os| &os.name).or(node).is_some_and(|os| os == "windows")
}

/// The label counts before the annotation.
fn opted_out(pod: &Pod) -> Result<bool, Denial> {
    let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(INJECT));
    let (place, value) = match (label, annotation(pod, INJECT)) {
        (Some(label), _) => (format!("metadata.labels[{INJECT}]"), &**label),
        (None, Some(annotation)) => (field(INJECT), annotation),
        (None, None) => return Ok(false),
    };
    match value {
        ENABLED => Ok(false),
        DISABLED => Ok(true),
        other => Err(Denial {
            field: place,
            problem: format!("{other:?} says neither yes nor no"),
            remedy: format!("write {ENABLED} or {DISABLED}, or remove it"),
        }),
    }
}

fn already_injected(pod: &Pod) -> Result<Skip, Denial> {
    let has =
        |name| init_containers(pod.spec.as_ref()).iter().any(|container| container.name == name);
    if !has(INIT_CONTAINER) || !has(PROXY_CONTAINER) {
        return Err(Denial {
            field: field(INJECTED),
            problem: format!("the pod has no {INIT_CONTAINER} or no {PROXY_CONTAINER}"),
            remedy: "only the injector writes this annotation: remove it".to_owned(),
        });
    }
    let by = annotation(pod, INJECTED_BY);
    let by = Injector::ALL.into_iter().find(|injector| Some(injector.as_str()) == by);
    Ok(Skip::AlreadyInjected(by.unwrap_or(Injector::CommandLine)))
}

/// What the owner of a pod that was skipped should hear.
pub(super) fn of_skipped(pod: &Pod, skip: Skip) -> Vec<String> {
    let Skip::AlreadyInjected(injector) = skip else {
        return vec![format!("no Weft sidecar: {skip}")];
    };
    let mut warnings = Vec::new();
    // The API server asks again when another webhook has changed the pod after us; that is no news.
    if injector == Injector::CommandLine {
        let version = annotation(pod, INJECTED).unwrap_or_default();
        warnings.push(format!("already injected, by Weft {version}"));
    }
    let mut containers = init_containers(pod.spec.as_ref()).iter();
    let before = containers.find(|container| container.name != INIT_CONTAINER);
    if let Some(other) = before.filter(|container| container.name != PROXY_CONTAINER) {
        let name = &other.name;
        warnings
            .push(format!("spec.initContainers[{name}]: stands before Weft's, and is not meshed"));
    }
    warnings
}

/// No container and no volume of somebody else's has a name of ours.
pub(super) fn names_are_free(pod: &Pod) -> Result<(), Denial> {
    let taken = |field: String, what: &str| {
        Err(Denial {
            field,
            problem: format!("the name belongs to Weft's {what}"),
            remedy: format!(
                "rename it, or take the pod out of the mesh by the label {INJECT}: {DISABLED}"
            ),
        })
    };
    let Some(spec) = &pod.spec else { return Ok(()) };
    for (list, containers) in
        [("initContainers", init_containers(Some(spec))), ("containers", &spec.containers)]
    {
        let ours =
            |container: &&Container| [INIT_CONTAINER, PROXY_CONTAINER].contains(&&*container.name);
        if let Some(container) = containers.iter().find(ours) {
            return taken(format!("spec.{list}[{}]", container.name), "container");
        }
    }
    let volumes = spec.volumes.iter().flatten();
    match volumes.map(|volume| &*volume.name).find(|name| shape::VOLUMES.contains(name)) {
        Some(name) => taken(format!("spec.volumes[{name}]"), "volume"),
        None => Ok(()),
    }
}

/// What will not work as its owner may expect.
pub(super) fn warnings(pod: &Pod, knobs: &Knobs) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut warnings = Vec::new();
    for (list, containers) in
        [("initContainers", init_containers(Some(spec))), ("containers", &spec.containers)]
    {
        for container in containers {
            of_container(&format!("spec.{list}[{}]", container.name), container, &mut warnings);
        }
    }
    let user = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    if user == Some(shape::PROXY_UID) {
        warnings.push(same_user("spec"));
    }
    if let Some((written, millis)) = &knobs.drain_grace {
        let grace = spec.termination_grace_period_seconds.unwrap_or(TERMINATION_GRACE);
        if i128::from(*millis) >= i128::from(grace) * 1000 {
            warnings.push(format!(
                "{}: {written} is not shorter than terminationGracePeriodSeconds ({grace}): \
                 the pod is killed while it drains",
                field("weft.dev/drain-grace")
            ));
        }
    }
    if let Some(policy @ ("Default" | "None")) = spec.dns_policy.as_deref() {
        warnings.push(format!(
            "spec.dnsPolicy: with {policy} the sidecar may not find the control plane, whose name is the cluster's"
        ));
    }
    warnings
}

fn of_container(place: &str, container: &Container, warnings: &mut Vec<String>) {
    let user = container.security_context.as_ref().and_then(|context| context.run_as_user);
    if user == Some(shape::PROXY_UID) {
        warnings.push(same_user(place));
    }
    let ports = container.ports.iter().flatten().map(|port| port.container_port);
    for port in ports.filter(|port| shape::PROXY_PORTS.contains(port)) {
        warnings.push(format!(
            "{place}.ports: {port} is the sidecar's; the application cannot listen there"
        ));
    }
}

fn same_user(place: &str) -> String {
    format!(
        "{place}.securityContext.runAsUser: {} is the sidecar's user: what it sends goes past the mesh",
        shape::PROXY_UID
    )
}

fn init_containers(spec: Option<&PodSpec>) -> &[Container] {
    spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default()
}

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}
