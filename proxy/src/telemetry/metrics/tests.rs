//! What a scrape reads, what a report takes, and that neither loses a count to threads that count meanwhile.

mod budget;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Version};

use super::table::Delta;
use super::{ALL, ConfigStanding, Direction, EdgeKey, MAX_EDGES, Metrics, OTHER, Observation};
use crate::error::Token;
use crate::telemetry::conventions::Verb;

fn metrics() -> Metrics {
    Metrics::default()
}

fn key(direction: Direction, peer: &str) -> EdgeKey {
    EdgeKey {
        route: "HTTPRoute/shop/web#0".into(),
        backend: "product-v2.shop:8080".into(),
        http_route: "/products/*".into(),
        ..EdgeKey::unrouted(direction, peer)
    }
}

fn ok(millis: u64) -> Observation {
    Observation {
        method: Verb::of(&Method::GET),
        version: Version::HTTP_11,
        grpc: false,
        status: 200,
        grpc_status: None,
        duration: Duration::from_millis(millis),
        retries: 0,
        mtls: true,
        error: None,
        fallback: false,
    }
}

fn drained(metrics: &Metrics, now: Instant) -> Vec<(EdgeKey, Delta)> {
    let mut taken = Vec::new();
    metrics.drain(now, |key, delta| taken.push((EdgeKey::clone(key), delta)));
    taken
}

