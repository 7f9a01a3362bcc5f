//! The protocol as a table: what is said, when, and what is never said.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;

use super::{MAX_REPLIES, Subscription};
use crate::xds::Kind;
use crate::xds::decode::Key;

fn keys(list: &[(Kind, &str)]) -> BTreeSet<Key> {
    list.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect()
}

fn new() -> Subscription {
    Subscription::new(Node { id: "product-v1.shop".to_owned(), ..Node::default() })
}

/// `Cluster +a +b -c =a:1 ack:7 nack:7:why node`, and so on.
fn text(request: &DeltaDiscoveryRequest) -> String {
    let mut words = vec![request.type_url.rsplit('.').next().unwrap().to_owned()];
    words.extend(request.resource_names_subscribe.iter().map(|name| format!("+{name}")));
    words.extend(request.resource_names_unsubscribe.iter().map(|name| format!("-{name}")));
    let initial: std::collections::BTreeMap<_, _> =
        request.initial_resource_versions.iter().collect();
    words.extend(initial.into_iter().map(|(name, version)| format!("={name}:{version}")));
    match &request.error_detail {
        Some(status) => words.push(format!("nack:{}:{}", request.response_nonce, status.message)),
        None if request.response_nonce.is_empty() => {}
        None => words.push(format!("ack:{}", request.response_nonce)),
    }
    words.extend(request.node.as_ref().map(|_| "node".to_owned()));
    words.join(" ")
}

fn said(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.next_request()).map(|request| text(&request)).collect()
}

#[test]
fn the_node_is_on_the_first_message_only_and_unwanted_types_are_never_mentioned() {
    let mut subscription = new();
    assert_eq!(said(&mut subscription), Vec::<String>::new());
    let now = Instant::now();
    subscription
        .want(&keys(&[(Kind::Listener, "a"), (Kind::Listener, "b"), (Kind::Secret, "s")]), now);
    assert_eq!(said(&mut subscription), ["Listener +a +b node", "Secret +s"]);
    assert!(!subscription.has_request());
}

#[test]
fn every_response_is_answered_by_its_own_nonce() {
    let mut subscription = new();
    subscription.want(&keys(&[(Kind::Cluster, "a")]), Instant::now());
    said(&mut subscription);
    subscription.reply(Kind::Cluster, "1".to_owned(), None);
    subscription.reply(Kind::Cluster, "2".to_owned(), Some("Cluster a: no".to_owned()));
    assert_eq!(said(&mut subscription), ["Cluster ack:1", "Cluster nack:2:Cluster a: no"]);
}

#[test]
fn answers_of_every_type_go_before_new_wishes() {
    let mut subscription = new();
    subscription.want(&keys(&[(Kind::Cluster, "a")]), Instant::now());
    subscription.reply(Kind::Routes, "1".to_owned(), None);
    assert_eq!(said(&mut subscription), ["RouteConfiguration ack:1 node", "Cluster +a"]);
}

#[test]
fn a_nack_carries_the_code_invalid_argument() {
    let mut subscription = new();
    subscription.reply(Kind::Cluster, "2".to_owned(), Some("no".to_owned()));
    assert_eq!(subscription.next_request().unwrap().error_detail.unwrap().code, 3);
}

#[test]
fn only_differences_are_sent() {
    let mut subscription = new();
    let now = Instant::now();
    subscription.want(&keys(&[(Kind::Cluster, "a"), (Kind::Cluster, "b")]), now);
    said(&mut subscription);
    subscription.want(&keys(&[(Kind::Cluster, "b"), (Kind::Cluster, "c")]), now);
    assert_eq!(said(&mut subscription), ["Cluster +c -a"]);
    subscription.want(&keys(&[(Kind::Cluster, "b"), (Kind::Cluster, "c")]), now);
    assert_eq!(said(&mut subscription), Vec::<String>::new());
    subscription.want(&keys(&[]), now);
    assert_eq!(said(&mut subscription), ["Cluster -b -c"]);
}

#[test]
fn a_wish_dropped_before_it_was_sent_leaves_no_trace() {
    let mut subscription = new();
    subscription.want(&keys(&[(Kind::Cluster, "a")]), Instant::now());
    subscription.want(&keys(&[]), Instant::now());
    assert_eq!(said(&mut subscription), Vec::<String>::new());
}

#[test]
fn a_name_wanted_again_is_subscribed_again_so_that_the_server_answers() {
    let mut subscription = new();
    let (some, none) = (keys(&[(Kind::Cluster, "a")]), keys(&[]));
    subscription.want(&some, Instant::now());
    said(&mut subscription);
    subscription.accepted(Kind::Cluster, "a", "1");
    subscription.want(&none, Instant::now());
    subscription.want(&some, Instant::now());
    assert_eq!(said(&mut subscription), ["Cluster +a"], "not unsubscribed, but asked for again");
    assert!(!subscription.is_answered(), "what was held is forgotten");
}

