//! The control planes that show requests: those that there are when it begins, and in a cluster those that come later. Each is
//! listened to by a task of its own. Called by [`super::run`].
//!
//! What the first ones refuse is an error of the command; of those that come later it is their own affair, and they are asked
//! again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::admin::{AdminSocket, Lines};
use crate::control_planes::Planes;

/// How often others are looked for.
pub(super) const LOOK: Duration = Duration::from_secs(3);
/// Where nobody shows anything for so long, nobody will: a replica is replaced within less.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a control plane says.
pub(super) enum Said {
    Line(Value),
    /// It says no more, and why.
    Gone(String),
}

/// Whoever is listened to, and where what they say goes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Replicas {
    query: Arc<Value>,
    said: mpsc::Sender<Said>,
    /// Lock: never held over an await. Places of those that are listened to.
    heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Replicas {
    /// Nobody yet.
    pub(super) fn new(query: Value, said: mpsc::Sender<Said>) -> Self {
        Self { query: Arc::new(query), said, heard: Arc::default() }
    }

    /// Listens to all of these.
    ///
    /// # Errors
    /// One of them cannot be asked.
    pub(super) async fn begin(&self, planes: &[AdminSocket]) -> Result<()> {
        let opened = planes.iter().map(|plane| plane.lines("/v1/tap", &*self.query));
        // Order: what cannot be asked is said before anything is shown.
        let opened = try_join_all(opened).await.context("cannot watch")?;
        for (plane, lines) in planes.iter().zip(opened) {
            self.listen(plane.place(), lines);
        }
        Ok(())
    }

    /// Listens to those that come later too; ends when there has been nobody for `patience`.
    pub(super) async fn follow(self, planes: Planes, look: Duration, patience: Duration) {
        let mut ticks = interval(look);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alone = None;
        loop {
            ticks.tick().await;
            if self.heard().is_empty() {
                planes.lost();
            }
            for plane in planes.now().await {
                let place = plane.place();
                if self.heard().contains(&place) {
                    continue;
                }
                // One that is on its way in or out is asked again.
                if let Ok(lines) = plane.lines("/v1/tap", &*self.query).await {
                    self.listen(place, lines);
                }
            }
            let is_alone = self.heard().is_empty();
            let since = *alone.get_or_insert_with(Instant::now);
            match is_alone {
                false => alone = None,
                true if since.elapsed() >= patience => return,
                true => {}
            }
        }
    }

    fn listen(&self, place: String, mut lines: Lines) {
        self.heard().insert(place.clone());
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let next = match lines.next().await {
                    Ok(Some(line)) => Said::Line(line),
                    Ok(None) => break,
                    Err(error) => Said::Gone(error.to_string()),
                };
                let is_last = matches!(next, Said::Gone(_));
                if this.said.send(next).await.is_err() || is_last {
                    break;
                }
            }
            this.heard().remove(&place);
        });
    }

    fn heard(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
