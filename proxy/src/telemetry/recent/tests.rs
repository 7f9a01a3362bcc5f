//! What is remembered, within which bounds, and what is told of it.

use std::net::SocketAddr;

use opentelemetry::trace::TraceId;

use super::*;
use crate::error::Error;
use crate::telemetry::tests::end;

fn record(recent: &Recent, route: &str, error: Token) -> wire::RequestRecord {
    let (route, error) = (route, Some(error));
    recent.record(&RequestEnd { route, error, status: 503, ..end() }, None, false)
}

fn all(recent: &Recent, ask: &wire::AskRequests) -> Vec<wire::RequestRecord> {
    let answer = recent.answer(ask, SystemTime::now());
    assert!(answer.iter().rev().skip(1).all(|message| message.more));
    assert!(!answer.last().unwrap().more);
    answer.into_iter().flat_map(|message| message.requests).collect()
}

#[test]
fn failures_are_remembered_whoever_made_them() {
    let is_failure = |status, grpc_status, error| {
        Recent::is_failure(&RequestEnd { status, grpc_status, error, ..end() })
    };
    assert!(!is_failure(200, None, None) && !is_failure(404, None, None));
    assert!(!is_failure(200, Some(5), None), "the client's own");
    assert!(is_failure(503, None, None) && is_failure(200, Some(14), None));
    assert!(is_failure(403, None, Some(Token::RequestDenied)));
    assert!(is_failure(0, None, Some(Token::DownstreamClosed)));
}

#[test]
fn a_flood_of_one_failure_does_not_wash_away_another() {
    let recent = Recent::default();
    recent.keep(record(&recent, "HTTPRoute/shop/rare#0", Token::RateLimited));
    for _ in 0..MAX_ENTRIES * 3 {
        recent.keep(record(&recent, "HTTPRoute/shop/web#0", Token::ConnectionRefused));
    }
    let (entries, bytes) = recent.size();
    assert_eq!(entries, MAX_ENTRIES);
    assert!(bytes <= MAX_BYTES);
    let ask = wire::AskRequests { limit: 10_000, ..Default::default() };
    assert_eq!(all(&recent, &ask).len(), ANSWERED.1, "bounded, the newest first");
    assert!(recent.classes().all().iter().any(|one| one.error == "rate_limited"));
}

#[test]
fn what_a_client_chose_has_an_end_and_drives_no_terminal() {
    let recent = Recent::default();
    let path = format!("/\u{1b}[2J{}", "a".repeat(10_000));
    let error = Some(Token::RequestError);
    for _ in 0..MAX_ENTRIES {
        let end = RequestEnd { path: &path, host: &path, error, ..end() };
        recent.keep(recent.record(&end, None, false));
    }
    let (_, bytes) = recent.size();
    assert!(bytes <= MAX_BYTES, "{bytes}");
    let found = all(&recent, &wire::AskRequests::default());
    assert!(found.iter().all(|one| one.path.len() <= 260 && !one.path.contains('\u{1b}')));
}

#[test]
fn entries_are_found_by_what_they_are() {
    let recent = Recent::default();
    let one = |path: &str, id: &str, status: u16| {
        let end = RequestEnd { path, request_id: id, status, ..end() };
        let traced = Traced { id: TraceId::from(7), sampled: status == 500 };
        recent.keep(recent.record(&end, Some(traced), false));
    };
    one("/charge", "a", 503);
    one("/charge/7", "b", 500);
    one("/charges", "c", 503);
    let count = |ask: wire::AskRequests| all(&recent, &ask).len();
    let filtered = |filter: wire::RequestFilter| {
        count(wire::AskRequests { filter: Some(filter), ..Default::default() })
    };
    assert_eq!(count(wire::AskRequests { request_id: "b".into(), ..Default::default() }), 1);
    let trace_id = "0".repeat(31) + "7";
    assert_eq!(count(wire::AskRequests { trace_id, ..Default::default() }), 3);
    // A trace that no collector has been told of leads nowhere.
    let sampled = all(&recent, &wire::AskRequests::default()).into_iter().filter(|one| one.sampled);
    assert_eq!(sampled.map(|one| one.request_id).collect::<Vec<_>>(), ["b"]);
    let filter = wire::RequestFilter::default;
    assert_eq!(filtered(wire::RequestFilter { path: "/charge".into(), ..filter() }), 2);
    assert_eq!(filtered(wire::RequestFilter { status: 5, ..filter() }), 3);
    assert_eq!(filtered(wire::RequestFilter { status: 500, ..filter() }), 1);
    assert_eq!(filtered(wire::RequestFilter { service: "product.shop".into(), ..filter() }), 3);
    assert_eq!(filtered(wire::RequestFilter { service: "product.sho".into(), ..filter() }), 0);
    assert_eq!(filtered(wire::RequestFilter { method: "POST".into(), ..filter() }), 0);
}

#[test]
fn a_refused_connection_says_why_and_how_the_configuration_stood() {
    let recent = Recent::default();
    recent.in_touch("7".into(), true);
    let client: SocketAddr = ([10, 0, 0, 1], 4711).into();
    let error = Error::new(Token::TlsProtocolError, "no handshake").because("no_handshake");
    recent.refused("product-v1.shop", client, &error);
    let found = all(&recent, &wire::AskRequests::default());
    let one = &found[0];
    assert!(one.opaque && one.out_of_touch == 0);
    assert_eq!((one.reason.as_str(), one.config_version.as_str()), ("no_handshake", "7"));
    assert_eq!(one.peer_address, "10.0.0.1:4711");
    recent.in_touch("7".into(), false);
    recent.in_touch("7".into(), false);
    recent.refused("product-v1.shop", client, &error);
    let found = all(&recent, &wire::AskRequests::default());
    assert!(found.iter().any(|one| one.out_of_touch > 0));
    // Whoever leaves of his own accord is refused nothing.
    recent.refused("product-v1.shop", client, &Error::new(Token::DownstreamClosed, "gone"));
    assert_eq!(recent.size().0, 2);
}
