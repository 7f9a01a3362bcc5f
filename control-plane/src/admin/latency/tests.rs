//! What is measured, and what is not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::PublishLatency;
use crate::testing::mesh;

#[tokio::test(start_paused = true)]
async fn a_change_is_measured_to_the_next_generation() {
    let (changes, generations) = (watch::Sender::new(mesh(&[])), watch::Sender::new(1));
    let latency = Arc::new(PublishLatency::default());
    let (seen, generation) = (changes.subscribe(), generations.subscribe());
    let following = latency.clone();
    let task = tokio::spawn(async move { following.follow(seen, generation).await });
    let settle = async || tokio::time::sleep(Duration::from_millis(1)).await;
    settle().await;

    changes.send_replace(mesh(&["a"]));
    settle().await;
    // A second one on the way to the same generation.
    changes.send_replace(mesh(&["b"]));
    tokio::time::sleep(Duration::from_millis(39)).await;
    generations.send_replace(2);
    settle().await;
    assert_eq!(latency.0.cumulated(), ([0, 0, 1, 1, 1, 1, 1, 1, 1], 40));

    // Nothing comes of this one, and the next is measured from its own start.
    changes.send_replace(mesh(&["c"]));
    tokio::time::sleep(Duration::from_secs(6)).await;
    changes.send_replace(mesh(&["d"]));
    tokio::time::sleep(Duration::from_secs(3)).await;
    generations.send_replace(3);
    settle().await;
    assert_eq!(latency.0.cumulated(), ([0, 0, 1, 1, 1, 1, 1, 1, 2], 3_040));

    drop(changes);
    task.await.unwrap();
}
