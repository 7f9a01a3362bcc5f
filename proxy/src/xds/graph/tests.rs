//! Make before break, as scenes.

use std::time::Duration;

use tokio::time::Instant;
use weft_certs::TrustBundle;

use super::{Graph, Step};
use crate::model::EndpointsSpec;
use crate::store::StoredResource;
use crate::xds::decode::{Decoded, Key, Payload};
use crate::xds::{Change, Kind};

const L: Kind = Kind::Listener;
const R: Kind = Kind::Routes;
const C: Kind = Kind::Cluster;
const E: Kind = Kind::Endpoints;

fn key(kind: Kind, name: &str) -> Key {
    (kind, name.to_owned())
}

/// A graph with the root listener `l`.
struct Scene {
    graph: Graph,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let mut graph = Graph::default();
        graph.add_root(key(L, "l"));
        Self { graph, now: Instant::now() }
    }

    /// `l` → routes `r` → cluster and endpoints `a`, all in force.
    fn settled() -> Self {
        let mut scene = Self::new();
        scene.offer(E, "a", "1", &[]);
        scene.offer(C, "a", "1", &[(E, "a")]);
        scene.offer(R, "r", "1", &[(C, "a")]);
        scene.offer(L, "l", "1", &[(R, "r")]);
        let steps = scene.settle();
        assert_eq!(steps, ["+E a 1", "+C a 1", "+R r 1", "+L l 1"]);
        assert!(scene.graph.is_settled());
        scene
    }

    fn offer(&mut self, kind: Kind, name: &str, version: &str, references: &[(Kind, &str)]) {
        let endpoints = EndpointsSpec { cluster: name.to_owned(), endpoints: Vec::new() };
        let payload = Payload::Change(Box::new(Change::Endpoints(endpoints)));
        let references = references.iter().map(|(kind, name)| key(*kind, name)).collect();
        let raw = StoredResource { version: version.to_owned(), any: Default::default() };
        self.graph.offer(key(kind, name), Decoded { payload, references }, raw, self.now);
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        self.graph.remove(key(kind, name), self.now);
    }

    fn settle(&mut self) -> Vec<String> {
        text(self.graph.settle())
    }

    fn wanted(&self) -> Vec<String> {
        self.graph
            .wanted()
            .into_iter()
            .map(|(kind, name)| format!("{} {name}", letter(kind)))
            .collect()
    }
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::Secret => 'S',
        Kind::Endpoints => 'E',
        Kind::Cluster => 'C',
        Kind::Routes => 'R',
        Kind::Listener => 'L',
        Kind::Addresses => 'A',
        Kind::DenyList => 'D',
    }
}

fn text(steps: Vec<Step>) -> Vec<String> {
    let step = |step| match step {
        Step::Enter((kind, name), _, raw) => format!("+{} {name} {}", letter(kind), raw.version),
        Step::Leave((kind, name)) => format!("-{} {name}", letter(kind)),
    };
    steps.into_iter().map(step).collect()
}

#[test]
fn what_is_wanted_grows_along_the_references_also_of_what_waits() {
    let mut scene = Scene::new();
    assert_eq!(scene.wanted(), ["L l"]);
    scene.offer(L, "l", "1", &[(R, "r")]);
    assert_eq!(scene.settle(), Vec::<String>::new(), "waits for its routes");
    assert_eq!(scene.wanted(), ["R r", "L l"]);
    scene.offer(R, "r", "1", &[(C, "a"), (C, "b")]);
    assert_eq!(scene.settle(), Vec::<String>::new());
    assert_eq!(scene.wanted(), ["C a", "C b", "R r", "L l"]);
    scene.offer(C, "a", "1", &[(E, "a")]);
    scene.remove(C, "b");
    assert_eq!(scene.settle(), Vec::<String>::new());
    scene.offer(E, "a", "1", &[]);
    assert_eq!(scene.settle(), ["+E a 1", "+C a 1", "+R r 1", "+L l 1"], "b does not exist");
}

#[test]
fn a_route_moves_to_a_new_cluster_only_when_that_can_serve() {
    let mut scene = Scene::settled();
    scene.offer(R, "r", "2", &[(C, "b")]);
    assert_eq!(scene.settle(), Vec::<String>::new());
    assert_eq!(scene.wanted(), ["E a", "C a", "C b", "R r", "L l"], "the old one is still in use");
    // The server is faster with its removals than we are with our questions.
    scene.remove(C, "a");
    scene.remove(E, "a");
    assert_eq!(scene.settle(), Vec::<String>::new());
    assert!(!scene.graph.is_settled());
    scene.offer(C, "b", "1", &[(E, "b")]);
    assert_eq!(scene.settle(), Vec::<String>::new());
    scene.offer(E, "b", "1", &[]);
    assert_eq!(scene.settle(), ["+E b 1", "+C b 1", "+R r 2", "-C a", "-E a"]);
    assert_eq!(scene.wanted(), ["E b", "C b", "R r", "L l"]);
    assert!(scene.graph.is_settled());
}

