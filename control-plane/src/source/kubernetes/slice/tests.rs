//! Slices: who is behind a Service, and in which state.

use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::super::last_resort::{Counts, Target};
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
           "targetRef": {"kind": "Pod", "namespace": "shop", "name": name, "uid": format!("uid-{name}")}})
}

/// `name draining ports` of each.
fn of(slices: &[Slice], owner: impl Fn(IpAddr) -> Option<Key>) -> Vec<String> {
    let service = Key::new("shop", "web");
    let found = behind(&service, &slices.iter().collect::<Vec<_>>(), owner, |_| Counts::Yes);
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
    let found = behind(&service, &[&slice], |_| None, |_| Counts::Yes);
    assert_eq!(found.listed[0].workload, Key::new("shop", "web-192-0-2-7"));
    let made = found.outside;
    assert_eq!((made[0].meshed, &*made[0].locality.zone), (false, "b"));
    assert_eq!(made[0].address, "192.0.2.7".parse::<IpAddr>().unwrap());

    let vm = |address: IpAddr| (address.to_string() == "192.0.2.7").then(|| Key::new("vm", "db"));
    let found = behind(&service, &[&slice], vm, |_| Counts::Yes);
    assert_eq!((&found.listed[0].workload, found.outside.len()), (&Key::new("vm", "db"), 0));
}

#[test]
fn where_nobody_is_ready_those_are_behind_it_who_count_then() {
    let unready = json!({"ready": false, "serving": false, "terminating": false});
    let seconds = std::time::Duration::from_secs;
    let last_resort = |target: &Target| {
        assert_eq!(target.uid, format!("uid-{}", target.pod.name));
        match &*target.pod.name {
            "a" => Counts::Until(seconds(7)),
            "b" => Counts::No,
            "e" => Counts::Until(seconds(5)),
            _ => Counts::Yes,
        }
    };
    let service = Key::new("shop", "web");
    let found = |endpoints: &[&Value]| {
        let found = behind(&service, &[&slice(&json!(endpoints))], |_| None, last_resort);
        let name = |one: &crate::model::Listed| format!("{} {}", one.workload.name, one.draining);
        let until = found.until.map_or(0, |until| until.as_secs());
        (found.listed.iter().map(name).collect::<Vec<_>>().join(", "), until, found.unready.len())
    };
    let named = |name, last| pod(name, &format!("10.0.0.{last}"), &unready);
    let (a, b, e, f) = (named("a", 1), named("b", 2), named("e", 5), named("f", 6));
    let going = json!({"ready": false, "serving": true, "terminating": true});
    let (c, d) = (pod("c", "10.0.0.3", &going), pod("d", "10.0.0.4", &json!({"ready": true})));
    let text = str::to_owned;
    assert_eq!(found(&[&a, &b]), (text("a false"), 7, 2));
    assert_eq!(found(&[&f, &b]), (text("f false"), 0, 2), "for as long as nobody is ready");
    assert_eq!(found(&[&a, &e, &f]), (text("a false, e false, f false"), 5, 3), "the first end");
    assert_eq!(found(&[&a, &b, &c]), (text("a false, c true"), 7, 2), "who drains is not ready");
    assert_eq!(found(&[&a, &b, &c, &d]), (text("c true, d false"), 0, 2), "somebody is ready");
    let gone = json!({"ready": false, "serving": false, "terminating": true});
    assert_eq!(found(&[&pod("f", "10.0.0.6", &gone)]), (String::new(), 0, 0), "it ends");
}

#[test]
fn who_is_ready_is_told_with_the_pod_and_its_address() {
    let slice = slice(&json!([
        pod("a", "10.0.0.1", &json!({"ready": true})),
        pod("b", "10.0.0.2", &json!({"ready": false})),
        {"addresses": ["192.0.2.7"]},
    ]));
    let ready: Vec<_> = slice.ready().into_iter().cloned().collect();
    let (pod, address) = (Key::new("shop", "a"), "10.0.0.1".parse().unwrap());
    assert_eq!(ready, [Target { pod, uid: "uid-a".to_owned(), address }]);
}
