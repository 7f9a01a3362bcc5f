//! What a mesh says of a port: policies by action, and the default where nothing allows.

use std::collections::BTreeMap;

use weft_policy::{Caller, decide};

use super::*;
use crate::model::{InboundPolicy, MeshConfig};

fn key(namespace: &str, name: &str) -> Key {
    Key::new(namespace, name)
}

fn policy(action: AccessAction, name: &str, from: CallerName) -> AccessPolicy {
    let source = AccessSource { identities: vec![vec![from]], networks: vec![] };
    let (to, from) = (Condition::All(Vec::new()), Some(vec![source]));
    AccessPolicy {
        origin: Origin {
            kind: "AccessPolicy".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            ..Origin::default()
        },
        namespace: "shop".to_owned(),
        selector: BTreeMap::new(),
        ports: Vec::new(),
        action,
        rules: vec![AccessRule { name: "0".to_owned(), from, to }],
    }
}

fn asks(mesh: &Mesh, namespace: &str) -> bool {
    let access = mesh.access(&key("shop", "web"), &BTreeMap::new(), 80);
    let id = (!namespace.is_empty())
        .then(|| format!("spiffe://cluster.local/ns/{namespace}/sa/job").parse().unwrap());
    let caller = Caller { identity: id.as_ref(), address: [10, 0, 0, 1].into(), port: 80 };
    decide(&access, &caller, None).is_allowed()
}

#[test]
fn defaults_hold_where_nothing_allows() {
    for (default, [own, other, nobody]) in [
        (DefaultAccess::AllowAll, [true, true, true]),
        (DefaultAccess::AllowMesh, [true, true, false]),
        (DefaultAccess::AllowSameNamespace, [true, false, false]),
        (DefaultAccess::Deny, [false, false, false]),
    ] {
        let config = MeshConfig { default_access: default, ..MeshConfig::default() };
        let mut mesh = Mesh { config, ..Mesh::default() };
        let found = |mesh: &Mesh| ["shop", "bank", ""].map(|namespace| asks(mesh, namespace));
        assert_eq!(found(&mesh), [own, other, nobody], "{}", default.name());
        // A policy that denies or tells leaves the default where it is; one that allows takes its place.
        let bank = || CallerName::Namespace("bank".to_owned());
        mesh.access_policies = vec![policy(AccessAction::Audit, "a", bank())];
        assert_eq!(found(&mesh), [own, other, nobody], "{}", default.name());
        mesh.access_policies = vec![policy(AccessAction::Deny, "d", bank())];
        assert_eq!(found(&mesh), [own, false, nobody], "{}", default.name());
        mesh.access_policies = vec![policy(AccessAction::Allow, "y", bank())];
        assert_eq!(found(&mesh), [false, true, false], "{}", default.name());
    }
}

#[test]
fn the_default_of_a_policy_counts_before_the_meshs() {
    let mut mesh = Mesh::default();
    mesh.inbound_policies.push(InboundPolicy {
        origin: Origin::from_text("InboundPolicy/shop/closed").unwrap(),
        created: 0,
        namespace: "shop".to_owned(),
        selector: BTreeMap::new(),
        ports: vec![80],
        mtls: None,
        default_access: Some(DefaultAccess::AllowMesh),
        rate_limits: Vec::new(),
    });
    let rules = |port| mesh.access(&key("shop", "web"), &BTreeMap::new(), port).allow;
    let names: Vec<_> = rules(80).unwrap().into_iter().map(|rule| rule.name.to_string()).collect();
    assert_eq!(names, ["InboundPolicy/shop/closed#allow-mesh"]);
    assert_eq!(rules(81), None);
}

#[test]
fn policies_are_for_their_own_namespace_labels_and_ports() {
    let mut one = policy(AccessAction::Deny, "d", CallerName::Mesh);
    one.selector = [("app".to_owned(), "web".to_owned())].into();
    one.ports = vec![80];
    let mesh = Mesh { access_policies: vec![one], ..Mesh::default() };
    let labels = |app: &str| [("app".to_owned(), app.to_owned())].into();
    let applies = |namespace, app, port| {
        !mesh.access(&key(namespace, "x"), &labels(app), port).deny.is_empty()
    };
    assert!(applies("shop", "web", 80));
    assert!(!applies("bank", "web", 80));
    assert!(!applies("shop", "job", 80));
    assert!(!applies("shop", "web", 81));
}
