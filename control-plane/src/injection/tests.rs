//! What becomes of pods: tables of pods and what is said of them.

use serde_json::{Value, json};

use super::*;

fn settings() -> Settings {
    Settings::from_registry("weft.dev", Injector::Webhook)
}

pub(super) fn pod(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

/// A pod with one container, changed by a JSON merge patch.
fn with(change: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "app", "image": "shop"}]},
    });
    json_patch::merge(&mut pod, change);
    pod
}

fn decide(value: &Value) -> Result<Decision, Denial> {
    inject(&pod(value.clone()), &settings(), &Facts::default())
}

/// The pod as it comes out.
fn injected(value: &Value) -> Value {
    let Outcome::Injected(addition) = decide(value).unwrap().outcome else { panic!("was skipped") };
    let mut patched = value.clone();
    json_patch::patch(&mut patched, &addition.patch(value, &[]).unwrap()).unwrap();
    // It is still a pod.
    pod(patched.clone());
    patched
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|element| element["name"].as_str().unwrap()).collect()
}

#[test]
fn the_shape_is_the_documented_one() {
    let page = include_str!("../../../docs/reference/injection.md");
    let start = page.find("```yaml\n# the pod").unwrap() + "```yaml\n".len();
    let yaml = &page[start..start + page[start..].find("```").unwrap()];
    let documented: Value = serde_saphyr::from_str(yaml).unwrap();
    let mut real = injected(&with(&json!({})));
    for key in ["apiVersion", "kind"] {
        real.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(real, documented, "{real:#}");
}

#[test]
fn ours_come_first_and_nothing_else_changes() {
    let before = with(&json!({
        "metadata": {
            "labels": {"app": "web"},
            "annotations": {"kubectl.kubernetes.io/default-container": "side", "x": "y"},
        },
        "spec": {
            "initContainers": [{"name": "migrate", "image": "m"}, {"name": "side", "image": "s", "restartPolicy": "Always"}],
            "containers": [{
                "name": "app", "image": "shop",
                "ports": [{"name": "http", "containerPort": 8080}],
                "lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                "startupProbe": {"tcpSocket": {"port": 8080}},
                "livenessProbe": {"grpc": {"port": 9090}},
            }],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "securityContext": {"fsGroup": 2000, "runAsNonRoot": true},
            "automountServiceAccountToken": false,
            "restartPolicy": "Never",
            "fieldOfTheFuture": {"a": 1},
        },
    }));
    let after = injected(&before);
    let spec = &after["spec"];
    assert_eq!(
        names(&spec["initContainers"]),
        [INIT_CONTAINER, PROXY_CONTAINER, "migrate", "side"]
    );
    assert_eq!(names(&spec["volumes"]), ["data", "weft-state", "weft-identity"]);
    for same in [
        "containers",
        "securityContext",
        "automountServiceAccountToken",
        "restartPolicy",
        "fieldOfTheFuture",
    ] {
        assert_eq!(spec[same], before["spec"][same], "{same}");
    }
    let annotations = &after["metadata"]["annotations"];
    assert_eq!(annotations["kubectl.kubernetes.io/default-container"], "side", "the owner's word");
    assert_eq!(annotations["kubectl.kubernetes.io/default-logs-container"], "app");
    assert_eq!(annotations[INJECTED_METADATA], "kubectl.kubernetes.io/default-logs-container");
    assert_eq!(annotations[INJECTED_BY], "webhook");
}

#[test]
fn annotations_become_flags_environment_and_resources() {
    let after = injected(&with(&json!({"metadata": {"annotations": {
        "weft.dev/skip-inbound-ports": "22, 9000-9100",
        "weft.dev/skip-outbound-cidrs": "10.0.0.0/8,FD00::/8",
        "weft.dev/proxy-cpu-request": "0.1",
        "weft.dev/proxy-memory-limit": "1Gi",
        "weft.dev/proxy-log-level": "info,weft_proxy::xds=debug",
        "weft.dev/access-log": "errors",
        "weft.dev/slow-request": "2s",
        "weft.dev/metrics-series": "30000",
        "weft.dev/post-quantum": "off",
        "weft.dev/drain-grace": "10s",
    }}})));
    let containers = &after["spec"]["initContainers"];
    assert_eq!(
        containers[0]["args"],
        json!([
            "init",
            "--skip-inbound-ports=22,9000-9100",
            "--skip-outbound-cidrs=10.0.0.0/8,fd00::/8"
        ])
    );
    assert_eq!(
        containers[1]["resources"],
        json!({"requests": {"cpu": "0.1", "memory": "20Mi"}, "limits": {"memory": "1Gi"}})
    );
    for (name, value) in [
        ("WEFT_LOG", "info,weft_proxy::xds=debug"),
        ("WEFT_ACCESS_LOG", "errors"),
        ("WEFT_SLOW_REQUEST", "2s"),
        ("WEFT_METRICS_SERIES", "30000"),
        ("WEFT_POST_QUANTUM", "off"),
        ("WEFT_DRAIN_GRACE", "10s"),
        ("WEFT_SERVICE_NAME", "web"),
    ] {
        let env = containers[1]["env"].as_array().unwrap();
        let found = env.iter().find(|entry| entry["name"] == name).unwrap();
        assert_eq!(found["value"], value, "{name}");
    }
}

#[test]
fn reasons_to_skip() {
    let ours = json!([{"name": INIT_CONTAINER}, {"name": PROXY_CONTAINER}]);
    let already = |by: Value| {
        json!({
            "metadata": {"annotations": {INJECTED: "0.1.0", INJECTED_BY: by}},
            "spec": {"initContainers": ours, "hostNetwork": true},
        })
    };
    let label = |value| json!({"metadata": {"labels": {INJECT: value}}});
    let both =
        json!({"metadata": {"labels": {INJECT: "enabled"}, "annotations": {INJECT: "disabled"}}});
    for (change, skip, warning) in [
        (already(json!("webhook")), Some(Skip::AlreadyInjected(Injector::Webhook)), ""),
        (
            already(json!("weft-inject")),
            Some(Skip::AlreadyInjected(Injector::CommandLine)),
            "already injected, by Weft 0.1.0",
        ),
        (
            already(Value::Null),
            Some(Skip::AlreadyInjected(Injector::CommandLine)),
            "already injected, by Weft 0.1.0",
        ),
        (
            json!({"spec": {"hostNetwork": true}}),
            Some(Skip::HostNetwork),
            "no Weft sidecar: hostNetwork",
        ),
        (label("disabled"), Some(Skip::OptedOut), "no Weft sidecar: weft.dev/inject: disabled"),
        (
            json!({"metadata": {"annotations": {INJECT: "disabled"}}}),
            Some(Skip::OptedOut),
            "no Weft sidecar: weft.dev/inject: disabled",
        ),
        (
            json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}),
            Some(Skip::Static),
            "no Weft sidecar: a static pod of the kubelet",
        ),
        (
            json!({"spec": {"os": {"name": "windows"}}}),
            Some(Skip::Windows),
            "no Weft sidecar: a Windows pod",
        ),
        (
            json!({"spec": {"nodeSelector": {"kubernetes.io/os": "windows"}}}),
            Some(Skip::Windows),
            "no Weft sidecar: a Windows pod",
        ),
        (json!({"spec": {"os": {"name": "linux"}, "hostNetwork": false}}), None, ""),
        (label("enabled"), None, ""),
        (both, None, ""),
    ] {
        let decision = decide(&with(&change)).unwrap();
        let found = match decision.outcome {
            Outcome::Skipped(skip) => Some(skip),
            Outcome::Injected(_) => None,
        };
        assert_eq!(found, skip, "{change}");
        assert_eq!(decision.warnings.join("; "), warning, "{change}");
    }
}

