//! RBAC filters: what is understood, and that everything else is refused.

use weft_policy::{Access, Condition};
use weft_proto::envoy::http_rbac;
use weft_proto::envoy::rbac::rbac::Action;
use weft_proto::envoy::rbac::{Permission, Policy, Principal, Rbac, permission, principal};
use weft_proto::google::Any;

use prost::{Message, Name};

use crate::xds::decode::access::http;

fn policy(permission: permission::Rule, principal: principal::Identifier) -> Policy {
    Policy {
        permissions: vec![Permission { rule: Some(permission) }],
        principals: vec![Principal { identifier: Some(principal) }],
        ..Policy::default()
    }
}

fn filter(action: i32, policies: &[(&str, Policy)]) -> Any {
    let policies = policies.iter().map(|(name, policy)| ((*name).to_owned(), policy.clone()));
    let rules = Rbac { action, policies: policies.collect(), ..Rbac::default() };
    let filter = http_rbac::Rbac { rules: Some(rules), ..http_rbac::Rbac::default() };
    Any { type_url: http_rbac::Rbac::type_url(), value: filter.encode_to_vec() }
}

fn anything() -> permission::Rule {
    permission::Rule::Any(true)
}

fn anybody() -> principal::Identifier {
    principal::Identifier::Any(true)
}

#[test]
fn filters_add_up_and_rules_are_in_order() {
    let open = policy(anything(), anybody());
    let mut access = Access::default();
    http(
        Some(filter(Action::Deny as i32, &[("b", open.clone()), ("a", open.clone())])),
        &mut access,
    )
    .unwrap();
    http(Some(filter(Action::Log as i32, &[("c", open.clone())])), &mut access).unwrap();
    http(Some(filter(Action::Allow as i32, &[])), &mut access).unwrap();
    let names: Vec<_> = access.deny.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(access.audit[0].to, Condition::All(vec![]));
    assert_eq!(access.allow, Some(vec![]));
    let twice = http(Some(filter(Action::Allow as i32, &[])), &mut access).unwrap_err();
    assert_eq!(twice.to_string(), "typed_config.rules.action: one filter that allows is enough");
}

#[test]
fn what_is_not_understood_is_refused() {
    let mut deep = Permission { rule: Some(anything()) };
    for _ in 0..9 {
        deep = Permission {
            rule: Some(permission::Rule::AndRules(permission::Set { rules: vec![deep] })),
        };
    }
    let not = |rule| permission::Rule::NotRule(Box::new(Permission { rule: Some(rule) }));
    let wrong = [
        (
            policy(not(permission::Rule::DestinationPort(1)), anybody()),
            "this kind of rule is not supported",
        ),
        (policy(permission::Rule::Any(false), anybody()), "this kind of rule is not supported"),
        (policy(permission::Rule::DestinationPort(65_536), anybody()), "not a port"),
        (policy(deep.rule.unwrap(), anybody()), "lies more than 8 deep"),
        (
            policy(anything(), principal::Identifier::Any(false)),
            "this kind of principal is not supported",
        ),
    ];
    for (policy, reason) in wrong {
        let mut access = Access::default();
        let refused = http(Some(filter(0, &[("p", policy)])), &mut access).unwrap_err().to_string();
        assert!(refused.starts_with("typed_config.rules.policies[p]."), "{refused}");
        assert!(refused.ends_with(reason), "{refused}");
        assert_eq!(access, Access::default());
    }
    let unknown = http(Some(filter(7, &[])), &mut Access::default()).unwrap_err();
    assert!(unknown.to_string().ends_with("only ALLOW, DENY and LOG are supported"), "{unknown}");
}
