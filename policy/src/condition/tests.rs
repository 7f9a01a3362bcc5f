//! Conditions by the caller alone, and headers with several values.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use weft_certs::SpiffeId;

use super::{Condition, HeaderMatch, Values};
use crate::{Caller, Request};

fn header(wanted: &str) -> Condition {
    Condition::Header(HeaderName::from_static("x-role"), HeaderMatch::Exact(wanted.to_owned()))
}

fn roles(values: &[&'static str]) -> HeaderMap {
    let name = HeaderName::from_static("x-role");
    values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
}

#[test]
fn a_header_with_several_values_is_read_the_safe_way() {
    let caller = Caller { identity: None, address: [10, 0, 0, 1].into(), port: 80 };
    for (values, one, every) in [
        (&[][..], false, false),
        (&["admin"], true, true),
        (&["user", "admin"], true, false),
        (&["admin", "user"], true, false),
        (&["admin", "admin"], true, true),
        (&["admin,user"], true, false),
        (&["user , admin"], true, false),
        (&["admin,admin"], true, false),
        (&["administrator,user"], false, false),
        (&["Admin"], false, false),
        (&[""], false, false),
    ] {
        let headers = roles(values);
        let request = Request { method: "GET", path: "/", headers: &headers };
        let holds = |values| header("admin").holds(&caller, &request, values);
        assert_eq!((holds(Values::One), holds(Values::Every)), (one, every), "{values:?}");
    }
}

#[test]
fn what_a_caller_settles_is_settled() {
    let id: SpiffeId = "spiffe://a.test/ns/shop/sa/gateway".parse().unwrap();
    let caller = Caller { identity: Some(&id), address: [10, 1, 2, 3].into(), port: 8080 };
    let prefix = |text: &str| Condition::IdentityPrefix(text.to_owned());
    let source = |text: &str| Condition::Source(text.parse().unwrap());
    let method = || Condition::Method("GET".to_owned());
    for (condition, expected) in [
        (Condition::All(vec![]), Some(true)),
        (Condition::Any(vec![]), Some(false)),
        (Condition::Mesh, Some(true)),
        (prefix("spiffe://a.test/ns/shop/"), Some(true)),
        (prefix("spiffe://a.test/ns/sho/"), Some(false)),
        (source("10.0.0.0/8"), Some(true)),
        (source("::ffff:0:0/96"), Some(false)),
        (Condition::Port(80), Some(false)),
        (method(), None),
        (Condition::All(vec![Condition::Port(80), method()]), Some(false)),
        (Condition::All(vec![method(), Condition::Port(80)]), Some(false)),
        (Condition::All(vec![Condition::Port(8080), method()]), None),
        (Condition::Any(vec![method(), Condition::Port(8080)]), Some(true)),
        (Condition::Any(vec![Condition::Port(80), method()]), None),
    ] {
        assert_eq!(condition.by_caller(&caller), expected, "{condition}");
    }
    let plain = Caller { identity: None, address: "::ffff:10.1.2.3".parse().unwrap(), port: 1 };
    assert_eq!(source("10.0.0.0/8").by_caller(&plain), Some(true), "IPv4 in IPv6 is IPv4");
    assert_eq!(prefix("").by_caller(&plain), Some(false), "nobody has no identity");
}

#[test]
fn what_is_no_text_denies_and_never_allows() {
    let caller = Caller { identity: None, address: [10, 0, 0, 1].into(), port: 80 };
    let name = HeaderName::from_static("x-role");
    let wanted = [HeaderMatch::Exact("admin".to_owned()), HeaderMatch::Prefix("adm".to_owned())];
    for (value, one, every) in [
        (&b"admin\xe9"[..], true, false),
        (b"\xff", true, false),
        // Two bytes of UTF-8.
        (b"\xc3\xa9", false, false),
    ] {
        let value = HeaderValue::from_bytes(value).unwrap();
        let headers = HeaderMap::from_iter([(name.clone(), value)]);
        let request = Request { method: "GET", path: "/", headers: &headers };
        for wanted in &wanted {
            let header = Condition::Header(name.clone(), wanted.clone());
            let holds = |values| header.holds(&caller, &request, values);
            assert_eq!((holds(Values::One), holds(Values::Every)), (one, every), "{headers:?}");
        }
        let present = Condition::Header(name.clone(), HeaderMatch::Present);
        assert!(present.holds(&caller, &request, Values::Every), "it is there");
    }
}

#[test]
fn a_prefix_allows_a_list_only_if_all_of_it_begins_so() {
    let caller = Caller { identity: None, address: [10, 0, 0, 1].into(), port: 80 };
    let prefix = |text: &str| {
        Condition::Header(HeaderName::from_static("x-role"), HeaderMatch::Prefix(text.to_owned()))
    };
    for (wanted, value, one, every) in [
        ("adm", "admin", true, true),
        ("adm", "admin, admiral", true, true),
        ("adm", "admin, user", true, false),
        ("adm", "user, admin", true, false),
        ("adm", "user", false, false),
        ("a, b", "a, b, c", true, true),
    ] {
        let headers = roles(&[value]);
        let request = Request { method: "GET", path: "/", headers: &headers };
        let holds = |values| prefix(wanted).holds(&caller, &request, values);
        assert_eq!((holds(Values::One), holds(Values::Every)), (one, every), "{wanted}: {value}");
    }
}
