//! Who comes first, as a table.

use super::priorities;
use crate::model::{EndpointSpec, Locality, PlacedEndpoint};

fn at(text: &str) -> Locality {
    let mut parts = text.split('/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Locality { region: next(), zone: next(), sub_zone: next() }
}

/// `!` before a place: draining.
fn placed(places: &[&str]) -> Vec<PlacedEndpoint> {
    let one = |place: &&str| {
        let spec = EndpointSpec {
            address: ([127, 0, 0, 1], 1).into(),
            workload: String::new(),
            identity: None,
            weight: 1,
        };
        let locality = at(place.trim_start_matches('!'));
        PlacedEndpoint { locality, draining: place.starts_with('!'), ..spec.into() }
    };
    places.iter().map(one).collect()
}

#[test]
fn the_nearest_come_first() {
    let own = at("eu/a/1");
    for (places, expected) in [
        (&["eu/a/1", "eu/a/2", "eu/b/1", "us/a/1"][..], vec![vec![0], vec![1], vec![2], vec![3]]),
        (&["us/a", "eu/b", "us/b"], vec![vec![1], vec![0, 2]]),
        (&["us/a", "us/b"], vec![vec![0, 1]]),
        // Where an endpoint is that says nothing, nobody knows.
        (&["", "eu/a/1"], vec![vec![1], vec![0]]),
        (&[], vec![vec![]]),
    ] {
        assert_eq!(priorities(&placed(places), Some(&own)), expected, "{places:?}");
    }
    let all = placed(&["eu/a/1", "us/a"]);
    assert_eq!(priorities(&all, None), [[0, 1]], "nobody asked for the near ones");
    assert_eq!(priorities(&all, Some(&Locality::default())), [[0, 1]], "we do not know our own");
    assert_eq!(priorities(&placed(&["eu/a", "eu/a/9"]), Some(&at("eu/a"))), [[0], [1]]);
}

#[test]
fn who_drains_is_left_out_while_others_stay() {
    let own = at("eu/a");
    assert_eq!(priorities(&placed(&["!eu/a", "us/a"]), Some(&own)), [[1]], "even a far one");
    assert_eq!(priorities(&placed(&["!eu/a", "!us/a"]), Some(&own)), [[0], [1]]);
    assert_eq!(priorities(&placed(&["!eu/a", "eu/a", "!eu/a"]), None), [[1]]);
}
