//! The export thread: collects spans into batches and sends each as one OTLP call. It has a runtime of its
//! own, so that neither encoding nor a silent collector takes a moment from the data workers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::span::{Span, scope};
use super::Queue;

/// Bound on lines about spans that were dropped.
const LOG_EVERY: Duration = Duration::from_mins(1);
/// Wait after a failed export; doubles up to the longest.
const BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Worker {
    queue: Arc<Queue>,
    spans: mpsc::Receiver<Box<Span>>,
    collector: watch::Receiver<Option<String>>,
    stop: watch::Receiver<Option<Instant>>,
    resource: Resource,
    scope: InstrumentationScope,
    exporter: Option<SpanExporter>,
    back_off: Duration,
    log: LossLog,
}

/// Says that spans were lost, at most once in [`LOG_EVERY`].
#[derive(Debug, Default)]
pub(super) struct LossLog {
    told_at: Option<Instant>,
    told: u64,
    reason: Option<String>,
}

impl Worker {
    pub(super) fn new(
        queue: Arc<Queue>,
        spans: mpsc::Receiver<Box<Span>>,
        collector: watch::Receiver<Option<String>>,
        stop: watch::Receiver<Option<Instant>>,
        resource: Resource,
    ) -> Self {
        let scope = scope();
        let (exporter, back_off, log) = (None, BACK_OFF, LossLog::default());
        Self { queue, spans, collector, stop, resource, scope, exporter, back_off, log }
    }

    /// Runs on a thread of its own until it is told to stop.
    pub(super) fn spawn(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("weft-otlp".into());
        thread.spawn(move || {
            runtime.block_on(self.run());
            // A name look-up may still hang in a blocking thread; nobody waits for it.
            runtime.shutdown_background();
        })?;
        Ok(())
    }

    async fn run(mut self) {
        self.connect();
        loop {
            let wait = self.queue.batch.delay;
            tokio::select! {
                biased;
                _ = stopped(&mut self.stop) => break,
                Ok(()) = self.collector.changed() => self.connect(),
                () = self.queue.batch_is_full.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if self.flush().await.is_ok() {
                self.back_off = BACK_OFF;
            } else {
                self.wait_after_failure().await;
            }
            self.log.tell(self.queue.dropped.load(Relaxed));
        }
        self.finish().await;
    }

    /// Makes the client of the collector in force; it connects when it is first used.
    fn connect(&mut self) {
        self.exporter = None;
        self.back_off = BACK_OFF;
        let Some(endpoint) = self.collector.borrow_and_update().clone() else { return };
        match SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build() {
            Ok(mut exporter) => {
                exporter.set_resource(&self.resource);
                self.exporter = Some(exporter);
                tracing::info!(%endpoint, "exporting spans");
            }
            Err(error) => {
                self.queue.open.store(false, Relaxed);
                tracing::error!(%endpoint, %error, "the collector cannot be used; no spans");
            }
        }
    }

    /// Exports what waits now; not what comes meanwhile, or it might never end.
    async fn flush(&mut self) -> Result<(), ()> {
        let mut left = self.queue.waiting.load(Relaxed);
        while left > 0 {
            let batch = self.take(left.min(self.queue.batch.size));
            if batch.is_empty() {
                break;
            }
            left -= batch.len();
            self.export(batch).await?;
        }
        Ok(())
    }

    fn take(&mut self, most: usize) -> Vec<Span> {
        let batch: Vec<_> = std::iter::from_fn(|| self.spans.try_recv().ok().map(|span| *span))
            .take(most)
            .collect();
        self.queue.waiting.fetch_sub(batch.len(), Relaxed);
        batch
    }

    /// Exports or drops one batch.
    async fn export(&mut self, batch: Vec<Span>) -> Result<(), ()> {
        let count = batch.len() as u64;
        let result = match &self.exporter {
            None => Err("no collector".to_owned()),
            Some(exporter) => {
                let batch = batch.into_iter().map(|span| span.into_data(&self.scope)).collect();
                tokio::select! {
                    result = exporter.export(batch) => result.map_err(|error| error.to_string()),
                    () = tokio::time::sleep(self.queue.batch.timeout) => Err("no answer".to_owned()),
                    () = deadline(&mut self.stop) => Err("the proxy is stopping".to_owned()),
                }
            }
        };
        match result {
            Ok(()) => {
                self.queue.exported.fetch_add(count, Relaxed);
                Ok(())
            }
            Err(reason) => {
                self.queue.dropped.fetch_add(count, Relaxed);
                self.log.reason = Some(reason);
                Err(())
            }
        }
    }

    /// Leaves the collector alone for a while, unless there is another one or an end.
    async fn wait_after_failure(&mut self) {
        self.log.tell(self.queue.dropped.load(Relaxed));
        let wait = self.back_off;
        self.back_off = (wait * 2).min(LONGEST_BACK_OFF);
        tokio::select! {
            _ = stopped(&mut self.stop) => {}
            Ok(()) = self.collector.changed() => self.connect(),
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Exports what is left until the deadline; drops the rest.
    async fn finish(&mut self) {
        self.spans.close();
        while self.queue.waiting.load(Relaxed) > 0 && self.flush().await.is_ok() {}
        let left = self.take(usize::MAX).len() as u64;
        self.queue.dropped.fetch_add(left, Relaxed);
        self.log.told_at = None;
        self.log.tell(self.queue.dropped.load(Relaxed));
    }
}

/// Waits until the export is to stop; gives the time by which it has to be done.
async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) -> Instant {
    let at = stop.wait_for(Option::is_some).await.ok().and_then(|at| *at);
    at.unwrap_or_else(Instant::now)
}

/// Waits until that time has come.
async fn deadline(stop: &mut watch::Receiver<Option<Instant>>) {
    tokio::time::sleep_until(stopped(stop).await).await;
}

impl LossLog {
    /// Did it say so?
    pub(super) fn tell(&mut self, dropped: u64) -> bool {
        let now = Instant::now();
        let soon = self.told_at.is_some_and(|at| now.duration_since(at) < LOG_EVERY);
        if soon || dropped == self.told {
            return false;
        }
        let reason = self.reason.take().unwrap_or_else(|| "the queue was full".to_owned());
        tracing::warn!(spans = dropped - self.told, reason, "spans dropped");
        (self.told_at, self.told) = (Some(now), dropped);
        true
    }
}