#[test]
fn a_reconnect_names_everything_with_the_versions_held() {
    let mut subscription = new();
    let wanted = keys(&[
        (Kind::Cluster, "a"),
        (Kind::Cluster, "b"),
        (Kind::Cluster, "c"),
        (Kind::Endpoints, "a"),
    ]);
    subscription.want(&wanted, Instant::now());
    said(&mut subscription);
    subscription.accepted(Kind::Cluster, "a", "1");
    subscription.accepted(Kind::Cluster, "b", "2");
    subscription.removed(Kind::Cluster, "b");
    subscription.accepted(Kind::Cluster, "c", "3");
    subscription.rejected(Kind::Cluster, "c");
    // Owed to a stream that is gone.
    subscription.reply(Kind::Cluster, "9".to_owned(), None);
    let mut fewer = wanted.clone();
    fewer.remove(&(Kind::Endpoints, "a".to_owned()));
    fewer.insert((Kind::Endpoints, "z".to_owned()));
    subscription.want(&fewer, Instant::now());

    subscription.connected(Instant::now());
    assert_eq!(
        said(&mut subscription),
        ["Cluster +a +b +c =a:1 =c:3 node", "ClusterLoadAssignment +z"],
        "a rejected version is not held, the one before it is; no nonce of the old stream"
    );
    subscription.want(&wanted, Instant::now());
    assert_eq!(
        said(&mut subscription),
        ["ClusterLoadAssignment +a -z"],
        "held versions are only named in a type's first message"
    );
}

#[test]
fn answered_means_accepted_rejected_or_removed_but_not_silence() {
    let mut subscription = new();
    let start = Instant::now();
    let names = [(Kind::Cluster, "a"), (Kind::Cluster, "b"), (Kind::Cluster, "c")];
    subscription.want(&keys(&names), start);
    let late = start + Duration::from_secs(1);
    assert_eq!(subscription.unanswered_since(late).len(), 3);
    subscription.accepted(Kind::Cluster, "a", "1");
    subscription.rejected(Kind::Cluster, "b");
    assert!(!subscription.is_answered());
    assert_eq!(subscription.unanswered_since(late), [(Kind::Cluster, "c".to_owned())]);
    subscription.connected(late + Duration::from_secs(1));
    assert_eq!(subscription.unanswered_since(late), [], "the new stream has its own time");
    subscription.removed(Kind::Cluster, "c");
    assert!(subscription.is_answered());
    subscription.accepted(Kind::Cluster, "stranger", "1");
    assert!(!subscription.wants(Kind::Cluster, "stranger"));
    assert_eq!(subscription.wanted(Kind::Cluster), 3);
}

#[test]
fn answers_owed_are_bounded() {
    let mut subscription = new();
    for nonce in 0..MAX_REPLIES {
        assert!(!subscription.is_backlogged());
        subscription.reply(Kind::Cluster, nonce.to_string(), None);
    }
    assert!(subscription.is_backlogged());
    subscription.next_request().unwrap();
    assert!(!subscription.is_backlogged());
}

#[test]
fn everything_is_asked_for_once_and_what_is_held_is_said() {
    let mut subscription = new();
    subscription.want_all(Kind::Addresses);
    // From the last good configuration.
    subscription.hold(Kind::Addresses, "a".into(), "1");
    subscription.want(&keys(&[]), Instant::now());
    assert_eq!(said(&mut subscription), Vec::<String>::new(), "there is no stream yet");
    subscription.connected(Instant::now());
    assert_eq!(said(&mut subscription), ["Addresses +* =a:1 node"]);
    assert!(!subscription.is_answered());
    // A name that nobody asked for.
    assert!(subscription.wants(Kind::Addresses, "b"));
    subscription.hold(Kind::Addresses, "b".into(), "7");
    subscription.removed(Kind::Addresses, "a");
    subscription.reply(Kind::Addresses, "1".to_owned(), None);
    subscription.want(&keys(&[]), Instant::now());
    assert_eq!(subscription.wanted(Kind::Addresses), 1);
    assert!(subscription.is_answered());
    assert_eq!(said(&mut subscription), ["Addresses ack:1"], "names are never mentioned");
    subscription.connected(Instant::now());
    assert_eq!(said(&mut subscription), ["Addresses +* =b:7 node"]);
}

#[test]
fn nothing_of_everything_is_an_answer_too() {
    let mut subscription = new();
    subscription.want_all(Kind::Addresses);
    subscription.connected(Instant::now());
    said(&mut subscription);
    assert!(!subscription.is_answered());
    subscription.reply(Kind::Addresses, "1".to_owned(), None);
    assert!(subscription.is_answered());
}