/// The lines of edges: what the process says of itself differs from run to run.
fn edge_lines(metrics: &Metrics) -> String {
    let text = metrics.encode();
    text.lines().filter(|line| line.contains("peer=")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_scrape_reads_as_documented() {
    let metrics = metrics();
    let edge = metrics.edge(key(Direction::Outbound, "product.shop:8080"));
    edge.observe(&ok(1));
    edge.observe(&Observation {
        status: 503,
        retries: 2,
        mtls: false,
        error: Some(Token::ConnectionRefused),
        ..ok(30_000)
    });
    let e =
        r#"peer="product.shop:8080",route="HTTPRoute/shop/web#0",backend="product-v2.shop:8080""#;
    let bucket = |labels: &str, le: &str, count: u32| {
        format!("http_client_request_duration_seconds_bucket{{{labels},le=\"{le}\"}} {count}\n")
    };
    let mut expected = String::new();
    for (status, error, seconds, within) in
        [("200", "", "0.001", 1), ("503", "error_type=\"connection_refused\",", "30", 0)]
    {
        let labels = format!(
            "http_request_method=\"GET\",http_response_status_code=\"{status}\",{error}\
             http_route=\"/products/*\",network_protocol_version=\"1.1\",\
             server_address=\"product.shop\",server_port=\"8080\",{e}"
        );
        for le in "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10".split(' ') {
            expected += &bucket(&labels, le, within);
        }
        expected += &bucket(&labels, "+Inf", 1);
        expected += &format!("http_client_request_duration_seconds_sum{{{labels}}} {seconds}\n");
        expected += &format!("http_client_request_duration_seconds_count{{{labels}}} 1\n");
    }
    let e = format!("direction=\"outbound\",{e}");
    expected += &format!("weft_request_errors_total{{{e},error=\"connection_refused\"}} 1\n");
    expected += &format!("weft_request_failures_total{{{e}}} 1\n");
    expected += &format!("weft_requests_total{{{e},status_class=\"5xx\",mtls=\"false\"}} 1\n");
    expected += &format!("weft_requests_total{{{e},status_class=\"2xx\",mtls=\"true\"}} 1\n");
    expected += &format!("weft_retries_total{{{e}}} 2\n");
    assert_eq!(edge_lines(&metrics), expected);
}

#[test]
fn opaque_connections_read_as_documented() {
    let metrics = metrics();
    let edge = metrics.edge(key(Direction::Inbound, "spiffe://demo.local/ns/shop/sa/\"x\"\n"));
    edge.connection_opened(true);
    edge.connection_opened(true);
    edge.carried(10, 20);
    edge.connection_closed(Some(Token::ConnectionTerminated));
    let e = r#"direction="inbound",peer="spiffe://demo.local/ns/shop/sa/\"x\"\n",route="HTTPRoute/shop/web#0",backend="product-v2.shop:8080""#;
    let expected = format!(
        "weft_request_errors_total{{{e},error=\"connection_terminated\"}} 1\n\
         weft_tcp_connections_closed_total{{{e}}} 1\n\
         weft_tcp_connections_open{{{e}}} 1\n\
         weft_tcp_connections_opened_total{{{e},mtls=\"true\"}} 2\n\
         weft_tcp_received_bytes_total{{{e}}} 20\n\
         weft_tcp_sent_bytes_total{{{e}}} 10\n"
    );
    assert_eq!(edge_lines(&metrics), expected);
}

#[test]
fn whatever_is_exposed_is_described() {
    let metrics = metrics();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(77);
    metrics.identity_valid(SystemTime::UNIX_EPOCH, end);
    metrics.renewal_overdue(true);
    metrics.config_stale(true);
    metrics.xds_connected(true);
    metrics.config(ConfigStanding { version: "17".into(), accepted: Some(end), alone_since: None });
    metrics.watch(super::SPANS_STARTED, || 5);
    let text = metrics.encode();
    for line in [
        "weft_identity_not_after_seconds 77",
        "weft_identity_renewal_overdue 1",
        "weft_config_accepted_timestamp_seconds 77",
        "weft_config_generation 17",
        "weft_config_stale 1",
        "weft_config_unconfirmed_seconds 0",
        "weft_metrics_series 0",
        "weft_metrics_series_limit 10000",
        "weft_xds_connected 1",
        "weft_draining 0",
        "weft_spans_started_total 5",
        concat!("weft_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    for name in [
        "process_resident_memory_bytes",
        "process_start_time_seconds 1",
        "process_open_fds",
        "process_cpu_seconds_total",
    ] {
        assert!(text.lines().any(|l| l.starts_with(name)), "{name} is not in\n{text}");
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(ALL.iter().any(|what| what.name == name), "{name} is not in the table");
    }
    assert!(ALL.is_sorted_by_key(|what| what.name), "the table is in the order of names");
}

#[test]
fn failures_are_the_servers_and_the_meshs_not_the_clients() {
    let cases = [
        (200, None, None, false),
        (404, None, None, false),
        (429, None, None, false),
        (500, None, None, true),
        (503, None, Some(Token::ConnectionRefused), true),
        (404, None, Some(Token::RouteNotFound), false),
        (0, None, Some(Token::DownstreamClosed), false),
        (200, None, Some(Token::ResponseIncomplete), true),
        (200, Some(0), None, false),
        (200, Some(5), None, false),
        (200, Some(8), None, false),
        (200, Some(4), None, true),
        (200, Some(14), None, true),
    ];
    for (status, grpc_status, error, failure) in cases {
        let observation = Observation { status, grpc_status, error, ..ok(1) };
        assert_eq!(observation.is_failure(), failure, "{observation:?}");
    }
}

#[test]
fn odd_statuses_and_durations_are_counted_too() {
    let metrics = metrics();
    let edge = metrics.edge(key(Direction::Inbound, ""));
    for status in [0, 99, 600, u16::MAX] {
        edge.observe(&Observation { status, duration: Duration::MAX, ..ok(0) });
    }
    let lines = edge_lines(&metrics);
    assert!(lines.contains(r#"status_class="none",mtls="true"} 4"#), "{lines}");
}

#[test]
fn the_same_key_is_the_same_edge() {
    let metrics = metrics();
    let one = metrics.edge(key(Direction::Outbound, "a"));
    assert!(Arc::ptr_eq(&one, &metrics.edge(key(Direction::Outbound, "a"))));
    assert!(!Arc::ptr_eq(&one, &metrics.edge(key(Direction::Inbound, "a"))));
}

#[test]
fn a_report_takes_what_was_counted_since_the_last_one() {
    let metrics = metrics();
    let now = Instant::now();
    let edge = metrics.edge(key(Direction::Outbound, "a"));
    assert_eq!(drained(&metrics, now), []);
    edge.observe(&ok(1));
    edge.observe(&Observation {
        status: 503,
        retries: 2,
        mtls: false,
        error: Some(Token::ConnectionRefused),
        ..ok(1)
    });
    edge.connection_opened(false);
    edge.carried(3, 4);
    edge.connection_closed(None);
    let expected = Delta {
        requests: 2,
        failures: 1,
        retries: 2,
        mtls: 1,
        latency: vec![(u32::try_from(weft_proto::latency::index(1000)).unwrap(), 2)],
        connections: 1,
        bytes_sent: 3,
        bytes_received: 4,
        errors: vec![(Token::ConnectionRefused, 1)],
    };
    assert_eq!(drained(&metrics, now), [(key(Direction::Outbound, "a"), expected)]);
    assert_eq!(drained(&metrics, now), []);
    edge.observe(&ok(1));
    assert_eq!(drained(&metrics, now)[0].1.requests, 1);
}

#[test]
fn edges_that_nobody_uses_go_away_after_their_last_count_is_taken() {
    let metrics = metrics();
    let start = Instant::now();
    let (used, unused) = (key(Direction::Outbound, "used"), key(Direction::Outbound, "unused"));
    let held = metrics.edge(used.clone());
    metrics.edge(unused.clone()).observe(&ok(1));
    let taken = drained(&metrics, start);
    assert_eq!(taken.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&unused]);
    drained(&metrics, start + super::KEPT_UNUSED / 2);
    assert!(edge_lines(&metrics).contains(r#"peer="unused""#), "kept for the next scrape");
    drained(&metrics, start + super::KEPT_UNUSED);
    assert!(!edge_lines(&metrics).contains(r#"peer="unused""#));
    assert!(Arc::ptr_eq(&held, &metrics.edge(used)), "an edge in use stays");
}

#[test]
fn an_edge_that_is_used_again_stays() {
    let metrics = metrics();
    let start = Instant::now();
    let first = Arc::as_ptr(&metrics.edge(key(Direction::Outbound, "a")));
    drained(&metrics, start);
    let again = metrics.edge(key(Direction::Outbound, "a"));
    drained(&metrics, start + super::KEPT_UNUSED * 2);
    assert_eq!((first, Arc::strong_count(&again)), (Arc::as_ptr(&again), 2));
}

#[test]
fn the_table_is_bounded() {
    let metrics = metrics();
    let first = metrics.edge(key(Direction::Outbound, "0"));
    for n in 1..MAX_EDGES {
        let _ = metrics.edge(key(Direction::Outbound, &n.to_string()));
    }
    let over = metrics.edge(key(Direction::Outbound, "one more"));
    over.observe(&ok(1));
    assert!(Arc::ptr_eq(&over, &metrics.edge(key(Direction::Outbound, "and one more"))));
    assert!(!Arc::ptr_eq(&over, &metrics.edge(key(Direction::Inbound, "one more"))));
    assert!(Arc::ptr_eq(&first, &metrics.edge(key(Direction::Outbound, "0"))));
    assert!(edge_lines(&metrics).contains(&format!("peer=\"{OTHER}\"")));
}

#[test]
fn nothing_is_lost_between_threads_that_count_and_one_that_takes() {
    const WORKERS: u64 = 3;
    const EACH: u64 = 5_000;
    let metrics = metrics();
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| {
            let edge = metrics.edge(key(Direction::Outbound, &(n % 2).to_string()));
            std::thread::spawn(move || {
                (0..EACH).for_each(|i| {
                    edge.observe(&Observation { status: 500, retries: 1, ..ok(i % 50) });
                });
            })
        })
        .collect();
    let mut sum = Delta::default();
    let mut latencies = 0;
    let mut running = true;
    while running {
        running = workers.iter().any(|worker| !worker.is_finished());
        for (_, delta) in drained(&metrics, Instant::now()) {
            sum.requests += delta.requests;
            sum.failures += delta.failures;
            sum.retries += delta.retries;
            sum.mtls += delta.mtls;
            latencies += delta.latency.iter().map(|(_, count)| count).sum::<u64>();
        }
    }
    let all = WORKERS * EACH;
    assert_eq!((sum.requests, sum.failures, sum.retries, sum.mtls), (all, all, all, all));
    assert_eq!(latencies, all);
}
