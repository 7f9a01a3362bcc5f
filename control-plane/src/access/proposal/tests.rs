//! The mesh as it would be is the mesh that comes of the same objects.

use super::super::testing::{mesh, object, readers};
use super::*;
use crate::source::proposal::read;

fn proposed(text: &str) -> Vec<Proposed> {
    let proposal = read(&[("p.yaml".to_owned(), text.to_owned())], "shop");
    assert!(proposal.findings.is_empty(), "{:?}", proposal.findings);
    proposal.objects
}

/// Everything about access of every port, by name.
fn access(mesh: &Mesh) -> Vec<String> {
    let of = |(key, workload): (&crate::model::Key, &crate::model::Workload)| {
        let port = workload.ports[0].port;
        let mode = mesh.mtls_mode(key, &workload.labels, port);
        format!("{key} {mode:?} {:?}", mesh.access(key, &workload.labels, port))
    };
    mesh.workloads.iter().map(of).collect()
}

#[test]
fn it_is_as_if_it_had_been_applied() {
    let before = readers()
        + &object("InboundPolicy", "closed", "{defaultAccess: deny}")
        + &object(
            "InboundPolicy",
            "gateways",
            "{selector: {matchLabels: {app: gateway}}, defaultAccess: allow-mesh}",
        );
    let config = "apiVersion: weft.dev/v1alpha1\nkind: MeshConfig\nmetadata: {name: default, namespace: weft-system}\nspec: {defaultAccess: allow-mesh, mtls: STRICT}\n---\n";
    for (text, without, changes) in [
        // Added, replaced, several at once.
        (
            object("AccessPolicy", "more", "{action: DENY, rules: [{to: [{methods: [PUT]}]}]}"),
            "",
            "added 5",
        ),
        (
            object("AccessPolicy", "readers", "{action: ALLOW, rules: [{}]}"),
            "readers",
            "replaced 5",
        ),
        (object("InboundPolicy", "closed", "{defaultAccess: allow-all}"), "closed", "replaced 5"),
        (
            object(
                "InboundPolicy",
                "another",
                "{selector: {matchLabels: {app: db}}, defaultAccess: allow-all}",
            ),
            "",
            "added 1",
        ),
        (config.to_owned(), "", "added 6"),
    ] {
        let kept: Vec<&str> = before
            .split_inclusive("---\n")
            .filter(|one| without.is_empty() || !one.contains(&format!("name: {without}")))
            .collect();
        let expected = mesh(&(kept.concat() + &text));
        let mut then = mesh(&before);
        let done: Vec<String> = proposed(&text)
            .into_iter()
            .map(|one| {
                let Change { change, selects, .. } = apply(&mut then, one, 0);
                format!("{change:?} {selects}").to_lowercase()
            })
            .collect();
        assert_eq!(done, [changes], "{text}");
        assert_eq!(access(&then), access(&expected), "{text}");
    }
}

#[test]
fn a_new_policy_of_a_cluster_is_younger_than_all_that_are_there() {
    let aged = |name: &str, default: &str, at: &str| {
        object("InboundPolicy", name, &format!("{{defaultAccess: {default}}}"))
            .replace("namespace: shop", &format!("namespace: shop, creationTimestamp: '{at}'"))
    };
    let mut then = mesh(&aged("b", "deny", "2026-01-01T00:00:00Z"));
    let new = object("InboundPolicy", "a", "{defaultAccess: allow-all}");
    for one in proposed(&new) {
        apply(&mut then, one, i64::MAX);
    }
    let first = &then.inbound_policies[0].origin;
    assert_eq!(first.name, "b", "the older is in force, whatever it is called");
}

#[test]
fn what_is_deleted_is_gone() {
    let mut then = mesh(&(readers() + &object("InboundPolicy", "closed", "{defaultAccess: deny}")));
    assert_eq!(delete(&mut then, "AccessPolicy/shop/readers").unwrap().selects, 2);
    assert_eq!(delete(&mut then, "InboundPolicy/shop/closed").unwrap().change, Kind::Deleted);
    assert_eq!(access(&then), access(&mesh("")));
    for (name, expected) in [
        ("AccessPolicy/shop/readers", "there is no AccessPolicy/shop/readers in force"),
        ("MeshConfig/weft-system/default", "there is no MeshConfig"),
        ("readers", "is not Kind/namespace/name"),
        ("AccessPolicy/shop/readers#0", "is not Kind/namespace/name"),
        ("HTTPRoute/shop/web", "a HTTPRoute says nothing of access"),
    ] {
        let why = delete(&mut then, name).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}
