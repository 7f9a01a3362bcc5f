//! `loadBalancer` and `sessionAffinity`: what is read, and what is wrong with it.

use std::time::Duration;

use crate::model::{Balancer, HashOn, RingHash, SessionAffinity, SlowStart, TrafficPolicy};
use crate::source::testing::{beside_shop, object};

fn policy(fields: &str) -> (Option<TrafficPolicy>, Vec<String>) {
    spec(&format!("loadBalancer: {{{fields}}}"))
}

fn spec(fields: &str) -> (Option<TrafficPolicy>, Vec<String>) {
    let spec = format!("{{targetRefs: [{{kind: Service, name: web}}], {fields}}}");
    let (mesh, findings) = beside_shop(&object("TrafficPolicy", "p", &spec));
    (mesh.traffic_policy(&crate::model::Key::new("shop", "web"), 80).cloned(), findings)
}

#[test]
fn a_ring_has_its_keys_in_order() {
    let (read, findings) = policy(
        "policy: RingHash, hashOn: [{header: X-User}, {cookie: {name: sid}}, {sourceAddress: {}}], \
         ringSize: {minimum: 64, maximum: 128}",
    );
    assert!(findings.is_empty(), "{findings:?}");
    let hash_on =
        vec![HashOn::Header("x-user".into()), HashOn::Cookie("sid".into()), HashOn::SourceAddress];
    let expected = RingHash { hash_on, minimum: 64, maximum: 128 };
    assert_eq!(read.unwrap().balancer, Balancer::RingHash(expected));
    let (read, _) = policy("policy: RingHash, hashOn: [{sourceAddress: {}}]");
    let Balancer::RingHash(ring) = read.unwrap().balancer else { panic!() };
    assert_eq!((ring.minimum, ring.maximum), (1024, 8_388_608));
}

#[test]
fn what_is_wrong_is_told_at_its_field() {
    for (fields, field) in [
        ("policy: RingHash", "hashOn"),
        ("policy: RingHash, hashOn: []", "hashOn"),
        ("policy: RingHash, hashOn: [{}]", "hashOn[0]"),
        ("policy: RingHash, hashOn: [{header: a, cookie: {name: b}}]", "hashOn[0]"),
        ("policy: RingHash, hashOn: [{header: 'a b'}]", "hashOn[0].header"),
        ("policy: RingHash, hashOn: [{header: ':path'}]", "hashOn[0].header"),
        ("policy: RingHash, hashOn: [{cookie: {name: 'a;b'}}]", "hashOn[0].cookie.name"),
        ("policy: RingHash, hashOn: [{cookie: {name: a, ttl: 1h}}]", "hashOn[0].cookie.ttl"),
        ("policy: RingHash, hashOn: [{header: a}], ringSize: {minimum: 0}", "ringSize.minimum"),
        (
            "policy: RingHash, hashOn: [{header: a}], ringSize: {minimum: 100000}",
            "ringSize.minimum",
        ),
        ("policy: RingHash, hashOn: [{header: a}], ringSize: {maximum: 9}", "ringSize.maximum"),
        ("policy: RoundRobin, hashOn: [{header: a}]", "hashOn"),
        ("policy: RoundRobin, ringSize: {minimum: 9}", "ringSize"),
    ] {
        let (read, findings) = policy(fields);
        assert_eq!(findings, [format!("WEFT0205 spec.loadBalancer.{field}")], "{fields}");
        assert_eq!(read, None);
    }
}

#[test]
fn a_session_has_a_cookie() {
    let of = |fields: &str| {
        let (read, findings) = spec(&format!("sessionAffinity: {{cookie: {{{fields}}}}}"));
        (read.and_then(|policy| policy.affinity), findings)
    };
    let (read, findings) = of("name: sid, path: /a, ttl: 1h");
    assert!(findings.is_empty(), "{findings:?}");
    let ttl = Some(Duration::from_secs(3600));
    let written = SessionAffinity { cookie: "sid".into(), path: "/a".into(), ttl };
    assert_eq!(read, Some(written));
    let default = SessionAffinity { cookie: "weft-affinity".into(), path: "/".into(), ttl: None };
    assert_eq!(of("").0, Some(default));
    for (fields, field) in [
        ("name: 'a=b'", "name"),
        ("path: a", "path"),
        ("path: '/a;b'", "path"),
        ("ttl: 0s", "ttl"),
        ("ttl: 10ms", "ttl"),
        ("secure: true", "secure"),
    ] {
        let finding = format!("WEFT0205 spec.sessionAffinity.cookie.{field}");
        assert_eq!(of(fields), (None, vec![finding]), "{fields}");
    }
}

#[test]
fn slow_start_and_locality() {
    let (read, findings) =
        policy("policy: PeakEwma, slowStart: {window: 30s}, locality: {mode: PreferLocal}");
    assert!(findings.is_empty(), "{findings:?}");
    let read = read.unwrap();
    let window = Duration::from_secs(30);
    assert_eq!(read.slow_start, Some(SlowStart { window, minimum_percent: 10 }));
    assert!(read.prefer_local);
    assert!(!policy("policy: PeakEwma, locality: {mode: Ignore}").0.unwrap().prefer_local);
    for (fields, field) in [
        ("policy: Random, slowStart: {window: 1s}", "slowStart"),
        ("policy: PeakEwma, slowStart: {}", "slowStart"),
        ("policy: PeakEwma, slowStart: {window: 0s}", "slowStart.window"),
        (
            "policy: PeakEwma, slowStart: {window: 1s, minimumPercent: 0}",
            "slowStart.minimumPercent",
        ),
        ("policy: PeakEwma, locality: {mode: Near}", "locality.mode"),
    ] {
        let findings = policy(fields).1;
        assert_eq!(findings, [format!("WEFT0205 spec.loadBalancer.{field}")], "{fields}");
    }
}