#[test]
fn what_nothing_leads_to_leaves_in_the_order_of_use() {
    let mut scene = Scene::settled();
    scene.remove(L, "l");
    assert_eq!(scene.settle(), ["-L l", "-R r", "-C a", "-E a"]);
    assert_eq!(scene.wanted(), ["L l"], "a root is wanted even while it does not exist");
    scene.offer(L, "l", "2", &[(R, "r")]);
    assert_eq!(scene.settle(), Vec::<String>::new(), "routes are asked for anew");
}

#[test]
fn a_removed_resource_leaves_at_once_when_nothing_is_on_its_way() {
    let mut scene = Scene::settled();
    scene.remove(C, "a");
    assert_eq!(scene.settle(), ["-C a", "-E a"]);
    scene.offer(R, "r", "2", &[(C, "a")]);
    assert_eq!(scene.settle(), ["+R r 2"], "known not to exist, so not waited for");
    scene.offer(C, "a", "2", &[(E, "a")]);
    scene.offer(E, "a", "2", &[]);
    assert_eq!(scene.settle(), ["+E a 2", "+C a 2"], "and it can come back");
}

#[test]
fn a_rejected_resource_holds_nothing_up_and_ends_nothing() {
    let mut scene = Scene::settled();
    scene.graph.reject(key(C, "a"));
    assert_eq!(scene.settle(), Vec::<String>::new());
    scene.offer(R, "r", "2", &[(C, "a"), (C, "b")]);
    assert_eq!(scene.settle(), Vec::<String>::new());
    scene.graph.reject(key(C, "b"));
    assert_eq!(scene.settle(), ["+R r 2"], "b was answered, if badly");
}

#[test]
fn endpoints_and_clusters_in_force_are_replaced_at_once() {
    let mut scene = Scene::settled();
    assert!(scene.graph.take_reshaped());
    scene.offer(E, "a", "2", &[]);
    assert_eq!(scene.settle(), ["+E a 2"]);
    assert!(!scene.graph.take_reshaped(), "endpoints change nothing of what is wanted");
    scene.offer(C, "a", "2", &[(E, "a")]);
    assert_eq!(scene.settle(), ["+C a 2"]);
    assert_eq!(scene.graph.version(&key(C, "a")), Some("2"));
}

#[test]
fn a_resource_sent_again_as_it_is_ends_a_wait_and_a_removal() {
    let mut scene = Scene::settled();
    scene.offer(R, "r", "2", &[(C, "b")]);
    scene.remove(C, "a");
    assert_eq!(scene.settle(), Vec::<String>::new());
    scene.graph.confirm(&key(R, "r"));
    scene.graph.confirm(&key(C, "a"));
    assert_eq!(scene.settle(), Vec::<String>::new());
    assert_eq!(scene.wanted(), ["E a", "C a", "R r", "L l"]);
    assert!(scene.graph.is_settled());
}

#[test]
fn no_wait_lasts_for_ever() {
    let mut scene = Scene::settled();
    scene.offer(R, "r", "2", &[(C, "b")]);
    scene.remove(C, "a");
    scene.settle();
    let before = scene.now.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(text(scene.graph.release(before)), Vec::<String>::new());
    scene.graph.restart_waits(scene.now + Duration::from_secs(1));
    let late = scene.now + Duration::from_secs(2);
    assert_eq!(text(scene.graph.release(late)), ["+R r 2", "-C a", "-E a"]);
}

#[test]
fn the_last_good_configuration_is_in_force_even_with_gaps() {
    let mut scene = Scene::new();
    scene.graph.restore(key(L, "l"), "1".to_owned(), vec![key(R, "r")]);
    scene.graph.restore(key(R, "r"), "1".to_owned(), vec![key(C, "a")]);
    assert_eq!(scene.settle(), Vec::<String>::new());
    assert_eq!(scene.wanted(), ["C a", "R r", "L l"]);
    assert!(scene.graph.is_in_force(&key(R, "r")) && !scene.graph.is_in_force(&key(C, "a")));
}

#[test]
fn names_can_be_wanted_and_dropped_while_running() {
    let mut scene = Scene::settled();
    scene.graph.add_root(key(L, "m"));
    scene.offer(L, "m", "1", &[(C, "a")]);
    assert_eq!(scene.settle(), ["+L m 1"]);
    scene.graph.remove_root(&key(L, "l"));
    assert_eq!(scene.settle(), ["-L l", "-R r"], "the cluster is still in use");
    scene.graph.remove_root(&key(L, "m"));
    assert_eq!(scene.settle(), ["-L m", "-C a", "-E a"]);
}

#[test]
fn a_trust_bundle_refers_to_nothing() {
    let mut graph = Graph::default();
    graph.add_root(key(Kind::Secret, "s"));
    let domain = "demo.local".parse().unwrap();
    let now = std::time::SystemTime::now();
    let authority = weft_certs::Authority::create(&domain, now, Default::default()).unwrap();
    let bundle: TrustBundle = authority.bundle().clone();
    let decoded = Decoded { payload: Payload::TrustBundle(bundle), references: Vec::new() };
    let raw = StoredResource { version: "1".to_owned(), any: Default::default() };
    graph.offer(key(Kind::Secret, "s"), decoded, raw, Instant::now());
    assert_eq!(text(graph.settle()), ["+S s 1"]);
}
