//! A line to the letter, and what no client can do to it.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceId;

use super::{Fields, Line, NAMES, Speaker, rfc3339};
use crate::error::Token;
use crate::telemetry::metrics::Direction;
use crate::telemetry::tests::end;
use crate::telemetry::{ConnectionEnd, RequestEnd};

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_785_000_000_007)
}

const WEB: Speaker<'static> =
    Speaker { workload: "web-v1.shop", identity: "spiffe://demo.local/ns/shop/sa/web" };

fn text(line: &Line<'_>) -> String {
    serde_json::to_string(&line.chosen(Fields::ALL)).unwrap()
}

#[test]
fn a_request() {
    let end =
        RequestEnd { status: 503, error: Some(Token::ConnectionRefused), attempts: 3, ..end() };
    let line = Line::of_request(&end, Some(TraceId::from(255)), WEB, at());
    assert_eq!(
        text(&line),
        concat!(
            r#"{"time":"2026-07-25T17:20:00.007Z","protocol":"http","direction":"outbound","workload":"web-v1.shop","#,
            r#""identity":"spiffe://demo.local/ns/shop/sa/web","#,
            r#""service":"product.shop:8080","method":"GET","host":"product.shop:8080","path":"/products/7","#,
            r#""http_version":"1.1","status":503,"error":"connection_refused","duration_ms":1.5,"#,
            r#""connect_ms":0.25,"first_byte_ms":1.25,"attempts":3,"#,
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
        connect: None,
        first_byte: None,
        ..end()
    };
    assert_eq!(
        text(&Line::of_request(&end, None, WEB, at())),
        concat!(
            r#"{"time":"2026-07-25T17:20:00.007Z","protocol":"http","direction":"outbound","workload":"web-v1.shop","#,
            r#""identity":"spiffe://demo.local/ns/shop/sa/web","#,
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
        text(&Line::of_connection(&end, WEB, at())),
        concat!(
            r#"{"time":"2026-07-25T17:20:00.007Z","protocol":"tcp","direction":"inbound","workload":"web-v1.shop","#,
            r#""identity":"spiffe://demo.local/ns/shop/sa/web","#,
            r#""service":"web-v1.shop","error":"application_unreachable","duration_ms":2000.0,"#,
            r#""peer_address":"10.0.0.9:4242","mtls":false,"bytes_sent":10,"bytes_received":20}"#
        )
    );
}

#[test]
fn fields_are_chosen_by_name_and_stay_in_their_order() {
    let chosen = Fields::of(["trace_id", "status", "grpc_status", "path"]).unwrap();
    let (end, trace) = (end(), Some(TraceId::from(255)));
    let line = Line::of_request(&end, trace, WEB, at());
    assert_eq!(
        serde_json::to_string(&line.chosen(chosen)).unwrap(),
        r#"{"path":"/products/7","status":200,"trace_id":"000000000000000000000000000000ff"}"#
    );
    assert_eq!(Fields::of(["status", "colour"]), Err("colour".to_owned()));
    assert_eq!(
        NAMES,
        weft_proto::names::ACCESS_LOG_FIELDS,
        "a policy may choose all of them, and no others"
    );
}

#[test]
fn a_denial_says_who_and_why() {
    let denial = Some(("none", "no rule allows it; AccessPolicy/shop/readers#0 wants method GET"));
    let end = RequestEnd { status: 403, error: Some(Token::RequestDenied), denial, ..end() };
    let read = |line: &Line<'_>| serde_json::from_str::<serde_json::Value>(&text(line)).unwrap();
    let line = read(&Line::of_request(&end, None, WEB, at()));
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
    let line = text(&Line::of_request(&end, None, WEB, at()));
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
