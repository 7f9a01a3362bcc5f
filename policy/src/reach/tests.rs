//! What is said with little known holds of everything that it may turn out to be.

use std::net::IpAddr;

use http::HeaderMap;
use proptest::prelude::*;
use weft_certs::SpiffeId;

use super::{Asks, Headers, Partial, Question, Reach, Unknown, reach};
use crate::testing::{ADDRESSES, HEADERS, IDENTITIES, METHODS, PATHS, headers, identity, rules};
use crate::{Access, Caller, Condition, HeaderMatch, Reason, Request, Rule, decide};

fn rule(name: &str, from: Condition, to: Condition) -> Rule {
    Rule { name: name.into(), from, to }
}

fn anything() -> Condition {
    Condition::All(Vec::new())
}

fn said(access: &Access, question: &Question<'_>) -> String {
    let reason = |reason: &Reason<'_>| match reason {
        Reason::Denied(rule) => format!("{} denies", rule.name),
        Reason::NoRuleAllows => "no rule".to_owned(),
        Reason::Allowed(rule) => format!("{} allows", rule.name),
        Reason::Open => "open".to_owned(),
    };
    match reach(access, question) {
        Reach::Always(why) => format!("always: {}", reason(&why)),
        Reach::Never(why) => format!("never: {}", reason(&why)),
        Reach::Depends(depends) => {
            let rules = depends.deny.iter().chain(&depends.allow);
            let names: Vec<&str> = rules.map(|rule| &*rule.name).collect();
            let (names, otherwise) = (names.join(" "), reason(&depends.otherwise));
            format!("depends on {} by {names}, else {otherwise}", depends.on)
        }
    }
}

#[test]
fn it_says_on_what_it_depends() {
    let gateway: SpiffeId = "spiffe://a.test/ns/shop/sa/gateway".parse().unwrap();
    let get = || Condition::Method("GET".to_owned());
    let carts = || Condition::PathPrefix("/carts/".to_owned());
    let vip = || Condition::Header(http::HeaderName::from_static("x-vip"), HeaderMatch::Present);
    let own = || Condition::Source("10.0.0.0/8".parse().unwrap());
    let access = Access {
        deny: vec![rule("vip", Condition::Mesh, vip())],
        allow: Some(vec![
            rule("carts", Condition::Mesh, Condition::All(vec![get(), carts()])),
            rule("own", own(), anything()),
        ]),
        audit: vec![],
    };
    let partial = |method, path| Asks::Request(Partial { method, path, headers: Headers::Unknown });
    let question = |identity, address: Option<&str>, asks| Question {
        identity,
        address: address.map(|address| address.parse().unwrap()),
        port: 80,
        asks,
    };
    let (far, near) = (Some("192.0.2.1"), Some("10.0.0.1"));
    let id = Some(&gateway);
    for (question, expected) in [
        (
            question(id, far, partial(None, None)),
            "depends on method, path, headers by vip carts, else no rule",
        ),
        (question(id, far, partial(Some("POST"), None)), "never: no rule"),
        (
            question(id, far, partial(Some("GET"), Some("/carts/7"))),
            "depends on headers by vip, else carts allows",
        ),
        (question(id, near, partial(None, None)), "depends on headers by vip, else own allows"),
        (question(None, near, partial(None, None)), "always: own allows"),
        (question(None, None, partial(None, None)), "depends on source by own, else no rule"),
        (question(None, far, partial(None, None)), "never: no rule"),
        (question(id, near, Asks::Bytes), "never: vip denies"),
        (question(None, near, Asks::Bytes), "always: own allows"),
    ] {
        assert_eq!(said(&access, &question), expected, "{question:?}");
    }
    assert_eq!(said(&Access::default(), &question(None, None, Asks::Bytes)), "always: open");
}

#[test]
fn every_path_begins_with_a_slash_but_one() {
    let below = rule("below", anything(), Condition::PathPrefix("/".to_owned()));
    let access = Access { deny: vec![below], ..Access::default() };
    let said = |method| {
        let asks = Asks::Request(Partial { method, ..Partial::default() });
        said(&access, &Question { identity: None, address: None, port: 80, asks })
    };
    assert_eq!(said(Some("GET")), "never: below denies");
    assert_eq!(said(Some("OPTIONS")), "depends on path by below, else open");
    assert_eq!(said(None), "depends on path by below, else open");
}

