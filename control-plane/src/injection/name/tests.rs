//! Names in traces.

use serde_json::json;

use super::super::tests::pod;
use super::*;

fn owner(kind: &str, name: &str) -> Option<Owner> {
    Some(Owner {
        api_version: "x/v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: String::new(),
    })
}

#[test]
fn names_in_their_order() {
    let hash = json!({"pod-template-hash": "5f4b9c"});
    for (metadata, owner, name) in [
        (
            json!({"annotations": {"resource.opentelemetry.io/service.name": "a"}, "labels": {"app": "c"}}),
            owner("ReplicaSet", "d"),
            "a",
        ),
        (
            json!({"labels": {"app": "c", "app.kubernetes.io/name": "b"}}),
            owner("ReplicaSet", "d"),
            "b",
        ),
        (
            json!({"labels": {"app": "c", "app.kubernetes.io/name": "b", "app.kubernetes.io/instance": "i"}}),
            owner("ReplicaSet", "d"),
            "i",
        ),
        (
            json!({"annotations": {"resource.opentelemetry.io/service.name": "a"}, "labels": {"app.kubernetes.io/instance": "i"}}),
            None,
            "a",
        ),
        (json!({"labels": {"app": ""}}), owner("StatefulSet", "db"), "db"),
        (json!({"labels": hash}), owner("ReplicaSet", "web-5f4b9c"), "web"),
        (json!({"labels": hash}), owner("ReplicaSet", "web-77"), "web-77"),
        (json!({}), owner("Job", "backup-29012345"), "backup"),
        (json!({}), owner("Job", "backup-2"), "backup-2"),
        (json!({}), owner("StatefulSet", "db-29012345"), "db-29012345"),
        (json!({"name": "web-1"}), None, "web-1"),
        (json!({"generateName": "web-"}), None, "web"),
        (json!({}), None, "unknown"),
    ] {
        let pod = pod(json!({"metadata": metadata}));
        assert_eq!(service_name(&pod, owner.as_ref()), name, "{metadata} {owner:?}");
    }
}

#[test]
fn the_names_agree_with_what_the_rest_of_the_mesh_shows() {
    for labels in
        [json!({"app.kubernetes.io/name": "b", "app": "c"}), json!({"app": "c", "version": "v1"})]
    {
        let pod = pod(json!({"metadata": {"name": "x", "labels": labels}}));
        let workload = crate::model::Workload {
            labels: serde_json::from_value(labels).unwrap(),
            ..crate::testing::mesh(&["x"]).workloads.values().next().unwrap().clone()
        };
        assert_eq!(service_name(&pod, None), workload.display_name());
        assert_eq!(service_version(&pod).unwrap_or_default(), workload.version());
    }
}

#[test]
fn the_owner_is_the_controller() {
    let reference = |kind: &str, controller: bool| json!({"apiVersion": "apps/v1", "kind": kind, "name": "web-1", "uid": "u", "controller": controller});
    let references = json!([reference("Thing", false), reference("ReplicaSet", true)]);
    let pod = pod(json!({"metadata": {"ownerReferences": references}}));
    assert_eq!(Owner::of(&pod).unwrap().kind, "ReplicaSet");
    assert_eq!(Owner::of(&Pod::default()), None);
}
