//! What is closed for what cannot be read, and what is not.

use crate::model::{DefaultAccess, Mesh, MtlsMode};
use crate::source::analyze;
use crate::source::testing::object;

fn read(text: &str) -> (Mesh, String) {
    let (mesh, findings) = analyze(&[("a.yaml", text)]);
    (mesh, findings.iter().map(ToString::to_string).collect())
}

#[test]
fn a_default_that_cannot_be_read_is_closed() {
    use DefaultAccess::{AllowMesh, Deny};
    let none = (None, None);
    for (spec, expected) in [
        ("{defaultAccess: denyy}", (Some(Deny), None)),
        ("{default_access: allow-all}", (Some(Deny), None)),
        ("{defaultAccess: allow-mesh, ports: [0]}", (Some(AllowMesh), None)),
        (
            "{defaultAccess: allow-all, mTLS: STRICT}",
            (Some(DefaultAccess::AllowAll), Some(MtlsMode::Strict)),
        ),
        ("{mtls: strict}", (None, Some(MtlsMode::Strict))),
        ("[]", (Some(Deny), None)),
        ("{rateLimits: [{}]}", none),
    ] {
        let (mesh, said) = read(&object("InboundPolicy", "p", spec));
        let found = mesh.inbound_policies.first();
        let found = found.map_or(none, |policy| (policy.default_access, policy.mtls));
        assert_eq!(found, expected, "{spec}: {said}");
        assert_eq!(said.contains("STRICT and deny"), found != none, "{spec}: {said}");
    }
}

#[test]
fn so_is_the_meshs() {
    let config = |spec: &str| object("MeshConfig", "default", spec).replace("shop", "weft-system");
    for (spec, access, mtls) in [
        ("{defaultAccess: nobody}", DefaultAccess::Deny, MtlsMode::Permissive),
        ("{defaultAccess: allow-mesh, mtls: STRIKT}", DefaultAccess::AllowMesh, MtlsMode::Strict),
        ("{accessLogs: {}}", DefaultAccess::AllowAll, MtlsMode::Permissive),
    ] {
        let (mesh, said) = read(&config(spec));
        assert_eq!(
            (mesh.config.default_access, mesh.config.mtls),
            (access, mtls),
            "{spec}: {said}"
        );
    }
}

#[test]
fn a_policy_that_cannot_be_told_apart_is_closed() {
    const GOOD: &str = "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: p, namespace: shop}\nspec: {selector: {matchLabels: {app: web}}, action: ALLOW, rules: [{}]}\n";
    for (from, to, name, labels) in [
        ("name: p,", "", "a.yaml:1", 1),
        ("name: p,", "name: My_Policy,", "a.yaml:1", 1),
        ("kind: AccessPolicy", "kind: Accesspolicy", "p", 1),
        ("apiVersion: weft.dev/v1alpha1\n", "", "p", 1),
        ("weft.dev/v1alpha1", "v1alpha1", "p", 1),
        ("rules: [{}]", "rules: [{}", "p", 0),
        ("rules: [{}]", "rules: [{}], action: DENY", "p", 0),
        ("kind: AccessPolicy", "\"kind\" : 'AccessPolicy'\n\tx: y", "p", 0),
    ] {
        let (mesh, said) = read(&GOOD.replace(from, to));
        let [policy] = &mesh.access_policies[..] else { panic!("{to}: {said}") };
        assert_eq!((policy.namespace.as_str(), policy.selector.len()), ("shop", labels), "{to}");
        assert_eq!(
            (policy.origin.name.as_str(), &*policy.rules[0].name),
            (name, "unreadable"),
            "{to}"
        );
        assert!(said.contains("until then everything"), "{to}: {said}");
    }
    // Of anybody else's nothing is closed.
    for text in ["kind: [", "# kind: AccessPolicy\nkind: [", "a: {kind: AccessPolicyList}\nb: ["] {
        assert!(read(text).0.access_policies.is_empty(), "{text}");
    }
}
