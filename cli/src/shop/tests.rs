//! The shop on its own, without a mesh: real sockets, services calling each other directly.

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::args::{Cli, Command};

/// Starts a service on a free port and returns its URL.
async fn start(line: &str) -> String {
    let line = format!("weft demo-service {line} --listen 127.0.0.1:0");
    let Command::DemoService(args) = Cli::parse_from(line.split_whitespace()).command else {
        panic!("not a service: {line}")
    };
    let listener = tokio::net::TcpListener::bind(args.listen).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, service(args).unwrap()).into_future());
    url
}

async fn shop(product: &str) -> Peer {
    let user = start("user").await;
    let product = start(&format!("product --as {product}")).await;
    let payment = start("payment --seed 3").await;
    let urls = format!("--user-url {user} --product-url {product}");
    let order = start(&format!("order {urls} --payment-url {payment}")).await;
    Peer::new(&start(&format!("gateway {urls} --order-url {order}")).await).unwrap()
}

#[tokio::test]
async fn a_checkout_goes_through_all_services_and_fails_as_often_as_payment_does() {
    let gateway = shop("v1").await;
    let nothing = http::HeaderMap::new();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = gateway.post("/checkout", &nothing, &json!({ "product": 2 })).await;
        if answer.is_good() {
            assert_eq!(answer.body["product"], "Shuttle, beech");
        }
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|&&status| status == 503).count(), 6, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 34, "{statuses:?}");
}

#[tokio::test]
async fn curl_gets_json_and_a_browser_a_page() {
    let gateway = shop("v2").await;
    let curl = gateway.get("/", &http::HeaderMap::new()).await;
    assert_eq!(curl.body["shelf"]["version"], "v2");
    assert_eq!(curl.body["shelf"]["products"][0]["stars"], 4.8);
    assert_eq!(curl.body["customer"]["name"], "Ada");

    let headers = [(http::header::ACCEPT, "text/html,*/*;q=0.8".parse().unwrap())];
    assert!(gateway::wants_page(&headers.into_iter().collect()));
}

#[tokio::test]
async fn every_service_tells_its_health_and_version() {
    let product = Peer::new(&start("product --as v2").await).unwrap();
    let health: Value = product.get("/health", &http::HeaderMap::new()).await.body;
    assert_eq!(health, json!({ "status": "ok", "service": "product", "version": "v2" }));
}

#[tokio::test]
async fn a_service_that_is_away_is_a_502_with_a_reason() {
    let gone = Peer::new("http://127.0.0.1:1").unwrap();
    let answer = gone.get("/", &http::HeaderMap::new()).await;
    assert_eq!(answer.status.as_u16(), 502);
    assert!(answer.body["error"].is_string());
}

#[test]
fn a_service_without_the_address_of_a_peer_says_which() {
    let line = "weft demo-service gateway --listen 127.0.0.1:0 --user-url http://x";
    let Command::DemoService(args) = Cli::parse_from(line.split_whitespace()).command else {
        panic!("not a service")
    };
    assert!(service(args).unwrap_err().to_string().contains("PRODUCT_SERVICE_URL"));
}
