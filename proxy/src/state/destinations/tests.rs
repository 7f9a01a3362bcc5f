//! Addresses come, move and go.

use std::net::SocketAddr;

use tokio::sync::mpsc::unbounded_channel;

use super::Destinations;
use crate::model::Addresses;

fn at(last: u8) -> SocketAddr {
    ([10, 96, 0, last], 80).into()
}

fn addresses(listener: &str, service: &[u8], endpoints: &[u8]) -> Addresses {
    let all = |list: &[u8]| list.iter().map(|last| at(*last)).collect();
    Addresses { listener: listener.into(), service: all(service), endpoints: all(endpoints) }
}

/// Names at the addresses 1 to 4; those of endpoints with a star.
fn found(destinations: &Destinations) -> Vec<String> {
    let name = |last| match destinations.find(at(last)) {
        None => "-".to_owned(),
        Some(found) => format!("{}{}", found.listener, if found.is_endpoint { "*" } else { "" }),
    };
    (1..=4).map(name).collect()
}

#[test]
fn an_address_means_what_was_said_of_it_last() {
    let destinations = Destinations::new(unbounded_channel().0);
    destinations.put(addresses("a", &[1], &[2, 3]));
    destinations.put(addresses("b", &[4], &[]));
    assert_eq!(found(&destinations), ["a", "a*", "a*", "b"]);
    destinations.put(addresses("a", &[1], &[3]));
    assert_eq!(found(&destinations), ["a", "-", "a*", "b"]);
    // An address moves, and its old owner is told of it only later.
    destinations.put(addresses("b", &[4], &[3]));
    destinations.remove("a");
    assert_eq!(found(&destinations), ["-", "-", "b*", "b"]);
    assert!(destinations.has("b") && !destinations.has("a"));
}