#[test]
fn reasons_to_refuse() {
    for (change, message) in [
        (
            json!({"metadata": {"labels": {INJECT: "true"}}}),
            "metadata.labels[weft.dev/inject]: \"true\" says neither yes nor no; write enabled or disabled, or remove it",
        ),
        (
            json!({"metadata": {"annotations": {INJECT: ""}}}),
            "metadata.annotations[weft.dev/inject]: \"\" says neither yes nor no; write enabled or disabled, or remove it",
        ),
        (
            json!({"metadata": {"annotations": {INJECTED: "0.1.0"}}}),
            "metadata.annotations[weft.dev/injected]: the pod has no weft-init or no weft-proxy; \
             only the injector writes this annotation: remove it",
        ),
        (
            json!({"spec": {"containers": [{"name": "weft-proxy"}]}}),
            "spec.containers[weft-proxy]: the name belongs to Weft's container; \
             rename it, or take the pod out of the mesh by the label weft.dev/inject: disabled",
        ),
        (
            json!({"spec": {"initContainers": [{"name": "weft-init"}]}}),
            "spec.initContainers[weft-init]: the name belongs to Weft's container; \
             rename it, or take the pod out of the mesh by the label weft.dev/inject: disabled",
        ),
        (
            json!({"spec": {"volumes": [{"name": "weft-state", "emptyDir": {}}]}}),
            "spec.volumes[weft-state]: the name belongs to Weft's volume; \
             rename it, or take the pod out of the mesh by the label weft.dev/inject: disabled",
        ),
        (
            json!({"metadata": {"annotations": {"weft.dev/skip-inbound-ports": "80,http"}}}),
            "metadata.annotations[weft.dev/skip-inbound-ports]: \"http\" is neither a port (1 to 65535) nor a range of ports; \
             write it like \"22,9000-9100\", or remove it",
        ),
        (
            json!({"metadata": {"annotations": {"weft.dev/proxy-memory-request": "200Mi"}}}),
            "metadata.annotations[weft.dev/proxy-memory-request]: 200Mi is more than the limit of 128Mi; \
             raise weft.dev/proxy-memory-limit",
        ),
    ] {
        assert_eq!(decide(&with(&change)).unwrap_err().to_string(), message, "{change}");
    }
}

