//! Waiting for a condition, always with a deadline, never for a time that is hoped to be enough.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// Repeats `probe` until it succeeds, and returns what it found. The test fails with `what` and the last error
/// when `deadline` is over.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> T {
    let start = Instant::now();
    loop {
        let error = match timeout(deadline, probe()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer at all".to_owned(),
        };
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}: {error}");
        sleep(PAUSE).await;
    }
}

/// `future`, which must be done within `deadline`.
pub(crate) async fn within<T>(
    what: &str,
    deadline: Duration,
    future: impl Future<Output = T>,
) -> T {
    timeout(deadline, future).await.unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}
