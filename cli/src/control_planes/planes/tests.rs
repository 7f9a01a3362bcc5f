//! What is asked while control planes come and go.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Config};

use super::*;
use crate::admin::Container;

/// A replica of a cluster, which nobody asks.
fn replica(name: &str) -> AdminSocket {
    let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let (namespace, pod) = ("weft-system".to_owned(), name.to_owned());
    let container = Container { namespace, pod, name: String::new(), command: Vec::new() };
    AdminSocket::in_pod(Api::<Pod>::all(client), container)
}

fn places(all: &[AdminSocket]) -> Vec<String> {
    all.iter().map(AdminSocket::place).collect()
}

/// First there is `a`; then nothing is found; then `b` and `c`.
fn changing() -> (Planes, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let planes = Planes::new(vec![replica("a")], move || {
        let found = match counted.fetch_add(1, Relaxed) {
            0 => Err(anyhow::anyhow!("nobody answers")),
            _ => Ok(vec![replica("b"), replica("c")]),
        };
        Box::pin(async { found })
    });
    (planes, looks)
}

const A: [&str; 1] = ["pod a.weft-system"];
const B_AND_C: [&str; 2] = ["pod b.weft-system", "pod c.weft-system"];

#[tokio::test(start_paused = true)]
async fn replicas_that_come_are_found_and_one_that_is_lost_is_looked_for_at_once() {
    let (planes, looks) = changing();
    assert_eq!(places(&planes.now().await), A);
    assert_eq!(looks.load(Relaxed), 0, "they have just been found");
    planes.lost();
    assert_eq!(places(&planes.now().await), A, "nothing is found, and the last are told of");
    assert_eq!(places(&planes.now().await), B_AND_C);
    assert_eq!(places(&planes.clone().now().await), B_AND_C);
    assert_eq!(looks.load(Relaxed), 2);
    tokio::time::advance(GOOD_FOR).await;
    assert_eq!(places(&planes.now().await), B_AND_C);
    assert_eq!(looks.load(Relaxed), 3, "more may have come");
}
