//! The two containers and the two volumes of a meshed pod.
//!
//! Called by `inject` when it is settled that the pod gets them. `docs/reference/injection.md` shows the result, and a
//! test holds it in step.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, ExecAction, HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler,
    ObjectFieldSelector, Pod, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile,
    SecurityContext, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::annotations::Knobs;
use super::{
    Addition, ENABLED, Facts, INIT_CONTAINER, INJECT, INJECTED, INJECTED_BY, INJECTED_METADATA,
    Injector, PROXY_CONTAINER, Settings, TOKEN_AUDIENCE, TRUST_BUNDLE, name,
};

/// User and group of the sidecar.
pub(super) const PROXY_UID: i64 = 1980;
/// Where the sidecar listens: health, inbound, outbound.
pub(super) const PROXY_PORTS: [i32; 3] = [15001, 15006, HEALTH_PORT];
/// Names of the volumes.
pub(super) const VOLUMES: [&str; 2] = [STATE, IDENTITY];
/// What `kubectl logs` and `kubectl exec` take when no container is named: the application, not its sidecar.
pub(super) const DEFAULT_CONTAINER: [&str; 2] =
    ["kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container"];

const HEALTH_PORT: i32 = 15020;
const STATE: &str = "weft-state";
const STATE_PATH: &str = "/var/lib/weft";
const IDENTITY: &str = "weft-identity";
const IDENTITY_PATH: &str = "/var/run/secrets/weft.dev";
/// Seconds. The kubelet renews a token in the last fifth of its life.
const TOKEN_LIFE: i64 = 3600;

/// All that `pod` gets.
pub(super) fn addition(pod: &Pod, settings: &Settings, facts: &Facts, knobs: &Knobs) -> Addition {
    let labels = labels(pod, settings);
    Addition {
        init_containers: vec![init(settings, knobs), proxy(pod, settings, facts, knobs)],
        volumes: vec![state(), identity()],
        annotations: annotations(pod, settings, &labels),
        labels,
    }
}

/// A pod that was injected beforehand says so to the API server, which asks the webhook, which sees to its trust bundle.
fn labels(pod: &Pod, settings: &Settings) -> BTreeMap<String, String> {
    let has = pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(INJECT));
    match settings.injector {
        Injector::CommandLine if !has => [(INJECT.to_owned(), ENABLED.to_owned())].into(),
        Injector::CommandLine | Injector::Webhook => BTreeMap::new(),
    }
}

