//! A line to the letter, and what no client can do to it.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceId;

use super::{Line, rfc3339};
use crate::error::Token;
use crate::telemetry::metrics::Direction;
use crate::telemetry::tests::end;
use crate::telemetry::{ConnectionEnd, RequestEnd};

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_785_000_000_007)
}

fn text(line: &Line<'_>) -> String {
    serde_json::to_string(line).unwrap()
}

#[test]
fn a_request() {
    let end =
        RequestEnd { status: 503, error: Some(Token::ConnectionRefused), attempts: 3, ..end() };
    let line = Line::of_request(&end, Some(TraceId::from(255)), "web-v1.shop", at());
    assert_eq!(
        text(&line),
        concat!(
            r#"{"time":"2026-07-25T17:20:00.007Z","protocol":"http","direction":"outbound","workload":"web-v1.shop","#,
            r#""service":"product.shop:8080","method":"GET","host":"product.shop:8080","path":"/products/7","#,
            r#""http_version":"1.1","status":503,"error":"connection_refused","duration_ms":1.5,"attempts":3,"#,
            r#""route":"HTTPRoute/shop/web#0","peer_address":"127.66.0.4:8080","#,
            r#""peer_identity":"spiffe://demo.local/ns/shop/sa/product","mtls":true,"bytes_sent":0,"bytes_received":42,"#,
            r#""trace_id":"000000000000000000000000000000ff","request_id":"given"}"#
        )
    );
}

#[test]
fn a_request_of_which_little_is_known() {
    let end = RequestEnd {
        status: 0,
        host: "",
        route: "",
        peer_identity: "",
        peer_address: None,
        request_id: "",
        mtls: false,
        attempts: 0,
        ..end()
    };
    assert_eq!(
        text(&Line::of_request(&end, None, "web-v1.shop", at())),
        concat!(
            r#"{"time":"2026-07-25T17:20:00.007Z","protocol":"http","direction":"outbound","workload":"web-v1.shop","#,
            r#""service":"product.shop:8080","method":"GET","path":"/products/7","http_version":"1.1","#,
            r#""duration_ms":1.5,"attempts":0,"mtls":false,"bytes_sent":0,"bytes_received":42}"#
        )
    );
}

#[test]
fn a_connection() {
    let end = ConnectionEnd {
        direction: Direction::Inbound,
        service: "web-v1.shop",
        route: "",
        peer_identity: "",
        peer_address: Some(([10, 0, 0, 9], 4242).into()),
        mtls: false,
        sent: 10,
        received: 20,
        duration: Duration::from_secs(2),
        error: Some(Token::ApplicationUnreachable),
        denial: None,
    };
    assert_eq!(
        text(&Line::of_connection(&end, "web-v1.shop", at())),
        concat!(
            r#"{"time":"2026-07-25T17:20:00.007Z","protocol":"tcp","direction":"inbound","workload":"web-v1.shop","#,
            r#""service":"web-v1.shop","error":"application_unreachable","duration_ms":2000.0,"#,
            r#""peer_address":"10.0.0.9:4242","mtls":false,"bytes_sent":10,"bytes_received":20}"#
        )
    );
}

#[test]
fn a_denial_says_who_and_why() {
    let denial = Some(("none", "no rule allows it; AccessPolicy/shop/readers#0 wants method GET"));
    let end = RequestEnd { status: 403, error: Some(Token::RequestDenied), denial, ..end() };
    let read = |line: &Line<'_>| serde_json::from_str::<serde_json::Value>(&text(line)).unwrap();
    let line = read(&Line::of_request(&end, None, "web-v1.shop", at()));
    assert_eq!(
        (&line["error"], &line["denied_by"]),
        (&"http_request_denied".into(), &"none".into())
    );
    assert_eq!(line["denial"], "no rule allows it; AccessPolicy/shop/readers#0 wants method GET");
}

#[test]
fn nothing_that_a_client_sends_breaks_out_of_its_field() {
    let long = "ü".repeat(4096);
    let end = RequestEnd {
        path: "/a\"b\\\r\n{\"forged\":true}\u{1b}[31m\u{7f}\u{9b}31m\u{202e}",
        host: &long,
        request_id: &long,
        ..end()
    };
    let line = text(&Line::of_request(&end, None, "web-v1.shop", at()));
    assert!(line.chars().all(|c| !c.is_control()), "{line}");
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        read["path"],
        "/a\"b\\\u{fffd}\u{fffd}{\"forged\":true}\u{fffd}[31m\u{fffd}\u{fffd}31m\u{fffd}"
    );
    assert_eq!(read["host"].as_str().unwrap().len(), 1024);
    assert!(line.len() < 4096);
}

#[test]
fn times_are_in_utc_to_the_millisecond() {
    assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    assert_eq!(rfc3339(at()), "2026-07-25T17:20:00.007Z");
}
