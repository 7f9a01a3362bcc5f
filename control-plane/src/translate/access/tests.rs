//! What rules look like to an Envoy, and that a resource with many of them is the same each time.

use prost::Message as _;
use weft_proto::envoy::listener::Listener;

use super::super::fixture::{BUNDLE, shop};
use super::super::tests::decoded;
use super::super::{ResourceType, translate};
use super::*;
use crate::model::{
    AccessAction, AccessPolicy, AccessRule, AccessSource, CallerName, Mesh, Origin,
};

fn method(name: &str) -> Condition {
    Condition::Method(name.to_owned())
}

/// A policy with so many rules for everything of the namespace.
fn ruled(action: AccessAction, rules: usize) -> Mesh {
    let source = AccessSource {
        identities: vec![vec![CallerName::Mesh]],
        networks: vec!["10.0.0.0/8".parse().unwrap()],
    };
    let rule = |number: usize| AccessRule {
        name: number.to_string(),
        from: Some(vec![source.clone()]),
        to: Condition::All(vec![
            Condition::Any(vec![method("GET"), method("HEAD")]),
            Condition::Port(8080),
        ]),
    };
    let mut mesh = shop();
    mesh.access_policies.push(AccessPolicy {
        origin: Origin::from_text("AccessPolicy/shop/p").unwrap(),
        namespace: "shop".to_owned(),
        selector: [].into(),
        ports: vec![],
        action,
        rules: (0..rules).map(rule).collect(),
    });
    mesh
}

#[test]
fn many_rules_are_the_same_resource_each_time() {
    let version = || {
        let set = translate(&ruled(AccessAction::Deny, 20), BUNDLE);
        let listener: Listener = decoded(&set, ResourceType::Listener, "inbound/shop/web-1");
        listener
            .filter_chains
            .iter()
            .map(|chain| format!("{:?}", chain.filters))
            .collect::<Vec<_>>()
    };
    let first = version();
    assert!((0..5).all(|_| version() == first));
}

#[test]
fn rules_of_a_filter_are_merged_and_all_there() {
    let mesh = ruled(AccessAction::Allow, 20);
    let workload = mesh.workloads.values().next().unwrap();
    let access = mesh.access(&workload.key, &workload.labels, 8080);
    let [filter] = &http(&access)[..] else { panic!("one filter") };
    let Some(http_filter::ConfigType::TypedConfig(config)) = &filter.config_type else { panic!() };
    let read = http_rbac::Rbac::decode(config.value.as_slice()).unwrap().rules.unwrap();
    assert_eq!(read.policies.len(), 20);
    assert_eq!(read.action, i32::from(Action::Allow));
    let policy = &read.policies["AccessPolicy/shop/p#7"];
    assert_eq!((policy.permissions.len(), policy.principals.len()), (1, 1));
}

#[test]
fn opaque_bytes_are_judged_by_what_is_known_of_them() {
    let get = Condition::All(vec![method("GET"), Condition::Port(80)]);
    let known = Condition::All(vec![Condition::All(vec![]), Condition::Port(80)]);
    let unknown = Condition::All(vec![Condition::Any(vec![]), Condition::Port(80)]);
    assert_eq!(opaque(&get, true), known);
    assert_eq!(opaque(&get, false), unknown);
    // Nothing at all is `not any`: an empty list is no message that Envoy takes.
    let nothing = permission(&Condition::Any(vec![])).rule.unwrap();
    assert!(matches!(nothing, permission::Rule::NotRule(_)));
}
