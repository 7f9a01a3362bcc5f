//! Taps: somebody watches requests as they end (`weft tap`). The control plane opens one by a word on the stream of reports
//! ([`super::report`]); the requests go out on a stream of their own ([`run()`]), to the very replica that opened it.
//!
//! While nobody watches, a request costs one relaxed load. While somebody does, a request that is not wanted costs a
//! comparison, and one that is over the rate is counted. Neither the path of a request nor a report ever waits for a watcher.

mod run;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;
use weft_proto::telemetry::{OpenTap, RequestFilter, RequestRecord};

use super::RequestEnd;
use super::recent::Seen;

pub(crate) use run::run;

/// Bound: taps at once; as many as a control plane opens.
const MAX_TAPS: usize = 8;
/// Bound: requests of one tap that are not sent yet.
const MAX_WAITING: usize = 256;
/// Bound: requests a second, whatever is asked for; and where nothing is.
const MOST: (u32, u32) = (1000, 100);

/// All taps of one proxy. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Taps(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many are open: all that a request looks at.
    open: AtomicUsize,
    /// Lock: held to offer one request to each of at most [`MAX_TAPS`], while there are any.
    taps: Mutex<Vec<Arc<Tap>>>,
}

#[derive(Debug)]
struct Tap {
    filter: RequestFilter,
    most: u32,
    born: Instant,
    /// The second since `born`, above the requests in it (32 bits).
    rate: AtomicU64,
    dropped: AtomicU64,
    requests: mpsc::Sender<RequestRecord>,
}

/// An open tap. It is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) id: u64,
    pub(crate) requests: mpsc::Receiver<RequestRecord>,
    tap: Arc<Tap>,
    taps: Taps,
}

impl Taps {
    /// Does anybody watch?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.open.load(Relaxed) > 0
    }

    /// Opens one; `None` if there are as many as there may be.
    pub(crate) fn open(&self, wanted: OpenTap) -> Option<Opened> {
        let mut taps = self.taps();
        if taps.len() >= MAX_TAPS {
            return None;
        }
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        let most = if wanted.most == 0 { MOST.1 } else { wanted.most.min(MOST.0) };
        let tap = Arc::new(Tap {
            filter: wanted.filter.unwrap_or_default(),
            most,
            born: Instant::now(),
            rate: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            requests: sender,
        });
        taps.push(Arc::clone(&tap));
        self.0.open.store(taps.len(), Relaxed);
        drop(taps);
        Some(Opened { id: wanted.id, requests, tap, taps: self.clone() })
    }

    /// Shows an ended request to whoever wants it; `record` makes what is shown.
    #[cold]
    pub(super) fn offer(&self, end: &RequestEnd<'_>, record: impl Fn() -> RequestRecord) {
        let seen = Seen::of_end(end);
        for tap in self.taps().iter().filter(|tap| seen.matches(&tap.filter)) {
            let is_due = tap.takes(tap.born.elapsed().as_secs());
            if !is_due || tap.requests.try_send(record()).is_err() {
                tap.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn close(&self, tap: &Arc<Tap>) {
        let mut taps = self.taps();
        taps.retain(|one| !Arc::ptr_eq(one, tap));
        self.0.open.store(taps.len(), Relaxed);
    }

    fn taps(&self) -> MutexGuard<'_, Vec<Arc<Tap>>> {
        self.0.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// One more in this second, if the rate allows it. Called under the lock.
    fn takes(&self, second: u64) -> bool {
        let rate = self.rate.load(Relaxed);
        let count = if rate >> 32 == second { rate & 0xffff_ffff } else { 0 };
        self.rate.store(second << 32 | (count + 1).min(0xffff_ffff), Relaxed);
        count < u64::from(self.most)
    }
}

impl Opened {
    /// Requests that were not sent since this was asked last.
    pub(crate) fn dropped(&self) -> u64 {
        self.tap.dropped.swap(0, Relaxed)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.taps.close(&self.tap);
    }
}

#[cfg(test)]
mod tests;
