//! Keeps processes running: one task each, which starts its process again when it dies. Used by `demo`.
//!
//! The keeper only reports (`Event`); what a death means is for the demo to judge.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Child, Ending, Spec};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A process that lived this long starts again at once, whatever happened before.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a process may take to end when asked.
const GRACE: Duration = Duration::from_secs(3);

/// What is done before each start of a process, such as asking for a fresh join token.
pub(crate) type Prepare =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// What happened to a process.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It runs.
    Started {
        /// Name for people.
        name: String,
        /// Is it the first start?
        first: bool,
    },
    /// It ended without being asked to.
    Died {
        /// Name for people.
        name: String,
        /// How.
        ending: Ending,
        /// When it will be started again.
        again_in: Duration,
    },
    /// It could not be started; the keeper tries again.
    Failed {
        /// Name for people.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Where keepers report to.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    /// Deaths and starts.
    pub(crate) events: mpsc::Sender<Event>,
    /// Output of the processes, by name, if anybody wants it.
    pub(crate) lines: Option<mpsc::Sender<(String, String)>>,
}

/// A group of processes that are stopped together.
#[derive(Debug)]
pub(crate) struct Keeper {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    inlet: Inlet,
}

impl Keeper {
    /// A group that reports to `inlet`.
    pub(crate) fn new(inlet: Inlet) -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(false), inlet }
    }

    /// Starts a process and keeps it running until [`Keeper::stop`].
    pub(crate) fn keep(&mut self, spec: Spec, prepare: Option<Prepare>) {
        let task = Task { spec, prepare, stop: self.stop.subscribe(), inlet: self.inlet.clone() };
        self.tasks.spawn(task.run());
    }

    /// Ends all of them at once and waits until they have ended.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Task {
    spec: Spec,
    prepare: Option<Prepare>,
    stop: watch::Receiver<bool>,
    inlet: Inlet,
}

impl Task {
    async fn run(mut self) {
        let mut delay = FIRST_DELAY;
        let mut first = true;
        loop {
            let begun = Instant::now();
            match self.start(first).await {
                Ok(None) => return,
                Ok(Some(ending)) => {
                    first = false;
                    let lived = begun.elapsed();
                    delay = if lived > SETTLED { FIRST_DELAY } else { delay };
                    let name = self.spec.name.clone();
                    self.report(Event::Died { name, ending, again_in: delay });
                }
                Err(reason) => self.report(Event::Failed { name: self.spec.name.clone(), reason }),
            }
            tokio::select! {
                // Once it is to stop nothing begins any more.
                biased;
                () = stopped(&mut self.stop) => return,
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// One life of the process: `None` if it was stopped, else how it ended.
    async fn start(&mut self, first: bool) -> Result<Option<Ending>, String> {
        if let Some(prepare) = &self.prepare {
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Ok(None),
                prepared = prepare() => prepared.map_err(|error| format!("{error:#}"))?,
            }
        }
        if *self.stop.borrow() {
            return Ok(None);
        }
        let mut child = Child::start(&self.spec, self.inlet.lines.clone())
            .map_err(|error| format!("{error:#}"))?;
        self.report(Event::Started { name: self.spec.name.clone(), first });
        tokio::select! {
            ending = child.ended() => Ok(Some(ending)),
            () = stopped(&mut self.stop) => {
                child.stop(GRACE).await;
                Ok(None)
            }
        }
    }

    fn report(&self, event: Event) {
        // Bound: a demo that is too busy to read its events loses some rather than memory.
        let _ = self.inlet.events.try_send(event);
    }
}

/// Returns when the group is to stop, also if its keeper is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The value is of no interest, and it must not be held: it is a read lock.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
