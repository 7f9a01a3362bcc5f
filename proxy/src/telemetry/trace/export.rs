//! The way of closed spans to the collector: a bounded queue, and one thread that turns spans into OTLP and
//! sends them. Pushed to by [`super::RequestTrace`], steered by [`super::Tracing`].
//!
//! Pushing never waits: what does not fit is dropped and counted. A collector that is away or silent costs
//! this thread its time and the proxy the spans, and nothing else.

mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use self::worker::Worker;
use super::Batch;
use super::span::Span;
use crate::telemetry::metrics::{Metrics, SPANS_DROPPED, SPANS_EXPORTED, SPANS_STARTED};

/// Spans since the start of the process. Those begun and in neither other count are open or waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Begun.
    pub started: u64,
    /// Taken by a collector.
    pub exported: u64,
    /// Taken by none.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Exporter {
    queue: Arc<Queue>,
    collector: watch::Sender<Option<String>>,
    /// Time by which the thread has to be done, once it is to end.
    stop: watch::Sender<Option<Instant>>,
    /// Lock: held while the thread is started or stopped. `None` from then on.
    idle: Mutex<Option<Worker>>,
}

/// What both sides of the queue see.
#[derive(Debug)]
struct Queue {
    spans: mpsc::Sender<Box<Span>>,
    batch: Batch,
    /// Spans waiting, to wake the thread once for a batch and not once for each.
    waiting: AtomicUsize,
    batch_is_full: Notify,
    /// Does anybody collect?
    open: AtomicBool,
    started: AtomicU64,
    exported: AtomicU64,
    dropped: AtomicU64,
}

impl Exporter {
    pub(super) fn new(batch: Batch, resource: Resource, metrics: &Metrics) -> Arc<Self> {
        let (spans, receiver) = mpsc::channel(batch.queue);
        let queue = Arc::new(Queue {
            spans,
            batch,
            waiting: AtomicUsize::new(0),
            batch_is_full: Notify::new(),
            open: AtomicBool::new(false),
            started: AtomicU64::new(0),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        for (what, read) in [
            (SPANS_STARTED, (|queue| queue.started.load(Relaxed)) as fn(&Queue) -> u64),
            (SPANS_EXPORTED, |queue| queue.exported.load(Relaxed)),
            (SPANS_DROPPED, |queue| queue.dropped.load(Relaxed)),
        ] {
            let queue = queue.clone();
            metrics.watch(what, move || read(&queue));
        }
        let (collector, collectors) = watch::channel(None);
        let (stop, stopping) = watch::channel(None);
        let worker = Worker::new(queue.clone(), receiver, collectors, stopping, resource);
        Arc::new(Self { queue, collector, stop, idle: Mutex::new(Some(worker)) })
    }

    /// Sends spans there from now on. The thread starts with the first collector.
    pub(super) fn collect_at(&self, endpoint: Option<String>) {
        let known = endpoint.is_some();
        let changed = self.collector.send_if_modified(|current| {
            let changed = *current != endpoint;
            *current = endpoint;
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
            tracing::error!(%error, "no thread for the export of spans; none will be exported");
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.queue.open.load(Relaxed)
    }

    pub(super) fn count_started(&self) {
        self.queue.started.fetch_add(1, Relaxed);
    }

    pub(super) fn push(&self, span: Box<Span>) {
        self.queue.push(span);
    }

    pub(super) fn collector(&self) -> Option<String> {
        self.collector.borrow().clone().filter(|_| self.is_open())
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            started: self.queue.started.load(Relaxed),
            exported: self.queue.exported.load(Relaxed),
            dropped: self.queue.dropped.load(Relaxed),
        }
    }

    pub(super) async fn shutdown(&self, limit: Duration) {
        self.queue.open.store(false, Relaxed);
        let deadline = Instant::now() + limit;
        self.stop.send_replace(Some(deadline));
        // A thread that never ran has nothing to send. With it go the receivers that `closed` waits for.
        drop(self.idle.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = tokio::time::timeout_at(deadline, self.stop.closed()).await;
    }
}

impl Queue {
    fn push(&self, span: Box<Span>) {
        // Order: counted before it can be taken, so that the count never falls below zero.
        let before = self.waiting.fetch_add(1, Relaxed);
        if self.spans.try_send(span).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.fetch_add(1, Relaxed);
        } else if before + 1 == self.batch.size {
            self.batch_is_full.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
