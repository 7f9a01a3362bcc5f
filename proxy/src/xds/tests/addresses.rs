//! The addresses of a whole mesh: taken, refused, replaced, removed, and there again after a restart.

use weft_proto::config;
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, Resource};
use weft_proto::google::Any;

use super::restart::{alone_as, response};
use crate::xds::{Client, Kind};

const KIND: Kind = Kind::Addresses;

/// One address, or none if `port` is 0, which is refused.
fn addresses(name: &str, version: &str, port: u32) -> Resource {
    let address = config::Address { ip: vec![10, 96, 0, 1], port };
    let message = config::Addresses { service: vec![address], endpoints: Vec::new() };
    let value = prost::Message::encode_to_vec(&message);
    let any = Any { type_url: KIND.type_url().to_owned(), value };
    Resource {
        name: name.to_owned(),
        version: version.to_owned(),
        resource: Some(any),
        ..Resource::default()
    }
}

/// What the client says of addresses when it connects.
fn first_words(client: &mut Client) -> Vec<String> {
    client.reconnect();
    let requests = std::iter::from_fn(|| client.subscription.next_request());
    let ours = |request: &DeltaDiscoveryRequest| request.type_url == KIND.type_url();
    let request = requests.filter(ours).last().expect("addresses are asked for");
    let held = request.initial_resource_versions.iter();
    let mut words: Vec<String> = held.map(|(name, version)| format!("{name}={version}")).collect();
    words.sort();
    assert_eq!(request.resource_names_subscribe, ["*"]);
    words
}

#[tokio::test]
async fn what_is_held_is_said_to_the_next_stream_and_after_a_restart() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, mut changes) = alone_as(&store, true);
    assert!(first_words(&mut client).is_empty());
    assert!(!client.subscription.is_answered());
    let all = ["a", "b", "c"].map(|name| addresses(name, "1", 80));
    client.take_response(response(KIND, all)).unwrap();
    assert_eq!(changes.try_recv().unwrap(), "addresses a b c", "at one blow");
    let mut next = response(KIND, vec![addresses("b", "2", 81)]);
    next.removed = vec!["c".to_owned(), "stranger".to_owned()];
    client.take_response(next).unwrap();
    let expected = ["addresses b", "- Addresses c", "- Addresses stranger"];
    assert_eq!(expected.map(|_| changes.try_recv().unwrap()), expected);
    let state = &client.state.kinds[KIND as usize];
    assert_eq!((state.wanted, state.in_force, state.accepted), (2, 2, 4));
    assert_eq!(first_words(&mut client), ["a=1", "b=2"]);
    drop(client);

    let (mut client, mut changes) = alone_as(&store, true);
    let restored = changes.try_recv().unwrap();
    assert!(["addresses a b", "addresses b a"].contains(&&*restored), "{restored}");
    assert!(client.state.stale);
    assert_eq!(first_words(&mut client), ["a=1", "b=2"]);
    drop(client);

    // One that looks nowhere up forgets them.
    drop(alone_as(&store, false));
    let (mut client, mut changes) = alone_as(&store, true);
    assert!(changes.try_recv().is_err());
    assert!(first_words(&mut client).is_empty());
}

#[tokio::test]
async fn bad_ones_are_named_and_the_last_good_one_stays() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, mut changes) = alone_as(&store, true);
    first_words(&mut client);
    client.take_response(response(KIND, vec![addresses("a", "1", 80)])).unwrap();
    assert_eq!(changes.try_recv().unwrap(), "addresses a");
    while client.subscription.next_request().is_some() {}
    let mixed = vec![addresses("a", "2", 0), addresses("b", "1", 80), addresses("c", "1", 0)];
    client.take_response(response(KIND, mixed)).unwrap();
    assert_eq!(changes.try_recv().unwrap(), "addresses b");
    let nack = client.subscription.next_request().unwrap().error_detail.unwrap();
    assert_eq!(
        nack.message,
        "Addresses a: service[0].port: 0 is no port; Addresses c: service[0].port: 0 is no port"
    );
    let rejection = |client: &Client| client.state.kinds[KIND as usize].rejection.clone();
    assert!(rejection(&client).is_some_and(|text| text.starts_with("Addresses c")));
    // A change of what else is wanted does not make them good.
    client.take_demand(crate::xds::Demand::Want(Kind::Listener, "order.shop:80".to_owned()));
    assert!(rejection(&client).is_some());
    assert_eq!(first_words(&mut client), ["a=1", "b=1"]);
    client.take_response(response(KIND, vec![addresses("a", "3", 81)])).unwrap();
    assert_eq!(rejection(&client), None, "`c` is there no more: it was not sent again");
}

#[tokio::test]
async fn bytes_that_are_no_resource_end_the_stream() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, _changes) = alone_as(&store, true);
    for kind in [KIND, Kind::Listener] {
        let mut broken = response(kind, Vec::new());
        broken.resources.push(vec![0xff].into());
        let error = client.take_response(broken).unwrap_err();
        assert!(error.contains("no resource"), "{error}");
    }
}
