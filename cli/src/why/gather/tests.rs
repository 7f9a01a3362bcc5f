//! Which entries belong together, and which hop is explained.

use super::*;
use crate::why::facts::{Attempt, Sidecar};

fn out(from: &str, to: &str, status: u16) -> Entry {
    Entry {
        workload: format!("{from}.shop"),
        identity: format!("spiffe://a/ns/shop/sa/{from}"),
        direction: "outbound".into(),
        service: format!("{to}.shop:8080"),
        peer_workload: format!("{to}.shop"),
        attempts: vec![Attempt { workload: format!("{to}.shop"), ..Attempt::default() }],
        request_id: "one".into(),
        at_ms: 1000,
        status,
        ..Entry::default()
    }
}

fn arrived(from: &str, at: &str, status: u16) -> Entry {
    Entry {
        workload: format!("{at}.shop"),
        direction: "inbound".into(),
        peer_identity: format!("spiffe://a/ns/shop/sa/{from}"),
        request_id: "one".into(),
        at_ms: 999,
        status,
        ..Entry::default()
    }
}

#[test]
fn the_innermost_hop_explains_the_others() {
    let entries = [
        out("gateway", "order", 503),
        arrived("order", "payment", 503),
        out("order", "payment", 503),
        arrived("gateway", "order", 503),
    ];
    let hops = hops(&entries);
    assert_eq!(hops.len(), 2);
    assert!(hops.iter().all(|hop| hop.outbound.is_some() && hop.inbound.is_some()), "{hops:?}");
    let inner = innermost(&hops).unwrap();
    assert_eq!((inner.caller(), inner.callee()), ("order.shop", "payment.shop"));
    assert_eq!(trail(&hops, inner), ["gateway.shop", "order.shop", "payment.shop"]);
}

#[test]
fn what_failed_goes_before_what_was_slow() {
    let slow = Entry { slow: true, ..out("order", "payment", 200) };
    let hops = hops(&[slow, out("gateway", "order", 500)]);
    assert_eq!(innermost(&hops).unwrap().caller(), "gateway.shop");
    assert_eq!(innermost(&[]), None);
}

#[test]
fn calls_in_a_circle_have_an_end() {
    let hops = hops(&[out("a", "b", 500), out("b", "a", 500)]);
    let inner = innermost(&hops).unwrap();
    assert_eq!(trail(&hops, inner).len(), 2);
}

#[test]
fn another_request_is_not_the_other_side() {
    let other = Entry { request_id: "two".into(), ..arrived("gateway", "order", 503) };
    let later = Entry { at_ms: 100_000, ..arrived("gateway", "order", 503) };
    let stranger = arrived("batch", "order", 503);
    for one in [other, later, stranger] {
        let hops = hops(&[out("gateway", "order", 503), one]);
        assert_eq!(hops[0].inbound, None);
        assert_eq!(hops.len(), 2);
    }
}

#[test]
fn a_connection_that_was_refused_at_that_moment_is_found() {
    let hop = Hop { outbound: Some(out("gateway", "order", 503)), inbound: None };
    let refused = Entry { opaque: true, request_id: String::new(), ..arrived("", "order", 0) };
    assert_eq!(refusal(&hop, std::slice::from_ref(&refused)), Some(refused.clone()));
    let before = Entry { at_ms: -5000, ..refused.clone() };
    let elsewhere = Entry { workload: "payment.shop".into(), ..refused };
    assert_eq!(refusal(&hop, &[before, elsewhere]), None);
}

#[test]
fn what_replicas_say_is_put_together() {
    let silent = |workload: &str| Silent { workload: workload.into(), why: "not here".into() };
    let one = Gathered {
        requests: vec![arrived("gateway", "order", 503)],
        answered: vec!["order.shop".into()],
        silent: vec![silent("gateway.shop"), silent("payment.shop")],
        ..Gathered::default()
    };
    let other = Gathered {
        requests: vec![out("gateway", "order", 503), arrived("gateway", "order", 503)],
        answered: vec!["gateway.shop".into()],
        silent: vec![silent("order.shop"), silent("payment.shop")],
        ..Gathered::default()
    };
    let all = merged(vec![one, other]);
    assert_eq!(all.requests.len(), 2, "what two replicas say is said once");
    assert_eq!(all.silent, [silent("payment.shop")]);
}

#[test]
fn both_sides_of_one_sidecar_at_one_moment_are_said_once_too() {
    // What came in and what went out for it, under one id and within one millisecond.
    let inbound = Entry { at_ms: 1000, ..arrived("gateway", "order", 503) };
    let requests = vec![inbound, out("order", "payment", 503)];
    let one = Gathered { requests, ..Gathered::default() };
    assert_eq!(merged(vec![one.clone(), one]).requests.len(), 2);
}

#[test]
fn each_replica_knows_its_own_sidecars_and_may_know_more_pods() {
    let sidecar = |connected: bool, stale: bool, reported: u64| {
        let rejected = if connected { vec!["routes: no".to_owned()] } else { Vec::new() };
        Sidecar { connected, stale, in_sync: false, rejected, reported }
    };
    let door = |workload: &str, sidecar: Sidecar| {
        let workload = workload.to_owned();
        Door { workload, port: 8080, sidecar, ..Door::default() }
    };
    let lookup = |doors: Vec<Door>| Lookup { doors, ..Lookup::default() };
    // Streams and reports go to different replicas; the second has heard of a pod that the first has not.
    let first = lookup(vec![
        door("b.shop", sidecar(true, false, 0)),
        door("c.shop", sidecar(false, true, 50)),
    ]);
    let second = lookup(vec![
        door("a.shop", sidecar(true, false, 60)),
        door("b.shop", sidecar(false, true, 60)),
        door("c.shop", sidecar(true, false, 60)),
    ]);
    let whole = merged_lookups(vec![first, second]).unwrap();
    let found: Vec<_> = whole
        .doors
        .iter()
        .map(|door| {
            let Sidecar { connected, stale, rejected, .. } = &door.sidecar;
            (&*door.workload, *connected, *stale, rejected.len())
        })
        .collect();
    assert_eq!(found, [("b.shop", true, true, 1), ("c.shop", true, false, 1)]);
}
