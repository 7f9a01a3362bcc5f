//! The order of one stream, without I/O.

use std::sync::Arc;

use super::*;
use crate::model::Mesh;
use crate::translate::fixture::{BUNDLE, add_service, key, route, service, shop, workload};
use crate::translate::{ResourceType, translate};
use crate::xds::Cache;
use ResourceType::{Cluster, Endpoint, Listener, Route, Secret};

const TIMEOUT: Duration = Duration::from_secs(3);

/// A session that has subscribed to everything and acknowledged it.
struct Proxy {
    cache: Arc<Cache>,
    session: Session,
    now: Instant,
}

impl Proxy {
    fn of(mesh: &Mesh) -> Self {
        let cache = Cache::new();
        cache.apply(&translate(mesh, BUNDLE));
        let session = Session::new(key("web-1"), TIMEOUT, usize::MAX);
        let mut proxy = Self { cache, session, now: Instant::now() };
        for kind in ResourceType::ALL {
            proxy.subscribe(kind, &["*"]);
        }
        while let Some(outgoing) = proxy.next() {
            proxy.ack(&outgoing);
        }
        proxy
    }

    fn publish(&mut self, mesh: &Mesh) {
        self.cache.apply(&translate(mesh, BUNDLE));
    }

    fn subscribe(&mut self, kind: ResourceType, names: &[&str]) {
        let subscribe = names.iter().map(|&name| name.to_owned()).collect();
        let change = Change { subscribe, ..Default::default() };
        self.session.change(kind, &change, &self.cache.read());
    }

    fn next(&mut self) -> Option<Outgoing> {
        self.session.next(&self.cache.read(), self.now).unwrap()
    }

    /// Everything that may be sent without another word from the proxy, as `kind` and `-kind`.
    fn burst(&mut self) -> (Vec<String>, Vec<Outgoing>) {
        let sent: Vec<_> = std::iter::from_fn(|| self.next()).collect();
        let describe = |outgoing: &Outgoing| {
            let sign = if outgoing.update.resources.is_empty() { "-" } else { "" };
            format!("{sign}{}", outgoing.kind.plural())
        };
        (sent.iter().map(describe).collect(), sent)
    }

    fn ack(&mut self, outgoing: &Outgoing) {
        let nonce = outgoing.nonce.to_string();
        assert!(self.session.acknowledge(outgoing.kind, &nonce, None).is_some());
    }
}

/// `canary` comes, `product` is routed to it, `db` goes.
fn changed() -> Mesh {
    let mut mesh = shop();
    add_service(&mut mesh, "canary", 1, crate::model::AppProtocol::Http);
    mesh.routes.push(route("split", ("product", 8080), &[("canary", 1, 1)]));
    mesh.services.remove(&key("db"));
    mesh
}

#[test]
fn one_change_of_everything_goes_out_in_order() {
    let mut proxy = Proxy::of(&shop());
    proxy.publish(&changed());
    let (kinds, first) = proxy.burst();
    assert_eq!(kinds, ["clusters", "endpoints"]);
    proxy.ack(&first[0]);
    let (kinds, second) = proxy.burst();
    assert_eq!(kinds, ["listeners", "routes"]);
    proxy.ack(&first[1]);
    proxy.ack(&second[0]);
    assert_eq!(proxy.burst().0, [""; 0], "the routes are still on their way");
    proxy.ack(&second[1]);
    for kind in ["-listeners", "-clusters", "-endpoints"] {
        let (kinds, sent) = proxy.burst();
        assert_eq!(kinds, [kind]);
        proxy.ack(&sent[0]);
    }
    assert!(proxy.next().is_none());
}

#[test]
fn a_new_trust_bundle_waits_for_nothing() {
    let mut proxy = Proxy::of(&shop());
    proxy.publish(&changed());
    assert_eq!(proxy.burst().0, ["clusters", "endpoints"]);
    proxy.cache.apply(&translate(&changed(), "another"));
    assert_eq!(proxy.burst().0, ["secrets"]);
}

#[test]
fn nothing_waits_longer_than_the_timeout() {
    let mut proxy = Proxy::of(&shop());
    proxy.publish(&changed());
    proxy.burst();
    let deadline = proxy.session.deadline(proxy.now).expect("the routes wait");
    assert_eq!(deadline, proxy.now + TIMEOUT);

    proxy.now = deadline - Duration::from_millis(1);
    assert!(proxy.next().is_none());
    proxy.now = deadline;
    assert_eq!(proxy.burst().0, ["listeners", "routes"]);
    // And the removals wait for those.
    proxy.now = proxy.session.deadline(proxy.now).expect("the removals wait");
    let (kinds, sent) = proxy.burst();
    assert_eq!(kinds, [""; 0], "the listeners of before are not acknowledged: {sent:?}");
    assert_eq!(proxy.session.deadline(proxy.now), None);
}

