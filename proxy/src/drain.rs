//! Graceful stop: one [`Trigger`], many [`Watch`]es, one for each connection.
//!
//! `app` holds the triggers (inbound and outbound apart, because a pod that is being deleted stops taking
//! calls long before its application has stopped making them); every connection holds a watch for as long as
//! it lives. The handshake: [`Trigger::start`] asks, connections finish what they have and drop their watch,
//! [`Trigger::finished`] returns when the last is gone, [`Trigger::abort`] ends the wait.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Aborted,
}

#[derive(Debug, Default)]
struct Connections {
    open: AtomicUsize,
    closed: Notify,
}

/// Starts and awaits the drain.
#[derive(Debug)]
pub struct Trigger {
    phase: watch::Sender<Phase>,
    connections: Arc<Connections>,
    /// When it was first asked for.
    started: OnceLock<Instant>,
}

/// Hands out watches. Held by listeners; does not keep a drain waiting.
#[derive(Clone, Debug)]
pub struct Source {
    phase: watch::Receiver<Phase>,
    connections: Arc<Connections>,
}

/// One connection's part in the handshake. Not `Clone`: one connection, one watch.
#[derive(Debug)]
pub struct Watch {
    phase: watch::Receiver<Phase>,
    connections: Arc<Connections>,
    cut: Arc<Cut>,
}

/// Ends one connection at once, as an abort ends them all.
#[derive(Debug, Default)]
pub struct Cut {
    done: AtomicBool,
    told: Notify,
}

impl Cut {
    /// Now.
    pub fn cut(&self) {
        self.done.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Has it been asked for?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    async fn done(&self) {
        // Race: the permit is requested before the flag is read, so a cut in between wakes us.
        let mut told = pin!(self.told.notified());
        told.as_mut().enable();
        if !self.is_done() {
            told.await;
        }
    }
}

/// A new pair.
#[must_use]
pub fn channel() -> (Trigger, Source) {
    let (phase, receiver) = watch::channel(Phase::Running);
    let connections = Arc::new(Connections::default());
    let source = Source { phase: receiver, connections: Arc::clone(&connections) };
    (Trigger { phase, connections, started: OnceLock::new() }, source)
}

impl Trigger {
    /// Asks every connection, present and future, to finish. May be called again.
    pub fn start(&self) {
        self.phase.send_if_modified(|phase| {
            let changed = *phase < Phase::Draining;
            *phase = (*phase).max(Phase::Draining);
            changed
        });
    }

    /// [`Self::start`], and waits until the last connection is gone or `grace` is over, which counts from the first
    /// start: who is asked twice has no more time. True if none is open.
    pub async fn drain(&self, grace: Duration) -> bool {
        let since = *self.started.get_or_init(Instant::now);
        self.start();
        let _ = tokio::time::timeout_at(since + grace, self.finished()).await;
        self.open() == 0
    }

    /// Asks every connection to end now.
    pub fn abort(&self) {
        self.phase.send_replace(Phase::Aborted);
    }

    /// Has [`Self::start`] been called?
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.connections.open.load(Ordering::Acquire)
    }

    /// Returns when no connection is open.
    pub async fn finished(&self) {
        loop {
            // Race: the permit is requested before the count is read, so a close in between wakes us.
            let closed = self.connections.closed.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Source {
    /// A watch for a connection that has just been accepted.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.connections.open.fetch_add(1, Ordering::AcqRel);
        let connections = Arc::clone(&self.connections);
        Watch { phase: self.phase.clone(), connections, cut: Arc::default() }
    }
}

impl Watch {
    /// Returns when the connection is asked to finish.
    pub async fn draining(&self) {
        reached(self.phase.clone(), Phase::Draining).await;
    }

    /// Returns when the connection is asked to end now.
    pub async fn aborted(&self) {
        tokio::select! {
            () = reached(self.phase.clone(), Phase::Aborted) => {}
            () = self.cut.done() => {}
        }
    }

    /// Ends this connection alone.
    #[must_use]
    pub fn cut(&self) -> &Arc<Cut> {
        &self.cut
    }

    /// Connections open on this side, this one included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.connections.open.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.connections.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.connections.closed.notify_waiters();
        }
    }
}

async fn reached(mut phase: watch::Receiver<Phase>, wanted: Phase) {
    // A trigger that is gone asks for nothing any more.
    if phase.wait_for(|phase| *phase >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
