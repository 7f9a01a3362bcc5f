//! What happens to the demo's processes while it runs: told on the screen, counted for the report.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::report::Restart;
use super::screen::Screen;
use crate::process::{Ending, Event, Inlet};

/// Bound: deaths that the report names.
const MAX_RESTARTS: usize = 1000;
/// During the start, a process that dies so often will not come up.
const HOPELESS: u32 = 3;
/// Bound: events and lines on their way to the screen.
const QUEUE: usize = 256;

/// The record of deaths.
#[derive(Clone, Debug)]
pub(super) struct Chronicle {
    restarts: Arc<Mutex<Vec<Restart>>>,
    hopeless: watch::Receiver<Option<String>>,
}

impl Chronicle {
    /// Begins to listen, until all keepers are gone.
    pub(super) fn begin(screen: Screen, verbose: bool) -> (Self, Inlet) {
        let (events_in, events) = mpsc::channel(QUEUE);
        let (lines_in, lines) = mpsc::channel(QUEUE);
        let restarts = Arc::new(Mutex::new(Vec::new()));
        let (hopeless_in, hopeless) = watch::channel(None);
        let scribe = Scribe {
            screen: screen.clone(),
            restarts: Arc::clone(&restarts),
            hopeless: hopeless_in,
        };
        tokio::spawn(scribe.run(events));
        tokio::spawn(show_lines(screen, lines));
        let inlet = Inlet { events: events_in, lines: verbose.then_some(lines_in) };
        (Self { restarts, hopeless }, inlet)
    }

    /// The deaths so far.
    pub(super) fn restarts(&self) -> Vec<Restart> {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what to tell when some process has died too often to hope for.
    pub(super) async fn hopeless(&mut self) -> String {
        let waited = self.hopeless.wait_for(Option::is_some).await;
        waited.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }
}

struct Scribe {
    screen: Screen,
    restarts: Arc<Mutex<Vec<Restart>>>,
    hopeless: watch::Sender<Option<String>>,
}

impl Scribe {
    async fn run(self, mut events: mpsc::Receiver<Event>) {
        // Bound: one entry a process of the demo.
        let mut deaths = std::collections::HashMap::<String, u32>::new();
        while let Some(event) = events.recv().await {
            match event {
                Event::Started { name, first: false } => {
                    self.screen.up(&name, "runs again");
                }
                Event::Started { first: true, .. } => {}
                Event::Died { name, ending: Ending { reason, tail }, again_in } => {
                    let again = format!("started again in {} ms", again_in.as_millis());
                    self.screen.bad(&format!("{name} {reason}; {again}"));
                    for line in &tail {
                        self.screen.faint(&format!("    {line}"));
                    }
                    self.remember(&name, &reason);
                    let count = deaths.entry(name.clone()).or_default();
                    *count += 1;
                    if *count >= HOPELESS {
                        let last = tail.last().map_or(String::new(), |line| format!(": {line}"));
                        self.hopeless.send_replace(Some(format!("{name} {reason}{last}")));
                    }
                }
                Event::Failed { name, reason } => {
                    self.screen.bad(&format!("{name} cannot start: {reason}"));
                    let count = deaths.entry(name.clone()).or_default();
                    *count += 1;
                    if *count >= HOPELESS {
                        self.hopeless.send_replace(Some(format!("{name} cannot start: {reason}")));
                    }
                }
            }
        }
    }

    fn remember(&self, name: &str, reason: &str) {
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        if restarts.len() < MAX_RESTARTS {
            restarts.push(Restart { process: name.to_owned(), reason: reason.to_owned() });
        }
    }
}

async fn show_lines(screen: Screen, mut lines: mpsc::Receiver<(String, String)>) {
    while let Some((name, line)) = lines.recv().await {
        screen.faint(&format!("{name:<22} │ {line}"));
    }
}
