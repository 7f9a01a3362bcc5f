//! Open taps: who watches, and which sidecars were invited to show him their requests. A sidecar comes with the number of its
//! invitation, on a stream of its own; whoever has another identity than the invited workload is turned away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use weft_proto::telemetry::TapEvents;

/// Bound: messages of all sidecars that the watcher has not been sent yet.
const MAX_WAITING: usize = 256;

/// What a watcher is shown: whose sidecar, and what it says.
pub(crate) type Shown = (Arc<str>, TapEvents);

/// All taps.
#[derive(Debug, Default)]
pub(super) struct Taps {
    /// Lock: held for one look-up. Bound: an invitation for each sidecar and tap.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    next: u64,
    invited: HashMap<u64, (Arc<str>, Watcher)>,
}

/// Where requests go.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    shown: mpsc::Sender<Shown>,
    /// Requests for which there was no room.
    dropped: Arc<AtomicU64>,
}

/// One tap; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Tap {
    /// What sidecars show.
    pub(crate) shown: mpsc::Receiver<Shown>,
    taps: Arc<Taps>,
    watcher: Watcher,
    invitations: Vec<u64>,
}

impl Taps {
    /// Somebody watches; nobody is invited yet.
    pub(super) fn open(self: &Arc<Self>) -> Tap {
        let (sender, shown) = mpsc::channel(MAX_WAITING);
        let watcher = Watcher { shown: sender, dropped: Arc::default() };
        Tap { shown, taps: Arc::clone(self), watcher, invitations: Vec::new() }
    }

    /// Who was invited by that number, and by whom.
    pub(super) fn invited(&self, number: u64) -> Option<(Arc<str>, Watcher)> {
        self.known().invited.get(&number).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Shows it, or counts it.
    pub(super) fn show(&self, workload: &Arc<str>, events: TapEvents) {
        let count = events.requests.len() as u64 + events.dropped;
        if self.shown.try_send((Arc::clone(workload), events)).is_err() {
            self.dropped.fetch_add(count, Relaxed);
        }
    }

    /// Returns when nobody watches any more.
    pub(super) async fn gone(&self) {
        self.shown.closed().await;
    }
}

impl Tap {
    /// Invites a sidecar: the number that it has to come with.
    pub(crate) fn invite(&mut self, workload: &Arc<str>) -> u64 {
        let mut known = self.taps.known();
        known.next += 1;
        let number = known.next;
        known.invited.insert(number, (Arc::clone(workload), self.watcher.clone()));
        drop(known);
        self.invitations.push(number);
        number
    }

    /// Requests for which there was no room since this was asked last.
    pub(crate) fn dropped(&self) -> u64 {
        self.watcher.dropped.swap(0, Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut known = self.taps.known();
        self.invitations.iter().for_each(|number| drop(known.invited.remove(number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tap_ends_with_whoever_watches() {
        let taps = Arc::new(Taps::default());
        let mut tap = taps.open();
        let workload: Arc<str> = "product-v1.shop".into();
        let number = tap.invite(&workload);
        let (invited, watcher) = taps.invited(number).unwrap();
        assert_eq!(invited, workload);
        assert!(taps.invited(number + 1).is_none());
        for _ in 0..=MAX_WAITING {
            watcher.show(&workload, TapEvents { dropped: 2, ..TapEvents::default() });
        }
        assert_eq!((tap.dropped(), tap.dropped()), (2, 0));
        assert!(tap.shown.recv().await.is_some());
        drop(tap);
        watcher.gone().await;
        assert!(taps.invited(number).is_none());
    }
}
