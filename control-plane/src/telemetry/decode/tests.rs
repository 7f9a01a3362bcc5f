//! What is read of a report, and what is not.

use std::sync::Arc;

use weft_proto::telemetry::{Bucket, Direction, EdgeDelta, ProxyState};

use super::{MAX_TEXT, edge, proxy};
use crate::telemetry::store;

fn delta() -> EdgeDelta {
    EdgeDelta {
        direction: Direction::Inbound.into(),
        peer: "spiffe://demo.local/ns/shop/sa/gateway".to_owned(),
        requests: 3,
        latency: vec![Bucket { index: 9, count: 1 }, Bucket { index: 4, count: 1 }],
        ..EdgeDelta::default()
    }
}

fn read(delta: EdgeDelta) -> Option<(store::EdgeKey, crate::telemetry::tally::Increment)> {
    edge(&Arc::from("product-v1.shop"), delta)
}

#[test]
fn a_delta_becomes_key_and_increment() {
    let (key, increment) = read(delta()).unwrap();
    assert_eq!(key.direction, store::Direction::Inbound);
    assert_eq!((&*key.reporter, &*key.route), ("product-v1.shop", ""));
    assert_eq!(increment.counters.requests, 3);
    assert_eq!(increment.latency, [(4, 1), (9, 1)]);
}

#[test]
fn repeated_buckets_add_up_and_big_counts_saturate() {
    let latency = vec![Bucket { index: 4, count: u64::MAX }, Bucket { index: 4, count: 1 }];
    let (_, increment) = read(EdgeDelta { latency, ..delta() }).unwrap();
    assert_eq!(increment.latency, [(4, u32::MAX)]);
}

#[test]
fn what_has_no_meaning_here_is_left_out() {
    let long = "x".repeat(MAX_TEXT + 1);
    let bucket = |index| vec![Bucket { index, count: 1 }];
    for bad in [
        EdgeDelta { direction: Direction::Unspecified.into(), ..delta() },
        EdgeDelta { direction: 99, ..delta() },
        EdgeDelta { peer: long.clone(), ..delta() },
        EdgeDelta { latency: bucket(200), ..delta() },
        EdgeDelta { latency: bucket(256 + 4), ..delta() },
        EdgeDelta { errors: [(long.clone(), 1)].into(), ..delta() },
        EdgeDelta { errors: (0..99).map(|n| (n.to_string(), 1)).collect(), ..delta() },
    ] {
        assert!(read(bad.clone()).is_none(), "{bad:?}");
    }
}

#[test]
fn an_endless_version_is_cut() {
    let state = ProxyState { version: "é".repeat(MAX_TEXT), ..ProxyState::default() };
    let state = proxy(state, 5);
    assert!(state.version.len() <= MAX_TEXT && state.reported == 5);
}
