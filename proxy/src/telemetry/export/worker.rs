//! The export thread: collects items into batches and sends each as one OTLP call. It has a runtime of its
//! own, so that neither encoding nor a silent collector takes a moment from the data workers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::otlp::{About, Client};
use super::settings::{Collector, Otlp};
use super::{Item, Queue};

/// Bound on lines about what was dropped.
const LOG_EVERY: Duration = Duration::from_mins(1);
/// Wait after a failed export; doubles up to the longest.
const BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Worker<T> {
    queue: Arc<Queue<T>>,
    ends: Ends<T>,
    otlp: Otlp,
    about: About,
    client: Option<Client>,
    back_off: Duration,
    log: LossLog,
}

/// What the thread listens to.
#[derive(Debug)]
pub(super) struct Ends<T> {
    pub(super) items: mpsc::Receiver<Box<T>>,
    pub(super) collector: watch::Receiver<Option<Collector>>,
    pub(super) stop: watch::Receiver<Option<Instant>>,
}

/// Says that something was lost, at most once in [`LOG_EVERY`].
#[derive(Debug, Default)]
pub(super) struct LossLog {
    told_at: Option<Instant>,
    told: u64,
    reason: Option<String>,
}

impl<T: Item> Worker<T> {
    pub(super) fn new(queue: Arc<Queue<T>>, ends: Ends<T>, otlp: Otlp, about: About) -> Self {
        let (client, back_off, log) = (None, BACK_OFF, LossLog::default());
        Self { queue, ends, otlp, about, client, back_off, log }
    }

    /// Runs on a thread of its own until it is told to stop.
    pub(super) fn spawn(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(T::THREAD.into());
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
                _ = stopped(&mut self.ends.stop) => break,
                Ok(()) = self.ends.collector.changed() => self.connect(),
                () = self.queue.batch_is_full.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if self.flush().await.is_ok() {
                self.back_off = BACK_OFF;
            } else {
                self.wait_after_failure().await;
            }
            self.tell();
        }
        self.finish().await;
    }

    /// Makes the client of the collector in force; it connects when it is first used.
    fn connect(&mut self) {
        self.client = None;
        self.back_off = BACK_OFF;
        let Some(collector) = self.ends.collector.borrow_and_update().clone() else { return };
        let (endpoint, what) = (collector.endpoint.clone(), T::WHAT);
        match Client::new(&collector, &self.otlp) {
            Ok(client) => {
                self.client = Some(client);
                tracing::info!(%endpoint, what, "exporting");
            }
            Err(error) => {
                self.queue.open.store(false, Relaxed);
                tracing::error!(%endpoint, error, what, "the collector cannot be used; nothing is exported");
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

    fn take(&mut self, most: usize) -> Vec<T> {
        let items = &mut self.ends.items;
        let batch: Vec<_> =
            std::iter::from_fn(|| items.try_recv().ok().map(|item| *item)).take(most).collect();
        self.queue.waiting.fetch_sub(batch.len(), Relaxed);
        batch
    }

    /// Exports or drops one batch.
    async fn export(&mut self, batch: Vec<T>) -> Result<(), ()> {
        let count = batch.len() as u64;
        let result = match &mut self.client {
            None => Err("no collector".to_owned()),
            Some(client) => {
                let request = T::request(batch, &self.about);
                tokio::select! {
                    result = client.export(request) => result,
                    () = tokio::time::sleep(self.queue.batch.timeout) => Err("no answer".to_owned()),
                    () = deadline(&mut self.ends.stop) => Err("the proxy is stopping".to_owned()),
                }
            }
        };
        match result {
            Ok(rejected) => {
                let rejected = rejected.min(count);
                if rejected > 0 {
                    self.log.reason = Some("the collector rejected them".to_owned());
                }
                self.queue.dropped.fetch_add(rejected, Relaxed);
                self.queue.exported.fetch_add(count - rejected, Relaxed);
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
        self.tell();
        let wait = self.back_off;
        self.back_off = (wait * 2).min(LONGEST_BACK_OFF);
        tokio::select! {
            _ = stopped(&mut self.ends.stop) => {}
            Ok(()) = self.ends.collector.changed() => self.connect(),
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Exports what is left until the deadline; drops the rest.
    async fn finish(&mut self) {
        self.ends.items.close();
        while self.queue.waiting.load(Relaxed) > 0 && self.flush().await.is_ok() {}
        let left = self.take(usize::MAX).len() as u64;
        self.queue.dropped.fetch_add(left, Relaxed);
        self.log.told_at = None;
        self.tell();
    }

    fn tell(&mut self) {
        self.log.tell(T::WHAT, self.queue.dropped.load(Relaxed));
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
    pub(super) fn tell(&mut self, what: &str, dropped: u64) -> bool {
        let now = Instant::now();
        let soon = self.told_at.is_some_and(|at| now.duration_since(at) < LOG_EVERY);
        if soon || dropped == self.told {
            return false;
        }
        let reason = self.reason.take().unwrap_or_else(|| "the queue was full".to_owned());
        tracing::warn!(what, count = dropped - self.told, reason, "dropped: no collector has them");
        (self.told_at, self.told) = (Some(now), dropped);
        true
    }
}
