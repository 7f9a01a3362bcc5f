//! The budget of series: what finds no room is counted all the same, sums never fall, and what is idle is not shown.

use std::time::{Duration, Instant, SystemTime};

use super::super::{
    Direction, EDGE_SERIES, EdgeKey, HISTOGRAM_SERIES, KEPT_UNUSED, Metrics, OTHER, Observation,
};
use super::{drained, key, ok};

/// Sum over the samples of a metric whose labels contain each of `labels`.
fn sum(metrics: &Metrics, name: &str, labels: &[&str]) -> f64 {
    let text = metrics.encode();
    let samples = text.lines().filter_map(|line| line.strip_prefix(name));
    let wanted = samples.filter(|rest| {
        rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
    });
    wanted.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

const COUNT: &str = "http_client_request_duration_seconds_count";
const REQUESTS: &str = "weft_requests_total";

fn with_series(series: usize) -> Metrics {
    Metrics::with_series(SystemTime::now(), series)
}

fn series_in(text: &str) -> usize {
    let about = |line: &&str| {
        line.starts_with("http_")
            || line.starts_with("weft_request")
            || line.starts_with("weft_tcp")
    };
    text.lines().filter(about).filter(|line| !line.contains(&format!("peer=\"{OTHER}\""))).count()
}

#[test]
fn what_finds_no_room_is_counted_under_other_and_sums_stay_right() {
    let series = 10 * (EDGE_SERIES + HISTOGRAM_SERIES);
    let metrics = with_series(series);
    let edges: Vec<_> =
        (0..40).map(|n| metrics.edge(key(Direction::Outbound, &format!("s{n}.shop:80")))).collect();
    for edge in &edges {
        for status in [200, 404, 503] {
            edge.observe(&Observation { status, ..ok(1) });
        }
    }
    assert_eq!((sum(&metrics, COUNT, &[]), sum(&metrics, REQUESTS, &[])), (120.0, 120.0));
    let other = format!("peer=\"{OTHER}\"");
    assert!(sum(&metrics, REQUESTS, &[&other]) > 80.0, "{}", metrics.encode());
    assert!(sum(&metrics, COUNT, &[&other]) > 80.0);
    assert_eq!(
        sum(&metrics, "weft_metrics_other_requests_total", &[]),
        sum(&metrics, COUNT, &[&other])
    );
    assert!(sum(&metrics, "weft_metrics_series", &[]) <= series as f64);
    assert!(series_in(&metrics.encode()) <= series, "{}", metrics.encode());
    // The control plane hears of each of them.
    assert_eq!(drained(&metrics, Instant::now()).len(), 40);
}

#[test]
fn the_sum_of_others_does_not_fall_when_they_go_and_their_room_is_given_back() {
    let metrics = with_series(EDGE_SERIES + HISTOGRAM_SERIES);
    let start = Instant::now();
    for peer in ["first", "second"] {
        metrics.edge(key(Direction::Outbound, peer)).observe(&ok(1));
    }
    let other = format!("peer=\"{OTHER}\"");
    assert_eq!(sum(&metrics, REQUESTS, &[&other]), 1.0);
    drained(&metrics, start);
    drained(&metrics, start + KEPT_UNUSED);
    assert_eq!(sum(&metrics, REQUESTS, &[&other]), 1.0, "what other has counted stays");
    assert_eq!(sum(&metrics, REQUESTS, &["peer=\"first\""]), 0.0);
    metrics.edge(key(Direction::Outbound, "third")).observe(&ok(1));
    assert_eq!(sum(&metrics, REQUESTS, &["peer=\"third\""]), 1.0, "there is room again");
}

#[test]
fn two_patterns_of_one_rule_are_one_edge_with_two_histograms() {
    let metrics = with_series(1000);
    for pattern in ["/a", "/b/*"] {
        let key = EdgeKey { http_route: pattern.into(), ..key(Direction::Outbound, "x.shop:80") };
        metrics.edge(key).observe(&ok(1));
    }
    let text = metrics.encode();
    assert_eq!(text.lines().filter(|line| line.starts_with("weft_requests_total{")).count(), 1);
    assert_eq!(sum(&metrics, REQUESTS, &[]), 2.0);
    for pattern in ["http_route=\"/a\"", "http_route=\"/b/*\""] {
        assert_eq!(sum(&metrics, COUNT, &[pattern]), 1.0, "{text}");
    }
}

#[test]
fn an_edge_that_counts_nothing_is_not_shown_for_ever_and_comes_back_with_all_that_it_had() {
    let metrics = with_series(1000);
    let edge = metrics.edge(key(Direction::Outbound, "a.shop:80"));
    let tcp = metrics.edge(EdgeKey::unrouted(Direction::Outbound, "db.shop:5432"));
    edge.observe(&ok(1));
    tcp.connection_opened(true);
    let start = Instant::now();
    let shows = |at: Duration, peer: &str| {
        metrics.encode_at(start + at).contains(&format!("peer=\"{peer}\""))
    };
    assert!(shows(Duration::ZERO, "a.shop:80"));
    assert!(!shows(KEPT_UNUSED, "a.shop:80"));
    assert!(shows(KEPT_UNUSED, "db.shop:5432"), "its connection is open");
    edge.observe(&ok(1));
    let text = metrics.encode_at(start + KEPT_UNUSED);
    let line = text.lines().find(|line| line.starts_with("weft_requests_total{")).unwrap();
    assert!(line.ends_with(" 2"), "{line}");
}

#[test]
fn calls_of_grpc_are_told_in_both_families() {
    let metrics = with_series(1000);
    let of = |pattern: &str| EdgeKey {
        http_route: pattern.into(),
        ..EdgeKey::unrouted(Direction::Outbound, "cart.shop:80")
    };
    let call = |code| Observation { grpc: true, grpc_status: Some(code), ..ok(1) };
    metrics.edge(of("/shop.v1.Cart/Add")).observe(&call(0));
    metrics.edge(of("/shop.v1.Cart/*")).observe(&call(5));
    metrics.edge(EdgeKey::unrouted(Direction::Inbound, "")).observe(&call(5));
    assert_eq!(sum(&metrics, COUNT, &[]), 2.0);
    let count = |side: &str, labels: &[&str]| {
        sum(&metrics, &format!("rpc_{side}_call_duration_seconds_count"), labels)
    };
    let added = ["rpc_method=\"shop.v1.Cart/Add\"", "rpc_response_status_code=\"OK\""];
    assert_eq!(count("client", &added), 1.0, "{}", metrics.encode());
    let missing = ["rpc_response_status_code=\"NOT_FOUND\"", "error_type=\"NOT_FOUND\""];
    assert_eq!(count("client", &missing), 1.0);
    assert_eq!((count("server", &missing[..1]), count("server", &missing[1..])), (1.0, 0.0));
}
