//! Decisions as the proxy tells them: whose fault, in which words; and which connections end when the rules change.

use std::sync::Arc;

use weft_certs::SpiffeId;
use weft_policy::{Access, Condition, Rule};

use super::*;
use crate::drain::{self, Cut};

fn rule(name: &str, from: Condition, to: Condition) -> Rule {
    Rule { name: name.into(), from, to }
}

fn anything() -> Condition {
    Condition::All(Vec::new())
}

fn get() -> Condition {
    Condition::Method("GET".to_owned())
}

fn both(access: Access) -> Arc<PortAccess> {
    Arc::new(PortAccess { http: access.clone(), tcp: access })
}

fn allowing(rules: Vec<Rule>) -> Arc<PortAccess> {
    both(Access { allow: Some(rules), ..Access::default() })
}

fn gateway() -> SpiffeId {
    "spiffe://a.test/ns/shop/sa/gateway".parse().unwrap()
}

fn judge(access: &Arc<PortAccess>, concern: &Concern, method: &str, path: &str) -> String {
    let (id, told) = (gateway(), Told::default());
    let caller = caller(Some(&id), "10.0.0.1:4711".parse().unwrap(), 80);
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    match authorize_request(access, &caller, concern, &request, &told) {
        Ok(()) => "allowed".to_owned(),
        Err(error) => error.proxy_status().to_str().unwrap().to_owned(),
    }
}

#[test]
fn a_denial_names_the_rule_or_the_nearest_miss() {
    let concern = Concern::default();
    let access = allowing(vec![rule("AccessPolicy/shop/readers#0", Condition::Mesh, get())]);
    assert_eq!(judge(&access, &concern, "GET", "/"), "allowed");
    assert_eq!(
        judge(&access, &concern, "POST", "/"),
        "weft; error=http_request_denied; details=\"no rule allows it; AccessPolicy/shop/readers#0 wants method GET\""
    );
    // The same connection, after a change.
    let deny = vec![rule("AccessPolicy/shop/no#reading", anything(), get())];
    let access = both(Access { deny, ..Access::default() });
    assert_eq!(
        judge(&access, &concern, "GET", "/"),
        "weft; error=http_request_denied; details=\"AccessPolicy/shop/no#reading: denied by AccessPolicy/shop/no#reading\""
    );
    assert_eq!(judge(&access, &concern, "POST", "/"), "allowed");
    assert_eq!(
        judge(&allowing(vec![]), &concern, "GET", "/"),
        "weft; error=http_request_denied; details=\"no rule allows it, for there is none\""
    );
}

#[test]
fn where_rules_judge_paths_ambiguous_ones_are_refused() {
    let concern = Concern::default();
    let path = Condition::PathPrefix("/public/".to_owned());
    let access = allowing(vec![rule("r", anything(), path)]);
    for (path, allowed) in [
        ("/public/a", true),
        ("/public/a%20b", true),
        ("/public/a;x/b", false),
        ("/public/..%2fadmin", false),
        ("/public/..%5Cadmin", false),
        ("/public/a%3bx", false),
    ] {
        let found = judge(&access, &concern, "GET", path);
        assert_eq!(found == "allowed", allowed, "{path}: {found}");
        assert!(allowed || found.contains("error=http_request_error"), "{path}: {found}");
    }
    let access = allowing(vec![rule("r", anything(), get())]);
    assert_eq!(judge(&access, &concern, "GET", "/a;x%2Fb"), "allowed", "no rule is about paths");
}

#[test]
fn connections_of_callers_that_may_do_nothing_more_end() {
    let (_trigger, source) = drain::channel();
    let (id, address) = (gateway(), "10.0.0.1:4711".parse().unwrap());
    let guests = Guests::default();
    let enter = |kind, identity| {
        let watch = source.watch();
        guests.enter(kind, identity, address, 80, watch.cut());
        watch
    };
    let is_cut = |cut: &Arc<Cut>| cut.is_done();
    let http = enter(Kind::Http, Some(&id));
    let opaque = enter(Kind::Opaque, Some(&id));
    let stranger = enter(Kind::Http, None);
    drop(enter(Kind::Http, None));
    let cut = || [&http, &opaque, &stranger].map(|watch| is_cut(watch.cut()));
    // Some requests of the mesh are allowed, but nothing opaque.
    let access = allowing(vec![rule("r", Condition::Mesh, get())]);
    let now = |access: Option<&Arc<PortAccess>>, strict| {
        let access = access.map(Arc::clone);
        move |port| Now { access: access.clone().filter(|_| port == 80), strict }
    };
    assert_eq!(guests.review(now(None, false)), 0);
    assert_eq!(guests.review(now(Some(&access), false)), 2);
    assert_eq!(cut(), [false, true, true]);
    assert_eq!(guests.review(now(Some(&allowing(vec![])), false)), 3);
    assert_eq!(cut(), [true, true, true]);
    // Where mutual TLS is asked for nobody stays without, but who probes.
    let [stranger, prober] = [Kind::Http, Kind::Probe].map(|kind| enter(kind, None));
    drop((http, opaque));
    assert_eq!(guests.review(now(None, true)), 2, "both strangers");
    assert_eq!([&stranger, &prober].map(|watch| is_cut(watch.cut())), [true, false]);
}

#[test]
fn what_became_of_a_request_ends_when_it_may_be_asked_for_no_more() {
    let (_trigger, source) = drain::channel();
    let (id, address) = (gateway(), "10.0.0.1:4711".parse().unwrap());
    let guests = Guests::default();
    let open = ["/chat", "/news"].map(|path| {
        let request = Request::get(path).body(()).unwrap();
        let watch = source.watch();
        guests.enter(Kind::Switched(Asked::of(&request)), Some(&id), address, 80, watch.cut());
        watch
    });
    let chat = rule("r", Condition::Mesh, Condition::Path("/chat".to_owned()));
    let access = allowing(vec![chat]);
    assert_eq!(guests.review(|_| Now { access: Some(Arc::clone(&access)), strict: false }), 1);
    assert_eq!(open.map(|watch| watch.cut().is_done()), [false, true]);
}
