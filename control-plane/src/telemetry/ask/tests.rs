//! Who is asked, and whose answer counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use weft_proto::telemetry::{AccessTraffic, AskTraffic};

use super::{Asks, Part};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3)
}

fn part(id: u64, beyond: u64, more: bool) -> Part {
    Part::Access(AccessTraffic { id, seconds: 60, callers: Vec::new(), beyond, more })
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_the_one_who_was_asked_counts() {
    let asks = Arc::new(Asks::default());
    let (acks, mut asked) = mpsc::channel(4);
    let _seat = asks.enter("product-v1.shop", &acks);
    let other = Arc::clone(&asks);
    let sidecar = tokio::spawn(async move {
        let AskTraffic { id, seconds } = asked.recv().await.unwrap().unwrap().ask.unwrap();
        assert_eq!(seconds, 60);
        other.deliver("payment-v1.shop", part(id, 1000, false));
        other.deliver("product-v1.shop", part(id + 1, 1000, false));
        other.deliver("product-v1.shop", part(id, 1, true));
        other.deliver("product-v1.shop", part(id, 2, false));
        other.deliver("product-v1.shop", part(id, 1000, false));
    });
    let seen = asks.ask("product-v1.shop", 60, soon()).await.unwrap();
    assert_eq!((seen.covers, seen.beyond, seen.parts.len()), (60, 3, 2));
    sidecar.await.unwrap();
    assert!(asks.known().questions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_there_or_silent_is_told_apart() {
    let asks = Arc::new(Asks::default());
    let nobody = "its sidecar is not connected";
    assert_eq!(asks.ask("product-v1.shop", 60, soon()).await.unwrap_err(), nobody);
    let (acks, _asked) = mpsc::channel(4);
    let first = asks.enter("product-v1.shop", &acks);
    let second = asks.enter("product-v1.shop", &acks);
    drop(first);
    let silent = "its sidecar did not answer in time";
    assert_eq!(asks.ask("product-v1.shop", 60, soon()).await.unwrap_err(), silent);
    drop(second);
    assert_eq!(asks.ask("product-v1.shop", 60, soon()).await.unwrap_err(), nobody);
    assert!(asks.known().questions.is_empty() && asks.known().streams.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_end_is_none() {
    let asks = Arc::new(Asks::default());
    let (acks, mut asked) = mpsc::channel(4);
    let _seat = asks.enter("product-v1.shop", &acks);
    let other = Arc::clone(&asks);
    tokio::spawn(async move {
        let id = asked.recv().await.unwrap().unwrap().ask.unwrap().id;
        loop {
            other.deliver("product-v1.shop", part(id, 0, true));
            tokio::task::yield_now().await;
        }
    });
    let answer = asks.ask("product-v1.shop", 60, soon()).await;
    assert_eq!(answer.unwrap_err(), "its sidecar has too much to tell");
}
