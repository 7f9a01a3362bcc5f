//! AccessPolicy: what is read, what is refused, and what stands for what is refused.

use weft_policy::Condition;

use super::*;
use crate::model::Mesh;
use crate::source::testing::{beside_shop, object};

fn read_one(spec: &str) -> (Mesh, Vec<String>) {
    beside_shop(&object("AccessPolicy", "p", spec))
}

#[test]
fn rules_are_read() {
    let spec = "{selector: {matchLabels: {app: web}}, action: ALLOW, rules: [\
        {name: carts, from: [{serviceAccounts: [gateway, bank/job]}, {namespaces: [ops], cidrs: [10.0.0.0/8]}], \
         to: [{methods: [GET, HEAD], paths: [{value: /carts/}]}, {ports: [8080], headers: [{name: X-Role, type: Exact, value: admin}]}]}, \
        {from: [{identities: ['*']}]}]}";
    let (mesh, findings) = read_one(spec);
    assert_eq!(findings, ["WEFT0310 spec.rules[0].to"]);
    let [policy] = &mesh.access_policies[..] else { panic!("one policy") };
    assert_eq!(policy.origin.to_string(), "AccessPolicy/shop/p");
    let [carts, second] = &policy.rules[..] else { panic!("two rules") };
    assert_eq!((carts.name.as_str(), second.name.as_str()), ("carts", "1"));
    let account = |namespace: &str, name: &str| CallerName::Account(namespace.into(), name.into());
    let from = carts.from.as_ref().unwrap();
    assert_eq!(from[0].identities, [vec![account("shop", "gateway"), account("bank", "job")]]);
    assert_eq!(from[1].identities, [vec![CallerName::Namespace("ops".to_owned())]]);
    assert_eq!(from[1].networks, ["10.0.0.0/8".parse().unwrap()]);
    let said = "((method GET or method HEAD) and (path /carts or path /carts/*)) or (header x-role: admin and port 8080)";
    assert_eq!(carts.to.to_string(), said);
    assert_eq!(second.to, Condition::All(vec![]));
}

