//! The load against a real listener.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::*;

#[test]
fn a_round_begins_with_every_kind_of_request() {
    let first: Vec<_> = ROUND[..3].to_vec();
    for kind in KINDS.split(", ") {
        let (method, path) = kind.split_once(' ').unwrap();
        assert!(first.contains(&(method, path)), "{kind}");
    }
}

#[tokio::test]
async fn every_request_sent_is_counted_once_by_its_outcome() {
    let shop = Router::new()
        .route("/products", get(|| async { "fine" }))
        .route("/me", get(|| async { StatusCode::NOT_FOUND }))
        .route("/checkout", post(|| async { StatusCode::SERVICE_UNAVAILABLE }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let load = Load::start(listener.local_addr().unwrap(), 1000);
    let counters = Arc::clone(&load.counters);
    tokio::spawn(axum::serve(listener, shop).into_future());
    let enough = async {
        while counters.counts().failed < 9 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), enough).await.unwrap();
    let counts = load.stop().await;
    assert_eq!(counts.sent, counts.good + counts.failed, "{counts:?}");
    assert_eq!((counts.unanswered, counts.skipped), (0, 0), "{counts:?}");
    assert!(counts.good > counts.failed, "{counts:?}");
}

#[tokio::test]
async fn nobody_there_is_unanswered_not_failed() {
    // Nobody is given this port by chance: its address is nobody's.
    let closed = SocketAddr::from(([127, 99, 0, 1], 1));
    let load = Load::start(closed, 1000);
    let counters = Arc::clone(&load.counters);
    let some = async {
        while counters.counts().unanswered < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), some).await.unwrap();
    let counts = load.stop().await;
    assert_eq!(counts.sent, counts.unanswered);
}
