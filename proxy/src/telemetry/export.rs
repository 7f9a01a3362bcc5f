//! The way of spans and log lines to a collector: a bounded queue, and one thread that turns what waits into OTLP and
//! sends it. Pushed to by [`super::trace::RequestTrace`] and [`super::access_log::AccessLog`].
//!
//! 1. [`otlp`]: one collector, over gRPC or HTTP.
//! 2. `dial`: the connection to it, TLS included.
//! 3. `worker`: the thread.
//! 4. [`settings`]: what the `OTEL_*` variables say of the way there.
//!
//! Pushing never waits: what does not fit is dropped and counted. A collector that is away or silent costs
//! the thread its time and the proxy what waits for it, and nothing else.

mod dial;
pub(super) mod otlp;
pub(super) mod settings;
mod worker;

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use self::otlp::{About, Request};
pub use self::settings::{Batch, Collector, Otlp, Protocol, Tls};
use self::worker::Worker;

/// What travels: a span, a log line.
pub(super) trait Item: Debug + Send + Sized + 'static {
    /// Several of them, in words.
    const WHAT: &'static str;
    /// Name of the thread; at most 15 bytes.
    const THREAD: &'static str;

    /// One request for a batch of them. Made by the thread.
    fn request(batch: Vec<Self>, about: &About) -> Request;
}

/// Queue and thread of one kind of items.
#[derive(Debug)]
pub(super) struct Exporter<T> {
    queue: Arc<Queue<T>>,
    collector: watch::Sender<Option<Collector>>,
    /// Time by which the thread has to be done, once it is to end.
    stop: watch::Sender<Option<Instant>>,
    /// Lock: held while the thread is started or stopped. `None` from then on.
    idle: Mutex<Option<Worker<T>>>,
}

/// What both sides of the queue see.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: mpsc::Sender<Box<T>>,
    batch: Batch,
    /// Items waiting, to wake the thread once for a batch and not once for each.
    waiting: AtomicUsize,
    batch_is_full: Notify,
    /// Does anybody collect?
    open: AtomicBool,
    exported: AtomicU64,
    dropped: AtomicU64,
}

impl<T: Item> Exporter<T> {
    /// Sends to nobody yet.
    pub(super) fn new(otlp: &Otlp, about: About) -> Arc<Self> {
        let (items, receiver) = mpsc::channel(otlp.batch.queue);
        let queue = Arc::new(Queue {
            items,
            batch: otlp.batch,
            waiting: AtomicUsize::new(0),
            batch_is_full: Notify::new(),
            open: AtomicBool::new(false),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let (collector, collectors) = watch::channel(None);
        let (stop, stopping) = watch::channel(None);
        let ends = worker::Ends { items: receiver, collector: collectors, stop: stopping };
        let worker = Worker::new(queue.clone(), ends, otlp.clone(), about);
        Arc::new(Self { queue, collector, stop, idle: Mutex::new(Some(worker)) })
    }

    /// Sends there from now on. The thread starts with the first collector.
    pub(super) fn collect_at(&self, collector: Option<Collector>) {
        let known = collector.is_some();
        let changed = self.collector.send_if_modified(|current| {
            let changed = *current != collector;
            *current = collector;
            changed
        });
        if !changed {
            return;
        }
        self.queue.open.store(known, Relaxed);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = known.then(|| idle.take()).flatten()
            && let Err(error) = worker.spawn()
        {
            self.queue.open.store(false, Relaxed);
            tracing::error!(%error, what = T::WHAT, "no thread for the export; none will be exported");
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.queue.open.load(Relaxed)
    }

    pub(super) fn push(&self, item: Box<T>) {
        self.queue.push(item);
    }

    /// The collector in force.
    pub(super) fn collector(&self) -> Option<String> {
        let endpoint = self.collector.borrow().as_ref().map(|found| found.endpoint.clone());
        endpoint.filter(|_| self.is_open())
    }

    /// Items that a collector took.
    pub(super) fn exported(&self) -> u64 {
        self.queue.exported.load(Relaxed)
    }

    /// Items that none took.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.dropped.load(Relaxed)
    }

    /// Exports what waits, for at most `limit`, and ends the export. What is left is dropped and counted.
    pub(super) async fn shutdown(&self, limit: Duration) {
        self.queue.open.store(false, Relaxed);
        let deadline = Instant::now() + limit;
        self.stop.send_replace(Some(deadline));
        // A thread that never ran has nothing to send. With it go the receivers that `closed` waits for.
        drop(self.idle.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = tokio::time::timeout_at(deadline, self.stop.closed()).await;
    }
}

impl<T> Queue<T> {
    fn push(&self, item: Box<T>) {
        // Order: counted before it can be taken, so that the count never falls below zero.
        let before = self.waiting.fetch_add(1, Relaxed);
        if self.items.try_send(item).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.fetch_add(1, Relaxed);
        } else if before + 1 == self.batch.size {
            self.batch_is_full.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
