//! The decision as a table, and any decision against a reference that is as simple as can be.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HeaderValue;
use proptest::prelude::*;
use weft_certs::SpiffeId;

use super::{Reason, Verdict, decide};
use crate::testing::{ADDRESSES, IDENTITIES, METHODS, PATHS, identity, rules};
use crate::{Access, Caller, Condition, Narrowed, Request, Rule, reference};

fn rule(name: &str, from: Condition) -> Rule {
    Rule { name: name.into(), from, to: Condition::All(vec![]) }
}

fn get() -> Condition {
    Condition::Method("GET".to_owned())
}

fn namespace(name: &str) -> Condition {
    Condition::IdentityPrefix(format!("spiffe://a.test/ns/{name}/"))
}

fn said(verdict: &Verdict<'_>) -> String {
    match verdict.reason {
        Reason::Denied(rule) => format!("denied by {}", rule.name),
        Reason::NoRuleAllows => "no rule allows".to_owned(),
        Reason::Allowed(rule) => format!("allowed by {}", rule.name),
        Reason::Open => "open".to_owned(),
    }
}

#[test]
fn deny_comes_before_allow_and_allow_before_the_default() {
    let shop: SpiffeId = "spiffe://a.test/ns/shop/sa/gateway".parse().unwrap();
    let caller = Caller { identity: Some(&shop), address: [10, 0, 0, 1].into(), port: 80 };
    let headers = HeaderMap::new();
    let request = Request { method: "GET", path: "/", headers: &headers };
    let both = || Condition::All(vec![namespace("shop"), get()]);
    let deny = |when| Access { deny: vec![rule("d", when)], ..Access::default() };
    let allow = |when| Access { allow: Some(vec![rule("a", when)]), ..Access::default() };
    let two = |one, two| Access { deny: deny(one).deny, ..allow(two) };
    let nothing = Access { allow: Some(vec![]), ..Access::default() };
    // The request, and a connection whose bytes are opaque.
    for (access, http, opaque) in [
        (Access::default(), "open", "open"),
        (nothing, "no rule allows", "no rule allows"),
        (allow(namespace("shop")), "allowed by a", "allowed by a"),
        (allow(namespace("bank")), "no rule allows", "no rule allows"),
        (allow(both()), "allowed by a", "no rule allows"),
        (deny(namespace("bank")), "open", "open"),
        (deny(both()), "denied by d", "denied by d"),
        (deny(Condition::Method("POST".to_owned())), "open", "denied by d"),
        (two(get(), Condition::Mesh), "denied by d", "denied by d"),
        (two(namespace("bank"), both()), "allowed by a", "no rule allows"),
    ] {
        assert_eq!(said(&decide(&access, &caller, Some(&request))), http, "{access:?}");
        assert_eq!(said(&decide(&access, &caller, None)), opaque, "{access:?}");
    }
}

const VALUES: &[&[u8]] =
    &[b"a", b"ab", b"b", b"", b"a,b", b"b , a", b"a,ab", b"a,", b"a\xe9", b"b,a\xff", b"A"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_decision_is_the_references(
        deny in rules(),
        allow in proptest::option::of(rules()),
        audit in rules(),
        name in proptest::sample::select(&IDENTITIES[..]),
        address in proptest::sample::select(&ADDRESSES[..]),
        port in 80..82_u16,
        method in proptest::sample::select(&METHODS[..]),
        path in proptest::sample::select(&PATHS[..]),
        values in proptest::collection::vec(proptest::sample::select(VALUES), 0..3),
    ) {
        let access = Access { deny, allow, audit };
        let identity = identity(name);
        let address: IpAddr = address.parse().unwrap();
        let caller = Caller { identity: identity.as_ref(), address, port };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x", HeaderValue::from_bytes(value).unwrap());
        }
        let request = Request { method, path, headers: &headers };
        let verdict = decide(&access, &caller, Some(&request));
        prop_assert_eq!(verdict.is_allowed(), reference::allows(&access, &caller, &request));
        let told = access.audit.iter().filter(|rule| reference::applies(rule, &caller, &request, false));
        prop_assert_eq!(verdict.audit.len(), told.count());
        if Narrowed::new(&access, &caller).is_hopeless() {
            prop_assert!(!verdict.is_allowed());
        }
        // What is opaque is let in only if every request would be.
        if decide(&access, &caller, None).is_allowed() {
            prop_assert!(verdict.is_allowed());
        }
    }
}

#[test]
fn a_path_is_the_same_in_every_spelling() {
    let caller = Caller { identity: None, address: [10, 0, 0, 1].into(), port: 80 };
    let headers = HeaderMap::new();
    let path = |to: Condition| Rule { to, ..rule("d", Condition::All(vec![])) };
    for (condition, paths) in [
        (Condition::Path("/@a".into()), &["/@a", "/%40a"][..]),
        (Condition::PathPrefix("/caf%C3%A9/".into()), &["/caf%C3%A9/x", "/caf%c3%a9/x"]),
        (Condition::PathTemplate("/%3a/*".parse().unwrap()), &["/:/x", "/%3a/x", "/%3A/x"]),
    ] {
        let access = Access { deny: vec![path(condition)], ..Access::default() };
        for path in paths {
            let request = Request { method: "GET", path, headers: &headers };
            assert_eq!(said(&decide(&access, &caller, Some(&request))), "denied by d", "{path}");
            assert!(!reference::allows(&access, &caller, &request), "{path}");
        }
    }
}