/// What is known: each by whether it is.
#[derive(Clone, Copy, Debug)]
struct Known {
    address: bool,
    method: bool,
    path: bool,
    headers: bool,
}

impl Known {
    fn admits(self, on: Unknown) -> bool {
        !(self.address && on.source
            || self.method && on.method
            || self.path && on.path
            || self.headers && on.headers)
    }
}

/// A call of which everything is known.
struct Call {
    address: IpAddr,
    method: &'static str,
    path: &'static str,
    headers: HeaderMap,
}

/// Everything that it may be, given what is known of `call`.
fn completions(call: &Call, known: Known) -> Vec<Call> {
    let mut all = Vec::new();
    for address in ADDRESSES.map(|address| address.parse().unwrap()) {
        for method in METHODS {
            for path in PATHS {
                for values in HEADERS {
                    let headers = headers(values);
                    let fits = (!known.address || address == call.address)
                        && (!known.method || method == call.method)
                        && (!known.path || path == call.path)
                        && (!known.headers || headers == call.headers);
                    if fits {
                        all.push(Call { address, method, path, headers });
                    }
                }
            }
        }
    }
    all
}

fn question<'a>(
    call: &'a Call,
    known: Known,
    identity: Option<&'a SpiffeId>,
    port: u16,
) -> Question<'a> {
    let partial = Partial {
        method: known.method.then_some(call.method),
        path: known.path.then_some(call.path),
        headers: match known.headers {
            true => Headers::All(&call.headers),
            false => Headers::Unknown,
        },
    };
    let address = known.address.then_some(call.address);
    Question { identity, address, port, asks: Asks::Request(partial) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_is_said_holds_of_every_completion(
        deny in rules(),
        allow in proptest::option::of(rules()),
        name in proptest::sample::select(&IDENTITIES[..]),
        address in proptest::sample::select(&ADDRESSES[..]),
        port in 80..82_u16,
        method in proptest::sample::select(&METHODS[..]),
        path in proptest::sample::select(&PATHS[..]),
        values in proptest::sample::select(&HEADERS[..]),
        bits in 0..16_u8,
    ) {
        let access = Access { deny, allow, audit: vec![] };
        let identity = identity(name);
        let identity = identity.as_ref();
        let known = Known {
            address: bits & 1 > 0, method: bits & 2 > 0, path: bits & 4 > 0, headers: bits & 8 > 0,
        };
        let call = Call { address: address.parse().unwrap(), method, path, headers: headers(values) };
        let asked = question(&call, known, identity, port);
        let answer = reach(&access, &asked);
        prop_assert_eq!(&said(&access.about(&asked), &asked), &said(&access, &asked));
        for one in completions(&call, known) {
            let caller = Caller { identity, address: one.address, port };
            let request = Request { method: one.method, path: one.path, headers: &one.headers };
            let verdict = decide(&access, &caller, Some(&request));
            match &answer {
                Reach::Always(_) => prop_assert!(verdict.is_allowed()),
                Reach::Never(_) => prop_assert!(!verdict.is_allowed()),
                Reach::Depends(depends) => prop_assert!(known.admits(depends.on)),
            }
            // With everything known it is the decision, and names the same rule.
            if bits == 15 {
                prop_assert!(matches!(&answer, Reach::Always(why) | Reach::Never(why) if *why == verdict.reason));
            }
        }
        // Bytes that nobody looks into.
        let asked = Question { asks: Asks::Bytes, ..asked };
        let answer = reach(&access, &asked);
        for address in ADDRESSES.map(|address| address.parse().unwrap()) {
            if known.address && address != call.address {
                continue;
            }
            let verdict = decide(&access, &Caller { identity, address, port }, None);
            match &answer {
                Reach::Always(_) => prop_assert!(verdict.is_allowed()),
                Reach::Never(_) => prop_assert!(!verdict.is_allowed()),
                Reach::Depends(depends) => {
                    let source = Unknown { source: true, ..Unknown::default() };
                    prop_assert!(!known.address);
                    prop_assert_eq!(depends.on, source);
                }
            }
            if known.address {
                prop_assert!(matches!(&answer, Reach::Always(why) | Reach::Never(why) if *why == verdict.reason));
            }
        }
    }
}
