//! HTTP/2 with prior knowledge and gRPC, through both sidecars as what they are.

use std::time::Duration;

use anyhow::Result;
use http::{Method, Version};

use crate::harness::frames::{
    self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Raw,
};
use crate::harness::{Act, Answer, Load, Mesh, get, http2, request};

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

async fn call(mesh: &Mesh, body: &str) -> Result<Answer> {
    let to = mesh.entry("gateway", "product");
    http2(to, request(Method::POST, "/shop.Product/Get", &GRPC, body)).await
}

#[tokio::test]
async fn the_version_of_http_is_kept_from_end_to_end() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    let old = get(entry, "/").await.unwrap();
    assert_eq!((old.version, old.json()["version"].as_str()), (Version::HTTP_11, Some("HTTP/1.1")));
    let new = http2(entry, request(Method::GET, "/", &[], "")).await.unwrap();
    assert_eq!((new.version, new.json()["version"].as_str()), (Version::HTTP_2, Some("HTTP/2.0")));
    assert!(new.received("x-forwarded-client-cert").contains("sa/gateway"));
}

#[tokio::test]
async fn grpc_trailers_arrive() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let answer = call(&mesh, "\0\0\0\0\u{5}hello").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "\0\0\0\0\u{5}hello");
    assert_eq!(answer.trailers["grpc-status"], "0");
    assert_eq!(mesh.app("product-v1").seen()[0].headers["te"], "trailers");
}

#[tokio::test]
async fn a_failure_is_told_to_a_grpc_client_in_its_own_words() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    mesh.app("product-v1").script(|_| Act::Close);
    let answer = call(&mesh, "").await.unwrap();
    assert_eq!(answer.status, 200, "gRPC errors are no HTTP errors");
    assert_eq!(answer.header("grpc-status"), "14");
    assert!(answer.header("proxy-status").contains("connection_terminated"), "{answer:?}");
    assert_eq!(mesh.app("product-v1").count(), 1, "a POST is sent once");
}

#[tokio::test]
async fn a_load_over_http2_fails_nothing() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .in_turn("product")
        .caller("gateway")
        .start()
        .await;
    let mut load = Load::start_http2(mesh.entry("gateway", "product"), 300);
    load.passes(600).await;
    let (tally, apps) = (load.stop().await, mesh.apps());
    tally.assert_no_failures();
    tally.assert_posts_arrived_once(&apps);
    assert_eq!(tally.by_workload().len(), 2, "streams are balanced, not connections");
}

/// What is answered before its body has come is no mistake of the client's, however often: 300 refusals at once, and
/// their bodies after them, leave the connection as it was.
#[tokio::test]
async fn answers_that_overtake_their_requests_bodies_cost_no_connection() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    for to in [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()] {
        let mut raw = Raw::connect(to, &[]).await.unwrap();
        let streams = |round: u32| (0..50).map(move |number| 2 * (50 * round + number) + 1);
        for round in 0..6 {
            for stream in streams(round) {
                // A path that reads two ways is refused here, whoever is behind.
                raw.put(HEADERS, END_HEADERS, stream, &frames::post("a", "/%2e%2e/%zz"));
            }
            raw.send().await.unwrap();
            let mut answered = 0;
            raw.until(Duration::from_secs(60), |frame| {
                answered += u32::from(frame.kind != GOAWAY && frame.flags & END_STREAM != 0);
                answered == 50
            })
            .await;
            assert_eq!(answered, 50, "round {round} at {to}");
            for stream in streams(round) {
                raw.put(DATA, END_STREAM, stream, b"late");
            }
            raw.send().await.unwrap();
        }
        raw.put(HEADERS, END_HEADERS | END_STREAM, 601, &frames::get("a"));
        raw.send().await.unwrap();
        let frames = raw.until(Duration::from_secs(60), |frame| frame.stream == 601).await;
        let kinds: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
        assert!(!kinds.contains(&RST_STREAM), "nothing is reset: {frames:?}");
        assert!(!kinds.contains(&GOAWAY), "the connection stays: {frames:?}");
        assert_eq!(frames.last().unwrap().kind, HEADERS);
    }
}
