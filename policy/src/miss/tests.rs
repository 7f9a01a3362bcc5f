//! The nearest miss, in words.

use http::HeaderMap;
use weft_certs::SpiffeId;

use super::nearest;
use crate::{Access, Caller, Condition, Request, Rule};

#[test]
fn the_rule_that_wanted_least_more_is_named() {
    let shop: SpiffeId = "spiffe://a.test/ns/shop/sa/gateway".parse().unwrap();
    let caller = Caller { identity: Some(&shop), address: [10, 0, 0, 1].into(), port: 80 };
    let headers = HeaderMap::new();
    let request = Request { method: "POST", path: "/carts/7", headers: &headers };
    let rule = |name: &str, parts| Rule {
        name: name.into(),
        from: Condition::All(parts),
        to: Condition::All(vec![]),
    };
    let namespace = |name| Condition::IdentityPrefix(format!("spiffe://a.test/ns/{name}/"));
    let methods = |all: &[&str]| {
        Condition::Any(all.iter().map(|one| Condition::Method((*one).to_owned())).collect())
    };
    let far = rule("far", vec![namespace("bank"), methods(&["GET"])]);
    let near = rule("near", vec![namespace("shop"), methods(&["GET", "HEAD"])]);
    let one = rule("one", vec![Condition::Any(vec![Condition::All(vec![namespace("bank")])])]);
    let said = |rules: &[&Rule]| {
        let allow = Some(rules.iter().map(|&rule| rule.clone()).collect());
        let access = Access { allow, ..Access::default() };
        nearest(&access, &caller, Some(&request)).map(|miss| miss.to_string())
    };
    assert_eq!(said(&[]), None);
    assert_eq!(said(&[&far, &near]).unwrap(), "near wants method GET or method HEAD");
    assert_eq!(said(&[&one, &near]).unwrap(), "one wants identity spiffe://a.test/ns/bank/*");
    assert_eq!(said(&[&far]).unwrap(), "far wants identity spiffe://a.test/ns/bank/*, method GET");
    // What is opaque has no method.
    let access = Access { allow: Some(vec![near]), ..Access::default() };
    let miss = nearest(&access, &caller, None).unwrap();
    assert_eq!(miss.to_string(), "near wants method GET or method HEAD");
}
