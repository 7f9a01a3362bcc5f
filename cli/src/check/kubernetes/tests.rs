//! What is judged sound in a cluster and what is not, from facts made up.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use serde_json::json;

use super::*;
use crate::admin::{BrokenTraces, Proxy};
use crate::check::tests::{assert_mendable, shell};
use crate::check::{draw, shape};
use crate::golden;

const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n";

fn definitions() -> Vec<CustomResourceDefinition> {
    let mut found = weft_control_plane::crd::all();
    found.push(CustomResourceDefinition::default());
    let routes = found.last_mut().unwrap();
    routes.metadata.name = Some("httproutes.gateway.networking.k8s.io".to_owned());
    let release = ("gateway.networking.k8s.io/bundle-version".to_owned(), "v1.6.3".to_owned());
    routes.metadata.annotations = Some([release].into());
    for definition in &mut found {
        let status = json!({ "conditions": [{ "type": "Established", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "", "message": "" }], "acceptedNames": {}, "storedVersions": [] });
        definition.status = serde_json::from_value(status).unwrap();
    }
    found
}

fn namespace(name: &str, labels: &serde_json::Value) -> Namespace {
    serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
}

fn pod(name: &str, version: Option<&str>) -> Pod {
    let annotations = version.map(|version| json!({ "weft.dev/injected": version }));
    let metadata = json!({ "name": name, "namespace": "shop", "annotations": annotations });
    let status = json!({ "phase": "Running" });
    serde_json::from_value(
        json!({ "metadata": metadata, "spec": { "containers": [] }, "status": status }),
    )
    .unwrap()
}

const NOW: i64 = 1_800_000_000;

fn proxy(overdue_at: i64) -> Proxy {
    let said = json!({ "workload": "web-1.shop", "connected": true,
        "leaf_not_after": NOW + 5400, "leaf_overdue_at": overdue_at });
    serde_json::from_value(said).unwrap()
}

/// A sound one: everything there, one meshed pod.
fn cluster() -> Cluster {
    Cluster {
        version: Ok((1, 33)),
        rights: Ok(Vec::new()),
        definitions: Ok(definitions()),
        deployment: Ok(Some(Deployment { wanted: 2, available: 2, version: VERSION.to_owned() })),
        bundles: Ok(Some(vec![AUTHORITY.to_owned(); 2])),
        authority: Ok(Some(AUTHORITY.to_owned())),
        ca: Ok(true),
        trial: Ok(true),
        namespaces: Ok(vec![
            namespace("shop", &json!({ "weft.dev/inject": "enabled" })),
            namespace("default", &json!({})),
        ]),
        pods: Ok(vec![pod("web-1", Some(VERSION))]),
        proxies: Ok(vec![proxy(NOW + 3600)]),
        broken_traces: Vec::new(),
    }
}

/// Grade and error of everything that is not a success; each has a way to mend it.
fn complaints(cluster: &Cluster, asked: bool) -> Vec<(Grade, String)> {
    judge(cluster, &shell(), asked, Moment::at(NOW))
        .into_iter()
        .flat_map(|category| category.checks)
        .filter(|check| check.result != Grade::Success)
        .inspect(assert_mendable)
        .map(|check| (check.result, check.error.unwrap_or_default()))
        .collect()
}

