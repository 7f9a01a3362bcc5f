//! Slices: who is behind a Service, and in which state.

use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::{Slice, behind, read};
use crate::model::Key;

fn slice(endpoints: &Value) -> Slice {
    let slice: EndpointSlice = serde_json::from_value(json!({
        "addressType": "IPv4",
        "metadata": {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}],
    }))
    .unwrap();
    read(&slice)
}

fn pod(name: &str, address: &str, conditions: &Value) -> Value {
    json!({"addresses": [address], "conditions": conditions,
           "targetRef": {"kind": "Pod", "namespace": "shop", "name": name}})
}

/// `name draining ports` of each.
fn of(slices: &[Slice], owner: impl Fn(IpAddr) -> Option<Key>) -> Vec<String> {
    let service = Key::new("shop", "web");
    let found = behind(&service, &slices.iter().collect::<Vec<_>>(), owner, |_| true);
    found
        .listed
        .iter()
        .map(|l| format!("{} {} {:?}", l.workload.name, l.draining, l.ports))
        .collect()
}

#[test]
fn who_is_ready_is_behind_it_and_who_still_serves_drains() {
    let slice = slice(&json!([
        pod("a", "10.0.0.1", &json!({"ready": true})),
        pod("b", "10.0.0.2", &json!({})),
        pod("c", "10.0.0.3", &json!({"ready": false})),
        pod("d", "10.0.0.4", &json!({"ready": false, "serving": true, "terminating": true})),
        pod("e", "10.0.0.5", &json!({"ready": false, "serving": false, "terminating": true})),
    ]));
    let ports = r#"{"http": 8080}"#;
    let expected =
        [format!("a false {ports}"), format!("b false {ports}"), format!("d true {ports}")];
    assert_eq!(of(&[slice], |_| None), expected);
}

#[test]
fn slices_of_both_families_name_the_same_pod_once() {
    let one = slice(&json!([pod("a", "10.0.0.1", &json!({"ready": true}))]));
    let other = slice(&json!([pod("a", "fd00::1", &json!({"ready": true}))]));
    assert_eq!(of(&[one, other], |_| None).len(), 1);
}

#[test]
fn an_address_of_no_pod_is_a_workload_without_a_sidecar_unless_somebody_has_it() {
    let slice = slice(&json!([{"addresses": ["192.0.2.7"], "zone": "b"}]));
    let service = Key::new("shop", "web");
    let found = behind(&service, &[&slice], |_| None, |_| true);
    assert_eq!(found.listed[0].workload, Key::new("shop", "web-192-0-2-7"));
    let made = found.outside;
    assert_eq!((made[0].meshed, &*made[0].locality.zone), (false, "b"));
    assert_eq!(made[0].address, "192.0.2.7".parse::<IpAddr>().unwrap());

    let vm = |address: IpAddr| (address.to_string() == "192.0.2.7").then(|| Key::new("vm", "db"));
    let found = behind(&service, &[&slice], vm, |_| true);
    assert_eq!((&found.listed[0].workload, found.outside.len()), (&Key::new("vm", "db"), 0));
}

#[test]
fn where_nobody_is_ready_those_count_whose_kubelet_said_last_that_they_are_well() {
    let lost = json!({"ready": false, "serving": false, "terminating": false});
    let well = |pod: &Key| pod.name == "a";
    let service = Key::new("shop", "web");
    let names = |slice: &Slice| -> Vec<String> {
        let found = behind(&service, &[slice], |_| None, well);
        found.listed.iter().map(|one| format!("{} {}", one.workload.name, one.draining)).collect()
    };
    let (a, b) = (pod("a", "10.0.0.1", &lost), pod("b", "10.0.0.2", &lost));
    let going = json!({"ready": false, "serving": true, "terminating": true});
    let (c, d) = (pod("c", "10.0.0.3", &going), pod("d", "10.0.0.4", &json!({"ready": true})));
    assert_eq!(names(&slice(&json!([a, b]))), ["a false"], "b is unready by its own probe");
    assert_eq!(names(&slice(&json!([a, b, c]))), ["a false", "c true"]);
    assert_eq!(names(&slice(&json!([a, b, c, d]))), ["c true", "d false"], "somebody is ready");
}
