//! Windows, totals, and every bound of the store.

use std::sync::Arc;

use super::{Direction, EdgeKey, IDLE, MAX_CELLS, MAX_EDGES, MAX_EDGES_PER_REPORTER, MAX_PROXIES};
use super::{ProxyState, Store, Window};
use crate::telemetry::tally::{Counters, Increment, Tally};

fn key(reporter: &str, peer: &str) -> EdgeKey {
    EdgeKey {
        direction: Direction::Outbound,
        reporter: Arc::from(reporter),
        peer: Box::from(peer),
        route: Box::from(""),
        backend: Box::from(""),
    }
}

fn requests(requests: u64) -> Increment {
    let counters = Counters { requests, ..Counters::default() };
    Increment { counters, latency: vec![(40, 1)], errors: Vec::new() }
}

fn sum(store: &Store, window: Window, now: u64) -> u64 {
    store.tallies(window, now).map(|(_, tally): (_, Tally)| tally.counters.requests).sum()
}

/// A store in which one edge got `1 << n` requests in second `100 + n`, for the given seconds.
fn seconds(range: std::ops::Range<u64>) -> Store {
    let mut store = Store::new(100);
    range.for_each(|n| store.record(key("a.shop", "b.shop:80"), requests(1 << n), 100 + n));
    store
}

#[test]
fn a_window_holds_exactly_its_seconds() {
    let store = seconds(0..10);
    for (window, now, expected) in [
        (1, 109, 0b10_0000_0000),
        (3, 109, 0b11_1000_0000),
        (10, 109, 0b11_1111_1111),
        (60, 109, 0b11_1111_1111),
        (3, 111, 0b10_0000_0000),
        (3, 112, 0),
    ] {
        assert_eq!(sum(&store, Window::Seconds(window), now), expected, "{window} s at {now}");
    }
    assert_eq!(sum(&store, Window::All, 10_000), 0b11_1111_1111);
}

#[test]
fn reports_of_one_second_add_up_also_when_the_clock_steps_back() {
    let mut store = Store::new(100);
    for now in [105, 105, 103] {
        store.record(key("a.shop", "b.shop:80"), requests(1), now);
    }
    assert_eq!(sum(&store, Window::Seconds(1), 105), 3);
}

#[test]
fn seconds_out_of_every_window_are_forgotten() {
    let mut store = seconds(0..40);
    store.record(key("other.shop", "b.shop:80"), requests(1), 300);
    assert_eq!(store.cells, 1);
    assert_eq!(sum(&store, Window::All, 300), (1 << 40) - 1 + 1);
}

#[test]
fn a_young_store_covers_less_than_the_window() {
    let store = seconds(0..1);
    assert_eq!(store.covered(Window::Seconds(10), 100), 1);
    assert_eq!(store.covered(Window::Seconds(10), 104), 4);
    assert_eq!(store.covered(Window::Seconds(10), 200), 10);
    assert_eq!(store.covered(Window::All, 200), 100);
}

#[test]
fn one_reporter_cannot_take_all_the_room() {
    let mut store = Store::new(0);
    for n in 0..=MAX_EDGES_PER_REPORTER {
        store.record(key("loud.shop", &n.to_string()), requests(1), 0);
    }
    assert_eq!(store.size(), (MAX_EDGES_PER_REPORTER, 1));
    store.record(key("quiet.shop", "b.shop:80"), requests(1), 0);
    assert_eq!(store.size(), (MAX_EDGES_PER_REPORTER + 1, 1));
}

fn full_store() -> Store {
    let mut store = Store::new(0);
    for n in 0..MAX_EDGES {
        store.record(key(&format!("w{}.shop", n % 20), &n.to_string()), requests(1), 0);
    }
    store
}

#[test]
fn a_full_store_drops_new_edges_and_still_counts_old_ones() {
    let mut store = full_store();
    store.record(key("new.shop", "b.shop:80"), requests(1), 1);
    store.record(key("w0.shop", "0"), requests(1), 1);
    assert_eq!(store.size(), (MAX_EDGES, 1));
    assert_eq!(sum(&store, Window::Seconds(1), 1), 1);
}

#[test]
fn long_idle_edges_give_way_in_a_full_store_only() {
    let mut store = full_store();
    store.record(key("w0.shop", "0"), requests(1), IDLE - 1);
    store.record(key("new.shop", "b.shop:80"), requests(1), IDLE + 20);
    assert_eq!(store.size(), (2, 0));
    // Nothing is forgotten for being idle while there is room.
    store.record(key("new.shop", "b.shop:80"), requests(1), 10 * IDLE);
    assert_eq!(store.size(), (2, 0));
    assert_eq!(store.per_reporter[&Arc::from("w0.shop") as &Arc<str>], 1);
}

#[test]
fn without_room_for_latencies_the_totals_still_have_them() {
    let mut store = Store::new(0);
    store.record(key("a.shop", "b.shop:80"), requests(1), 1);
    store.cells = MAX_CELLS;
    store.record(key("a.shop", "c.shop:80"), requests(1), 2);
    let quantile = |window| {
        let mut tallies = store.tallies(window, 2);
        let (_, tally) = tallies.find(|(key, _)| &*key.peer == "c.shop:80").unwrap();
        (tally.counters.requests, tally.quantile_ms(0.5).is_some())
    };
    assert_eq!(quantile(Window::Seconds(5)), (1, false));
    assert_eq!(quantile(Window::All), (1, true));
}

#[test]
fn the_state_of_a_proxy_is_its_last_and_the_oldest_gives_way() {
    let mut store = Store::new(0);
    let state = |reported| ProxyState { reported, ..ProxyState::default() };
    store.set_proxy(Arc::from("a.shop"), state(5));
    store.set_proxy(Arc::from("a.shop"), state(6));
    assert_eq!(store.proxy("a.shop"), Some(&state(6)));
    for n in 0..MAX_PROXIES {
        store.set_proxy(Arc::from(format!("w{n}.shop")), state(7));
    }
    assert_eq!(store.proxy("a.shop"), None);
    assert_eq!(store.proxies.len(), MAX_PROXIES);
}
