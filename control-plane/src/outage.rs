//! A watch of the API server that is interrupted: how soon it tries again, and that its log says so once for each outage.
//! Used by everything here that watches; it decides nothing about what is watched.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event};

/// The longest wait before the next attempt. kube's own is twelve times that, made for clusters of thousands of
/// watchers; ours are about a dozen for each replica, and until they go on the mesh is as it was before the outage.
const LONGEST: Duration = Duration::from_secs(5);

/// One watch.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    lasts: bool,
}

impl Outage {
    /// Takes in what the watch has told; does an outage begin with it?
    pub(crate) fn begins<K>(&mut self, event: &Result<Event<K>, watcher::Error>) -> bool {
        // Every attempt to list begins with it, also one that fails.
        if matches!(event, Ok(Event::Init)) {
            return false;
        }
        let lasted = std::mem::replace(&mut self.lasts, event.is_err());
        self.lasts && !lasted
    }
}

/// Waits between the attempts of one watch: longer and longer, up to [`LONGEST`], and not in step with those of others.
#[derive(Default)]
pub(crate) struct Pace(DefaultBackoff);

impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0.next()?;
        if wait <= LONGEST {
            return Some(wait);
        }
        // The fraction of a second is as good as random.
        let part = f64::from(wait.subsec_nanos()) / 1e9;
        Some(LONGEST.mul_f64(0.5 + part / 2.0))
    }
}

impl Backoff for Pace {
    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests;
