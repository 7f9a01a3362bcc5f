//! What is said of values that do not have their shape.

use serde_json::json;

use super::service::ServiceSpec;
use super::*;

fn refused(value: Value) -> (String, String, String) {
    let error = read::<Manifest<ServiceSpec>>(value).unwrap_err();
    (error.field, error.message, error.hint.unwrap_or_default())
}

fn service(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
}

#[test]
fn a_misspelt_field_is_named_with_what_was_meant() {
    let (field, message, hint) =
        refused(service(&json!({"ports": [{"port": 80, "targetport": 1}]})));
    assert_eq!(field, "spec.ports[0].targetport");
    assert_eq!((&*message, &*hint), ("there is no field targetport", "did you mean targetPort?"));

    let (field, _, hint) = refused(service(&json!({"weather": 1})));
    assert_eq!(field, "spec.weather");
    assert!(hint.starts_with("one of type, selector"), "{hint}");
}

#[test]
fn a_missing_field_and_a_wrong_type_are_told_with_their_place() {
    let (field, message, hint) = refused(service(&json!({"ports": [{"name": "http"}]})));
    assert_eq!((&*field, &*message, &*hint), ("spec.ports[0]", "port is missing", "add port"));

    let mut value = service(&json!({}));
    value["metadata"]["labels"] = json!({"version": 1.5});
    let (field, message, hint) = refused(value);
    assert_eq!(field, "metadata.labels.version");
    assert!(message.contains("1.5"), "{message}");
    assert_eq!(hint, "put the value in quotes");

    let (field, message, _) =
        refused(service(&json!({"ports": [{"port": 80, "targetPort": true}]})));
    assert_eq!(field, "spec.ports[0].targetPort");
    assert!(message.contains("whole number or a name"), "{message}");
}

#[test]
fn what_servers_write_is_taken() {
    let value = json!({
        "apiVersion": "v1", "kind": "Service", "status": {"loadBalancer": {}},
        "metadata": {
            "name": "web", "namespace": "shop", "creationTimestamp": null, "labels": null,
            "annotations": {"a": "b"}, "uid": "1", "resourceVersion": "7", "generation": 3,
            "managedFields": [{}], "ownerReferences": [], "finalizers": ["x"], "selfLink": ""
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http", "nodePort": 30080}]
        }
    });
    let manifest = read::<Manifest<ServiceSpec>>(value).unwrap();
    assert_eq!(manifest.metadata.namespace.as_deref(), Some("shop"));
    assert_eq!(manifest.spec.ports[0].target_port, Some(NumberOrText::Text("http".to_owned())));
}

#[test]
fn distance_counts_letters() {
    for (a, b, expected) in
        [("", "", 0), ("a", "", 1), ("path", "paht", 2), ("kitten", "sitting", 3)]
    {
        assert_eq!(distance(a, b), expected, "{a} {b}");
    }
}