/// The one complaint about a cluster that has been made unsound.
fn the_complaint(change: impl FnOnce(&mut Cluster)) -> (Grade, String) {
    let mut cluster = cluster();
    change(&mut cluster);
    let found = complaints(&cluster, true);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn a_sound_cluster_has_no_complaints() {
    assert_eq!(complaints(&cluster(), true), []);
}

/// Nothing of Weft is there.
fn empty() -> Cluster {
    Cluster {
        deployment: Ok(None),
        bundles: Ok(None),
        definitions: Ok(definitions().split_off(weft_control_plane::crd::all().len())),
        ..cluster()
    }
}

#[test]
fn a_cluster_that_nobody_asked_for_is_never_an_error() {
    let nothing = "nothing of it is there".to_owned();
    assert_eq!(complaints(&empty(), true), [(Grade::Error, nothing.clone())]);
    assert_eq!(complaints(&empty(), false), [(Grade::Warning, nothing)]);
    let away = Cluster::away(Away::Silent("connection refused".to_owned()));
    assert_eq!(complaints(&away, true)[0].0, Grade::Error);
    assert_eq!(complaints(&away, false), [(Grade::Warning, "connection refused".to_owned())]);
}

fn drawn(name: &str, cluster: &Cluster) {
    let categories = judge(cluster, &shell(), true, Moment::at(NOW));
    golden::plain("check", name, &draw(&categories));
    golden::json("check", name, &shape(&categories));
}

#[test]
fn before_it_is_installed() {
    let missing = "the kubeconfig cannot be read: '/home/ada/.kube/config': No such file or directory (os error 2)";
    drawn("cluster-unknown", &Cluster::away(Away::Unknown(missing.to_owned())));
    let refused = "client error (Connect): tcp connect error: Connection refused (os error 111)";
    drawn("cluster-silent", &Cluster::away(Away::Silent(refused.to_owned())));
    drawn("cluster-refuses", &Cluster::away(Away::Refused("Unauthorized (HTTP 401)".to_owned())));
    drawn("cluster-old", &Cluster { version: Ok((1, 28)), ..empty() });
    drawn("cluster-empty", &empty());
    let no_right = ["create namespaces", "create clusterroles"].map(str::to_owned).to_vec();
    let bare = Cluster { definitions: Ok(Vec::new()), rights: Ok(no_right), ..empty() };
    drawn("cluster-empty-no-rights", &bare);
}

#[test]
fn after_it_is_installed() {
    drawn("cluster-sound", &cluster());
    let forbidden = |what: &str| format!("{what} is forbidden: User \"ada\" cannot get resource");
    let unseen = Cluster {
        definitions: Err(forbidden("customresourcedefinitions")),
        deployment: Err(forbidden("deployments.apps")),
        bundles: Err(forbidden("mutatingwebhookconfigurations")),
        authority: Err(forbidden("secrets")),
        ca: Err(forbidden("secrets")),
        trial: Err(forbidden("pods")),
        namespaces: Err(forbidden("namespaces")),
        pods: Err(forbidden("pods")),
        proxies: Err(forbidden("pods")),
        ..cluster()
    };
    drawn("cluster-unseen", &unseen);

    let mut definitions = definitions();
    definitions.pop();
    definitions.remove(0);
    definitions[0].spec.versions[0].schema = None;
    let strict =
        json!({ "weft.dev/inject": "enabled", "pod-security.kubernetes.io/enforce": "baseline" });
    let unsound = Cluster {
        definitions: Ok(definitions),
        deployment: Ok(Some(Deployment { wanted: 2, available: 1, version: "0.0.9".to_owned() })),
        ca: Ok(false),
        trial: Err(
            "failed calling webhook \"inject.weft.dev\": context deadline exceeded".to_owned()
        ),
        namespaces: Ok(vec![
            namespace("shop", &strict),
            namespace("billing", &json!({ "weft.dev/inject": "true" })),
        ]),
        pods: Ok(vec![pod("web-1", Some(VERSION)), pod("late", None)]),
        proxies: Ok(vec![proxy(NOW)]),
        broken_traces: vec![BrokenTraces {
            name: "web".to_owned(),
            namespace: "shop".to_owned(),
            workload: "web-1.shop".to_owned(),
        }],
        ..cluster()
    };
    drawn("cluster-unsound", &unsound);
    let mut empty = cluster();
    (empty.namespaces, empty.pods) = (Ok(Vec::new()), Ok(Vec::new()));
    empty.bundles = Ok(Some(vec![String::new()]));
    drawn("cluster-fresh", &empty);
    complaints(&unsound, true);
    complaints(&unseen, true);
    complaints(&empty, true);
}

#[test]
fn an_old_api_server_will_not_do() {
    let (grade, error) = the_complaint(|cluster| cluster.version = Ok((1, 28)));
    assert_eq!((grade, error.contains("1.28")), (Grade::Error, true), "{error}");
}

#[test]
fn definitions_that_are_missing_or_others_are_named() {
    let (grade, error) = the_complaint(|cluster| {
        let found = cluster.definitions.as_mut().unwrap();
        found.remove(0);
        found[0].spec.versions[0].schema = None;
    });
    assert_eq!(grade, Grade::Error);
    assert_eq!(
        error,
        "accesspolicies.weft.dev is missing, inboundpolicies.weft.dev is of another version"
    );
    let (grade, error) = the_complaint(|cluster| {
        cluster.definitions.as_mut().unwrap().pop();
    });
    assert_eq!((grade, error.contains("Service alone")), (Grade::Warning, true), "{error}");
}

#[test]
fn a_control_plane_that_is_not_ready_is_found() {
    let of = |wanted, available, version: &str| {
        let version = version.to_owned();
        the_complaint(|cluster| {
            cluster.deployment = Ok(Some(Deployment { wanted, available, version }))
        })
    };
    assert_eq!(of(2, 0, VERSION), (Grade::Error, "0 of 2 replicas are available".to_owned()));
    assert_eq!(of(2, 1, VERSION), (Grade::Warning, "1 of 2 replicas are available".to_owned()));
    assert_eq!(of(0, 0, VERSION), (Grade::Error, "0 of 0 replicas are available".to_owned()));
    assert_eq!(the_complaint(|cluster| cluster.deployment = Ok(None)).0, Grade::Error);
}

#[test]
fn a_ca_that_is_lost_is_found_before_it_is_missed() {
    let lost = the_complaint(|cluster| cluster.ca = Ok(false));
    assert_eq!((lost.0, lost.1.contains("weft-ca is missing")), (Grade::Error, true), "{lost:?}");
    let mut unseen = cluster();
    unseen.ca = Err("secrets is forbidden".to_owned());
    assert_eq!(complaints(&unseen, true), []);
    // One that has never been ready has not made it.
    let new = the_complaint(|cluster| {
        let version = VERSION.to_owned();
        cluster.deployment = Ok(Some(Deployment { wanted: 1, available: 0, version }));
        cluster.ca = Ok(false);
    });
    assert!(new.1.contains("0 of 1"), "{new:?}");
}

#[test]
fn the_webhook_must_trust_and_inject() {
    let empty = the_complaint(|cluster| {
        cluster.bundles = Ok(Some(vec![AUTHORITY.to_owned(), String::new()]))
    });
    assert!(empty.1.contains("caBundle is empty"), "{empty:?}");
    let other = the_complaint(|cluster| cluster.authority = Ok(Some("another".to_owned())));
    assert_eq!((other.0, other.1.contains("not the authority")), (Grade::Error, true), "{other:?}");
    assert_eq!(the_complaint(|cluster| cluster.trial = Ok(false)).0, Grade::Error);
    let refused = the_complaint(|cluster| cluster.trial = Err("failed calling webhook".to_owned()));
    assert_eq!(refused, (Grade::Error, "failed calling webhook".to_owned()));
    let strict = the_complaint(|cluster| {
        cluster.trial = Err("violates PodSecurity \"baseline\"".to_owned())
    });
    assert_eq!(strict.0, Grade::Warning);
    let denied = the_complaint(|cluster| {
        cluster.trial = Err("pods is forbidden: User \"ada\" cannot create".to_owned())
    });
    assert_eq!(denied.0, Grade::Warning);
    let mut unseen = cluster();
    unseen.authority = Err("secrets is forbidden".to_owned());
    assert_eq!(complaints(&unseen, true), []);
}

#[test]
fn a_namespace_that_forbids_the_init_container_is_an_error() {
    let level = |level: &str| {
        let labels =
            json!({ "weft.dev/inject": "enabled", "pod-security.kubernetes.io/enforce": level });
        let mut cluster = cluster();
        cluster.namespaces = Ok(vec![namespace("shop", &labels)]);
        complaints(&cluster, true)
    };
    for strict in ["baseline", "restricted"] {
        let found = level(strict);
        assert_eq!((found.len(), found[0].0), (1, Grade::Error), "{found:?}");
    }
    assert_eq!(level("privileged"), []);
}

#[test]
fn a_label_that_says_neither_yes_nor_no_is_found() {
    let (grade, error) = the_complaint(|cluster| {
        let labels = json!({ "weft.dev/inject": "true" });
        cluster.namespaces.as_mut().unwrap().push(namespace("billing", &labels));
    });
    assert_eq!((grade, error.contains("\"true\"")), (Grade::Warning, true), "{error}");
}

#[test]
fn pods_without_a_sidecar_are_found_where_there_should_be_one() {
    let (grade, error) =
        the_complaint(|cluster| cluster.pods.as_mut().unwrap().push(pod("old-1", None)));
    assert_eq!((grade, error.as_str()), (Grade::Warning, "1 without a sidecar: old-1"));
    let mut excused = cluster();
    let names = ["out", "host", "done", "elsewhere", "windows", "annotated"];
    let mut pods: Vec<Pod> = names.iter().map(|name| pod(name, None)).collect();
    pods[0].metadata.labels = Some([("weft.dev/inject".to_owned(), "disabled".to_owned())].into());
    pods[1].spec.as_mut().unwrap().host_network = Some(true);
    pods[2].status.as_mut().unwrap().phase = Some("Succeeded".to_owned());
    pods[3].metadata.namespace = Some("default".to_owned());
    let os = ("kubernetes.io/os".to_owned(), "windows".to_owned());
    pods[4].spec.as_mut().unwrap().node_selector = Some([os].into());
    pods[5].metadata.annotations =
        Some([("weft.dev/inject".to_owned(), "disabled".to_owned())].into());
    excused.pods.as_mut().unwrap().extend(pods);
    assert_eq!(complaints(&excused, true), []);
}

#[test]
fn sidecars_of_another_version_are_counted() {
    let old = the_complaint(|cluster| {
        cluster.pods.as_mut().unwrap().extend([pod("a", Some("0.0.1")), pod("b", Some("0.0.1"))]);
    });
    assert_eq!(old, (Grade::Warning, "2 of 0.0.1, in shop".to_owned()));
}

#[test]
fn a_control_plane_that_may_not_be_seen_is_not_taken_for_one_that_is_well() {
    let mut unseen = cluster();
    unseen.deployment = Err("deployments.apps is forbidden".to_owned());
    assert_eq!(complaints(&unseen, true)[0].0, Grade::Error);
    assert_eq!(complaints(&unseen, false)[0].0, Grade::Warning);
}

#[test]
fn what_may_not_be_read_is_a_warning() {
    let (grade, error) =
        the_complaint(|cluster| cluster.pods = Err("pods is forbidden".to_owned()));
    assert_eq!((grade, error.as_str()), (Grade::Warning, "it cannot be told: pods is forbidden"));
}

#[test]
fn certificates_that_ought_to_have_been_renewed_are_named_with_what_is_left() {
    let (grade, error) = the_complaint(|cluster| cluster.proxies = Ok(vec![proxy(NOW)]));
    assert_eq!(grade, Grade::Warning);
    assert_eq!(error, "that is overdue for 1: web-1.shop (90m left)");
    let (grade, error) = the_complaint(|cluster| cluster.proxies = Err("no exec".to_owned()));
    assert_eq!((grade, error.contains("no exec")), (Grade::Warning, true), "{error}");
}