#[test]
fn what_is_wrong_is_told_at_its_field_and_closes_what_it_selects() {
    let rule = |rule: &str| format!("{{action: ALLOW, rules: [{rule}]}}");
    let from = |from: &str| rule(&format!("{{from: [{from}]}}"));
    let to = |to: &str| rule(&format!("{{to: [{to}]}}"));
    let path =
        |kind: &str, value: &str| to(&format!("{{paths: [{{type: {kind}, value: '{value}'}}]}}"));
    for (spec, expected) in [
        ("{}".to_owned(), "WEFT0205 spec"),
        ("{action: allow}".to_owned(), "WEFT0205 spec.action"),
        ("{action: DENY}".to_owned(), "WEFT0205 spec.rules"),
        ("{action: ALLOW, ports: [0]}".to_owned(), "WEFT0205 spec.ports[0]"),
        (
            "{action: ALLOW, selector: {matchExpressions: []}}".to_owned(),
            "WEFT0206 spec.selector.matchExpressions",
        ),
        (rule("{from: []}"), "WEFT0205 spec.rules[0].from"),
        (rule("{from: }"), "WEFT0205 spec.rules[0].from"),
        (rule("{to: [{paths: }]}"), "WEFT0205 spec.rules[0].to[0].paths"),
        (rule("{name: A}"), "WEFT0205 spec.rules[0].name"),
        (rule("{name: a}, {name: a}"), "WEFT0205 spec.rules[1].name"),
        (rule("{form: []}"), "WEFT0205 spec.rules[0].form"),
        (from("{}"), "WEFT0205 spec.rules[0].from[0]"),
        (from("{identities: [gateway]}"), "WEFT0205 spec.rules[0].from[0].identities[0]"),
        (from("{namespaces: []}"), "WEFT0205 spec.rules[0].from[0].namespaces"),
        (from("{serviceAccounts: [a/b/c]}"), "WEFT0205 spec.rules[0].from[0].serviceAccounts[0]"),
        (from("{trustDomains: [A]}"), "WEFT0205 spec.rules[0].from[0].trustDomains[0]"),
        (from("{cidrs: [10.0.0.1/8]}"), "WEFT0205 spec.rules[0].from[0].cidrs[0]"),
        (from("{cidrs: [10.0.0.1]}"), "WEFT0205 spec.rules[0].from[0].cidrs[0]"),
        (to("{}"), "WEFT0205 spec.rules[0].to[0]"),
        (to("{ports: []}"), "WEFT0205 spec.rules[0].to[0].ports"),
        (to("{methods: [get]}"), "WEFT0205 spec.rules[0].to[0].methods[0]"),
        (
            to("{headers: [{name: 'a b', type: Present}]}"),
            "WEFT0205 spec.rules[0].to[0].headers[0].name",
        ),
        (
            to("{headers: [{name: Host, type: Exact, value: a}]}"),
            "WEFT0205 spec.rules[0].to[0].headers[0].name",
        ),
        (
            to("{headers: [{name: a, type: Exact}]}"),
            "WEFT0205 spec.rules[0].to[0].headers[0].value",
        ),
        (to("{methods: ['*']}"), "WEFT0205 spec.rules[0].to[0].methods[0]"),
        (path("PathPrefix", "/carts/*"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
        (path("Exact", "carts"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
        (path("Exact", "/a/../b"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
        (path("Exact", "/a;b"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
        (path("Exact", "/%41"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
        (path("PathPrefix", "/a%5Cb"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
        (path("Template", "/**/a"), "WEFT0205 spec.rules[0].to[0].paths[0].value"),
    ] {
        let (mesh, findings) = read_one(&spec);
        assert!(findings.iter().any(|found| found == expected), "{spec}: {findings:?}");
        let [policy] = &mesh.access_policies[..] else { panic!("{spec}: it is gone") };
        assert_eq!(policy.action, AccessAction::Deny, "{spec}");
        assert_eq!(policy.rules[0].name, "unreadable", "{spec}");
    }
}

#[test]
fn what_is_closed_is_what_it_selects_or_more() {
    for (spec, labels, ports, rules) in [
        ("{action: X, selector: {matchLabels: {app: web}}, ports: [80]}", 1, 1, 1),
        ("{action: X, selector: {matchLabels: {app: [web]}}, ports: [80, http]}", 0, 0, 1),
        ("{action: ALLOW, selector: {matchLabels: {app: web}}, ports: [80, 0]}", 1, 0, 1),
        ("{action: X, selector: {matchLabels: {app: web}, more: {}}}", 0, 0, 1),
        ("{action: AUDIT, rulez: []}", 0, 0, 0),
        ("[]", 0, 0, 1),
    ] {
        let (mesh, findings) = read_one(spec);
        assert!(!findings.is_empty(), "{spec}");
        let policy = &mesh.access_policies[0];
        let found = (policy.selector.len(), policy.ports.len(), policy.rules.len());
        assert_eq!(found, (labels, ports, rules), "{spec}");
    }
}

#[test]
fn what_can_be_written_in_two_ways_is_read_as_one() {
    let spec = "{selector: {matchLabels: {app: none}}, action: DENY, rules: [\
        {from: [{cidrs: ['::ffff:10.0.0.0/104', '::ffff:10.0.0.7/128', '::/0']}], \
         to: [{paths: [{type: Exact, value: '/a%40%5b%c3%a9'}, {type: Template, value: '/%2a/{id}'}]}]}]}";
    let (mesh, findings) = read_one(spec);
    assert_eq!(findings, ["WEFT0306 spec"]);
    let access = mesh.access(&Key::new("shop", "x"), &[("app".into(), "none".into())].into(), 80);
    let [rule] = &access.deny[..] else { panic!("one rule") };
    assert_eq!(rule.from.to_string(), "source 10.0.0.0/8 or source 10.0.0.7/32 or source ::/0");
    assert_eq!(rule.to.to_string(), "path /a@[%C3%A9 or path /%2a/{id}");
    let Condition::Any(parts) = &rule.to else { panic!("two paths") };
    let Condition::PathTemplate(template) = &parts[1] else { panic!("a template") };
    assert!(template.matches("/*/7") && !template.matches("/a/7"), "{template}");
}
