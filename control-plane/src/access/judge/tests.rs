//! One port and one caller.

use super::super::testing::{mesh, object};
use super::*;

#[test]
fn where_only_plaintext_is_taken_nobody_has_an_identity() {
    let mesh =
        mesh(&object("InboundPolicy", "plain", "{mtls: DISABLE, defaultAccess: allow-mesh}"));
    let workload = &mesh.workloads[&Key::new("shop", "product-v1")];
    let rules = PortRules::new(&mesh, workload, 8080);
    let gateway: SpiffeId = "spiffe://cluster.local/ns/shop/sa/gateway".parse().unwrap();
    let judged = rules.about(Some(&gateway), None, 8080).judge(Asks::Request(Partial::default()));
    assert_eq!(judged.verdict, Verdict::Denied);
    assert!(
        judged.why.contains("InboundPolicy/shop/plain#allow-mesh wants an identity"),
        "{judged:?}"
    );
}

#[test]
fn of_many_rules_a_few_are_named() {
    let rule = |number: usize| Rule {
        name: format!("r{number}").into(),
        from: weft_policy::Condition::All(vec![]),
        to: weft_policy::Condition::All(vec![]),
    };
    let rules: Vec<Rule> = (0..10).map(rule).collect();
    let all: Vec<&Rule> = rules.iter().collect();
    assert_eq!(names(&all[..2]), "r0 or r1");
    assert_eq!(names(&all), "r0 or r1 or r2 or r3 or r4 or r5 or r6 or r7 or one of 2 others");
}
