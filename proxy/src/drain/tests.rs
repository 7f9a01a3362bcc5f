//! How long a drain waits.

use std::time::Duration;

use tokio::time::Instant;

use super::channel;

const GRACE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn who_is_asked_twice_has_no_more_time() {
    let (trigger, source) = channel();
    let (start, open) = (Instant::now(), source.watch());
    assert!(!trigger.drain(GRACE).await);
    assert_eq!(start.elapsed(), GRACE);
    assert!(!trigger.drain(GRACE).await);
    assert_eq!(start.elapsed(), GRACE, "the second one ends at once");
    drop(open);
    assert!(trigger.drain(GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_connection() {
    let (trigger, source) = channel();
    let open = source.watch();
    let start = Instant::now();
    tokio::spawn(async move {
        open.draining().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    assert!(trigger.drain(GRACE).await);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}