#[test]
fn an_answer_waits_for_nothing_but_a_change_does() {
    let mut proxy = Proxy::of(&shop());
    proxy.publish(&changed());
    proxy.burst();
    proxy.subscribe(Route, &["web.shop:80"]);
    let (_, sent) = proxy.burst();
    let [answer] = &sent[..] else { panic!("{sent:?}") };
    let names: Vec<_> = answer.update.resources.iter().map(|r| &*r.name).collect();
    assert_eq!(names, ["web.shop:80"]);
}

#[test]
fn pitfall_1_clusters_bring_their_endpoints_but_not_those_nobody_asked_for() {
    let mut proxy = Proxy::of(&shop());
    let mut mesh = shop();
    service(&mut mesh, "product").origin.generation = 2;
    proxy.publish(&mesh);
    let (_, sent) = proxy.burst();
    let endpoints = sent.iter().find(|outgoing| outgoing.kind == Endpoint).unwrap();
    let names: Vec<_> = endpoints.update.resources.iter().map(|r| &*r.name).collect();
    assert_eq!(names, ["product.shop:8080"]);

    let mut other = Session::new(key("web-1"), TIMEOUT, usize::MAX);
    let state = proxy.cache.read();
    let all = Change { subscribe: vec!["*".to_owned()], ..Default::default() };
    other.change(Cluster, &all, &state);
    other.change(Endpoint, &Change::default(), &state);
    assert_eq!(other.next(&state, proxy.now).unwrap().unwrap().kind, Cluster);
    assert!(other.next(&state, proxy.now).unwrap().is_none());
}

#[test]
fn nonces_are_unique_across_kinds() {
    let mut proxy = Proxy::of(&shop());
    proxy.publish(&changed());
    let (_, sent) = proxy.burst();
    assert_ne!(sent[0].nonce, sent[1].nonce);
    // The nonce of one kind acknowledges nothing of another.
    let nonce = sent[0].nonce.to_string();
    assert_eq!(proxy.session.acknowledge(Endpoint, &nonce, None), None);
    assert_eq!(proxy.session.acknowledge(Secret, &nonce, None), None);
    assert_eq!(proxy.session.acknowledge(Cluster, &nonce, None), Some(2));
    assert_eq!(proxy.session.acknowledge(Cluster, &nonce, None), None);
}

#[test]
fn every_stream_sends_the_very_same_objects() {
    let mut mesh = shop();
    let mut one = Proxy::of(&mesh);
    let cache = one.cache.clone();
    let mut other = Session::new(key("product-v1"), TIMEOUT, usize::MAX);
    other.change(
        Endpoint,
        &Change { subscribe: vec!["*".to_owned()], ..Default::default() },
        &cache.read(),
    );
    other.next(&cache.read(), one.now).unwrap().unwrap();
    other.acknowledge(Endpoint, "1", None).unwrap();

    workload(&mut mesh, "product-v1").service_account = "x".to_owned();
    workload(&mut mesh, "product-v1").address = [127, 66, 0, 9].into();
    one.publish(&mesh);
    let find = |outgoing: Vec<Outgoing>| {
        let endpoints = outgoing.into_iter().find(|outgoing| outgoing.kind == Endpoint).unwrap();
        endpoints.update.resources[0].clone()
    };
    let ours = find(one.burst().1);
    let theirs = find(vec![other.next(&cache.read(), one.now).unwrap().unwrap()]);
    assert!(Arc::ptr_eq(&ours, &theirs));
    assert!(Arc::ptr_eq(&ours, cache.read().log(Endpoint).get("product.shop:8080").unwrap()));
    assert_eq!(ours.entry().as_ptr(), theirs.entry().as_ptr());
}

#[test]
fn kinds_that_were_never_asked_for_are_never_sent() {
    let cache = Cache::new();
    cache.apply(&translate(&shop(), BUNDLE));
    let mut session = Session::new(key("web-1"), TIMEOUT, usize::MAX);
    session.change(Listener, &Change::default(), &cache.read());
    let now = Instant::now();
    assert_eq!(session.next(&cache.read(), now).unwrap().unwrap().kind, Listener);
    assert!(session.next(&cache.read(), now).unwrap().is_none());
    assert!(!session.started(Cluster));
}