fn annotations(
    pod: &Pod,
    settings: &Settings,
    labels: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut added = BTreeMap::new();
    let first = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    if let Some(first) = first {
        let has = |name: &str| {
            pod.metadata.annotations.as_ref().is_some_and(|known| known.contains_key(name))
        };
        let absent = DEFAULT_CONTAINER.into_iter().filter(|name| !has(name));
        added.extend(absent.map(|name| (name.to_owned(), first.name.clone())));
    }
    let names: Vec<&str> = added.keys().chain(labels.keys()).map(String::as_str).collect();
    if !names.is_empty() {
        let names = names.join(",");
        added.insert(INJECTED_METADATA.to_owned(), names);
    }
    added.insert(INJECTED.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    added.insert(INJECTED_BY.to_owned(), settings.injector.as_str().to_owned());
    added
}

fn init(settings: &Settings, knobs: &Knobs) -> Container {
    let lists = [
        ("skip-inbound-ports", &knobs.skip_inbound_ports),
        ("skip-outbound-ports", &knobs.skip_outbound_ports),
        ("skip-outbound-cidrs", &knobs.skip_outbound_cidrs),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lists = lists.map(|(flag, list)| format!("--{flag}={list}"));
    Container {
        name: INIT_CONTAINER.to_owned(),
        image: Some(settings.init_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(std::iter::once("init".to_owned()).chain(lists).collect()),
        // The sidecar's are as large and are held as well, so these cost a pod nothing; a quota may ask for them.
        resources: Some(resources(&Knobs::default())),
        security_context: Some(SecurityContext {
            // A capability that is added has an effect for user 0 only.
            run_as_user: Some(0),
            run_as_group: Some(0),
            run_as_non_root: Some(false),
            ..confined(Some(vec!["NET_ADMIN".to_owned()]))
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn proxy(pod: &Pod, settings: &Settings, facts: &Facts, knobs: &Knobs) -> Container {
    let drain = vec!["weft-proxy".to_owned(), "drain".to_owned()];
    let drain = LifecycleHandler {
        exec: Some(ExecAction { command: Some(drain) }),
        ..LifecycleHandler::default()
    };
    Container {
        name: PROXY_CONTAINER.to_owned(),
        image: Some(settings.proxy_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        restart_policy: Some("Always".to_owned()),
        env: Some(env(pod, settings, facts, knobs)),
        ports: Some(vec![ContainerPort {
            name: Some("weft-health".to_owned()),
            container_port: HEALTH_PORT,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        // Order: the kubelet starts the next container when this succeeds, so the application never runs without a sidecar.
        startup_probe: Some(Probe {
            period_seconds: Some(1),
            failure_threshold: Some(120),
            ..probe("/ready")
        }),
        readiness_probe: Some(Probe { period_seconds: Some(5), ..probe("/ready") }),
        liveness_probe: Some(Probe { period_seconds: Some(10), ..probe("/live") }),
        lifecycle: Some(Lifecycle { pre_stop: Some(drain), ..Lifecycle::default() }),
        resources: Some(resources(knobs)),
        security_context: Some(SecurityContext {
            run_as_user: Some(PROXY_UID),
            run_as_group: Some(PROXY_UID),
            run_as_non_root: Some(true),
            ..confined(None)
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount(STATE, STATE_PATH, None),
            mount(IDENTITY, IDENTITY_PATH, Some(true)),
        ]),
        ..Container::default()
    }
}

fn env(pod: &Pod, settings: &Settings, facts: &Facts, knobs: &Knobs) -> Vec<EnvVar> {
    let set = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    };
    let mut env = vec![
        field("WEFT_POD_NAME", "metadata.name"),
        field("WEFT_POD_NAMESPACE", "metadata.namespace"),
        field("WEFT_SERVICE_ACCOUNT", "spec.serviceAccountName"),
        set("WEFT_CONTROL_PLANE", settings.control_plane.clone()),
        set("WEFT_TRUST_BUNDLE", format!("{IDENTITY_PATH}/root.pem")),
        set("WEFT_IDENTITY_TOKEN", format!("{IDENTITY_PATH}/token")),
        set("WEFT_STATE_DIR", format!("{STATE_PATH}/state")),
        set("WEFT_TRANSPARENT", "true".to_owned()),
        set("WEFT_SERVICE_NAME", name::service_name(pod, facts.owner.as_ref())),
    ];
    let drain_grace = knobs.drain_grace.as_ref().map(|(written, _)| written.clone());
    let optional = [
        ("WEFT_SERVICE_VERSION", name::service_version(pod)),
        ("WEFT_LOG", knobs.log.clone()),
        ("WEFT_ACCESS_LOG", knobs.access_log.clone()),
        ("WEFT_SLOW_REQUEST", knobs.slow_request.clone()),
        ("WEFT_METRICS_SERIES", knobs.metrics_series.clone()),
        ("WEFT_POST_QUANTUM", knobs.post_quantum.clone()),
        ("WEFT_DRAIN_GRACE", drain_grace),
    ];
    env.extend(optional.into_iter().filter_map(|(name, value)| Some(set(name, value?))));
    env
}

fn field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { api_version: None, field_path: path.to_owned() };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

fn probe(path: &str) -> Probe {
    let get = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::Int(HEALTH_PORT),
        ..HTTPGetAction::default()
    };
    Probe { http_get: Some(get), ..Probe::default() }
}

/// As little as a container can have, and the capabilities of `add`.
fn confined(add: Option<Vec<String>>) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add, drop: Some(vec!["ALL".to_owned()]) }),
        read_only_root_filesystem: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..SecurityContext::default()
    }
}

fn resources(knobs: &Knobs) -> ResourceRequirements {
    let amount = |name: &str, quantity: &Quantity| (name.to_owned(), quantity.clone());
    ResourceRequirements {
        requests: Some(BTreeMap::from([
            amount("cpu", &knobs.cpu_request),
            amount("memory", &knobs.memory_request),
        ])),
        limits: Some(BTreeMap::from([amount("memory", &knobs.memory_limit)])),
        ..ResourceRequirements::default()
    }
}

fn mount(name: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    }
}

/// Key, certificate and last good configuration: in memory, and gone with the pod.
fn state() -> Volume {
    let memory = EmptyDirVolumeSource {
        medium: Some("Memory".to_owned()),
        size_limit: Some(Quantity("16Mi".to_owned())),
    };
    Volume { name: STATE.to_owned(), empty_dir: Some(memory), ..Volume::default() }
}

/// The pod's token for the control plane, and whose certificates to believe.
fn identity() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: Some(TOKEN_AUDIENCE.to_owned()),
            expiration_seconds: Some(TOKEN_LIFE),
            path: "token".to_owned(),
        }),
        ..VolumeProjection::default()
    };
    let root = "root.pem".to_owned();
    let bundle = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: TRUST_BUNDLE.to_owned(),
            items: Some(vec![KeyToPath { key: root.clone(), path: root, mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let projected =
        ProjectedVolumeSource { default_mode: None, sources: Some(vec![token, bundle]) };
    Volume { name: IDENTITY.to_owned(), projected: Some(projected), ..Volume::default() }
}
