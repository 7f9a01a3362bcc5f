//! Pods as workloads: which are, with which ports, and what may be asked of them in plaintext.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{forget_conditions, standing, workload};
use crate::model::{AppProtocol, Locality, Workload};
use crate::source::problem::Problems;

fn pod(spec: &Value, annotations: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"},
                     "annotations": annotations},
        "spec": spec,
        "status": {"phase": "Running", "podIP": "10.244.1.7"},
    }))
    .unwrap()
}

fn read(pod: &Pod) -> Option<Workload> {
    let mut problems = Problems::default();
    let place = Locality { zone: "a".to_owned(), ..Locality::default() };
    let workload = workload(pod, Some(&place), &mut problems);
    assert!(!problems.fatal(), "{problems:?}");
    workload
}

#[test]
fn a_pod_is_a_workload_while_it_has_an_address_and_has_not_ended() {
    let mut pod = pod(&json!({"containers": [], "serviceAccountName": "web"}), &json!({}));
    let found = read(&pod).unwrap();
    assert_eq!(found.key.to_string(), "shop/web-1");
    assert_eq!(
        (found.address.to_string(), &*found.service_account),
        ("10.244.1.7".to_owned(), "web")
    );
    assert_eq!((found.meshed, found.draining, &*found.locality.zone), (false, false, "a"));

    for phase in ["Succeeded", "Failed"] {
        pod.status.as_mut().unwrap().phase = Some(phase.to_owned());
        assert_eq!(read(&pod), None, "{phase}");
    }
    let status = pod.status.as_mut().unwrap();
    (status.phase, status.pod_ip) = (Some("Pending".to_owned()), None);
    assert_eq!(read(&pod), None, "without an address");
}

#[test]
fn a_pod_is_meshed_if_it_was_injected_and_has_a_network_of_its_own() {
    let injected = json!({"weft.dev/injected": "0.1.0"});
    assert!(read(&pod(&json!({"containers": []}), &injected)).unwrap().meshed);
    let host = json!({"containers": [], "hostNetwork": true});
    assert!(!read(&pod(&host, &injected)).unwrap().meshed);
}

#[test]
fn names_of_container_ports_are_remarks_and_the_annotation_is_an_order() {
    let spec = json!({"containers": [
        {"name": "app", "ports": [
            {"name": "http", "containerPort": 8080}, {"containerPort": 5432},
            {"containerPort": 53, "protocol": "UDP"}, {"name": "again", "containerPort": 8080}]},
        {"name": "weft-proxy", "ports": [{"containerPort": 15020}]},
    ]});
    let found = read(&pod(&spec, &json!({"weft.dev/opaque-ports": "5432,25"}))).unwrap();
    let ports: Vec<_> = found.ports.iter().map(|p| (&*p.name, p.port, p.protocol)).collect();
    assert_eq!(
        ports,
        [
            ("http", 8080, AppProtocol::Detect),
            ("", 5432, AppProtocol::Tcp),
            ("", 25, AppProtocol::Tcp),
        ]
    );
}

#[test]
fn what_the_kubelet_asks_is_let_in() {
    let spec = json!({
        "containers": [{
            "name": "app",
            "ports": [{"name": "web", "containerPort": 8080}],
            "livenessProbe": {"httpGet": {"port": "web", "path": "healthz?full=1"}},
            "readinessProbe": {"grpc": {"port": 9090, "service": "shop"}},
            "startupProbe": {"tcpSocket": {"port": 5432}},
            "lifecycle": {"preStop": {"httpGet": {"port": 8080, "path": "/stop"}}},
        }, {
            "name": "tls",
            "livenessProbe": {"httpGet": {"port": 8443, "path": "/", "scheme": "HTTPS"}},
            "readinessProbe": {"exec": {"command": ["true"]}},
        }],
        "initContainers": [
            {"name": "cache", "restartPolicy": "Always", "readinessProbe": {"httpGet": {"port": 1234}}},
            {"name": "migrate", "readinessProbe": {"httpGet": {"port": 7}}},
            {"name": "weft-proxy", "restartPolicy": "Always", "startupProbe": {"httpGet": {"port": 15020}}},
        ],
    });
    let found = read(&pod(&spec, &json!({}))).unwrap();
    let probes: Vec<_> = found.probes.iter().map(|p| (p.port, p.path.as_deref())).collect();
    assert_eq!(
        probes,
        [
            (8080, Some("/healthz?full=1")),
            (9090, Some("/grpc.health.v1.Health/Check")),
            (5432, None),
            (8080, Some("/stop")),
            (8443, None),
            (1234, Some("/")),
        ]
    );
}

#[test]
fn who_passes_its_gates_and_has_all_containers_ready_is_well() {
    let condition = |name: &str, status: &str| json!({"type": name, "status": status});
    let ready = condition("ContainersReady", "True");
    let (gate, shut) =
        (condition("example.org/gate", "True"), condition("example.org/gate", "False"));
    let other = condition("Ready", "False");
    for (gates, conditions, well) in [
        (json!([]), json!([other, ready]), true),
        (json!([]), json!([other, condition("ContainersReady", "False")]), false),
        (json!([]), json!([other]), false),
        (json!(["example.org/gate"]), json!([other, ready, gate]), true),
        (json!(["example.org/gate"]), json!([other, ready, shut]), false),
        (json!(["example.org/gate"]), json!([other, ready]), false),
    ] {
        let gates = gates.as_array().unwrap().iter().map(|gate| json!({"conditionType": gate}));
        let spec = json!({"containers": [], "readinessGates": gates.collect::<Vec<_>>()});
        let mut pod = pod(&spec, &json!({}));
        let status = pod.status.as_mut().unwrap();
        status.conditions = serde_json::from_value(conditions.clone()).unwrap();
        forget_conditions(&mut pod);
        assert_eq!(
            standing(&pod).well,
            well,
            "{gates:?} {conditions}",
            gates = spec["readinessGates"]
        );
    }
}

#[test]
fn a_pod_stands_where_it_is_until_it_ends() {
    let mut pod = pod(&json!({"containers": []}), &json!({}));
    pod.metadata.uid = Some("1".to_owned());
    pod.status.as_mut().unwrap().pod_ips =
        serde_json::from_value(json!([{"ip": "10.244.1.7"}, {"ip": "fd00::7"}])).unwrap();
    let found = standing(&pod);
    assert_eq!((&*found.uid, found.ends), ("1", false));
    for address in ["10.244.1.7", "fd00::7"] {
        assert!(found.addresses.contains(&address.parse().unwrap()), "{address}");
    }
    for phase in ["Succeeded", "Failed"] {
        pod.status.as_mut().unwrap().phase = Some(phase.to_owned());
        assert!(standing(&pod).ends, "{phase}");
    }
}