#[test]
fn what_owners_are_warned_of() {
    for (change, warning) in [
        (
            json!({"metadata": {"annotations": {"weft.dev/skip-inbound-port": "1"}}}),
            "metadata.annotations[weft.dev/skip-inbound-port]: Weft knows no such annotation, it has no effect; \
             did you mean weft.dev/skip-inbound-ports?",
        ),
        (
            json!({"metadata": {"annotations": {"weft.dev/quick": "1"}}}),
            "metadata.annotations[weft.dev/quick]: Weft knows no such annotation, it has no effect",
        ),
        (
            json!({"metadata": {"labels": {"weft.dev/access-log": "all"}}}),
            "metadata.labels[weft.dev/access-log]: has no effect as a label; make it an annotation",
        ),
        (
            json!({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 15020}]}]}}),
            "spec.containers[a].ports: 15020 is the sidecar's; the application cannot listen there",
        ),
        (
            json!({"spec": {"initContainers": [{"name": "a", "securityContext": {"runAsUser": 1980}}]}}),
            "spec.initContainers[a].securityContext.runAsUser: 1980 is the sidecar's user: what it sends goes past the mesh",
        ),
        (
            json!({"spec": {"securityContext": {"runAsUser": 1980}}}),
            "spec.securityContext.runAsUser: 1980 is the sidecar's user: what it sends goes past the mesh",
        ),
        (
            json!({"metadata": {"annotations": {"weft.dev/drain-grace": "1m"}}}),
            "metadata.annotations[weft.dev/drain-grace]: 1m is not shorter than terminationGracePeriodSeconds (30): \
             the pod is killed while it drains",
        ),
        (
            json!({"metadata": {"annotations": {"weft.dev/drain-grace": "1m"}}, "spec": {"terminationGracePeriodSeconds": 61}}),
            "",
        ),
        (
            json!({"spec": {"dnsPolicy": "None"}}),
            "spec.dnsPolicy: with None the sidecar may not find the control plane, whose name is the cluster's",
        ),
        (
            json!({"metadata": {"annotations": {"weft.dev/opaque-ports": "25", "other.dev/x": ""}}}),
            "",
        ),
    ] {
        let decision = decide(&with(&change)).unwrap();
        assert!(matches!(decision.outcome, Outcome::Injected(_)), "{change}");
        assert_eq!(decision.warnings.join("; "), warning, "{change}");
    }
}

#[test]
fn a_container_before_ours_is_told_of_when_the_server_asks_again() {
    let change = json!({
        "metadata": {"annotations": {INJECTED: "0.1.0", INJECTED_BY: "webhook"}},
        "spec": {"initContainers": [{"name": "vault"}, {"name": INIT_CONTAINER}, {"name": PROXY_CONTAINER}]},
    });
    let warnings = decide(&with(&change)).unwrap().warnings;
    assert_eq!(warnings, ["spec.initContainers[vault]: stands before Weft's, and is not meshed"]);
}

#[test]
fn reasons_to_skip_stand_in_the_reference() {
    let page = include_str!("../../../docs/reference/injection.md");
    for skip in Skip::ALL {
        let row = format!("| `{}` | {skip} |", skip.token());
        assert!(page.contains(&row), "docs/reference/injection.md lacks {row}");
    }
}
