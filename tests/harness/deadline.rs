//! Waiting for a condition, always with a deadline, never for a time that is hoped to be enough.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// No deadline is shorter, however fast things usually are: a busy machine may stand still for seconds.
const SHORTEST: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// Repeats `probe` until it succeeds, and returns what it found. The test fails with `what` and the last error
/// when `deadline` is over.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    probe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> T {
    match attempt(deadline, probe).await {
        Ok(found) => found,
        Err(error) => panic!("not within {:?}: {what}: {error}", deadline.max(SHORTEST)),
    }
}

/// The same, for who has more to say about a failure: the last error, when `deadline` is over.
pub(crate) async fn attempt<T>(
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> Result<T, String> {
    let (start, deadline) = (Instant::now(), deadline.max(SHORTEST));
    loop {
        let error = match timeout(deadline, probe()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer at all".to_owned(),
        };
        if start.elapsed() >= deadline {
            return Err(error);
        }
        sleep(PAUSE).await;
    }
}

/// `future`, which must be done within `deadline`.
pub(crate) async fn within<T>(
    what: &str,
    deadline: Duration,
    future: impl Future<Output = T>,
) -> T {
    let deadline = deadline.max(SHORTEST);
    timeout(deadline, future).await.unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}
