//! Mesh in, resources out: watches the mesh and the trust bundle, and feeds the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Applied, Cache};
use crate::model::Mesh;
use crate::throttle::Throttle;
use crate::translate::{ResourceType, translate};

/// A change is published once this long nothing else has changed …
const QUIET: Duration = Duration::from_millis(10);
/// … but at the latest so long after it came; where the mesh is large and never rests, later ([`Throttle`]).
const AT_MOST: Duration = Duration::from_millis(100);

/// What the streams are told now.
#[derive(Clone, Debug)]
pub struct Published {
    /// What it was made from.
    pub mesh: Arc<Mesh>,
    /// When that was taken: every mesh from before is in it or was replaced by it.
    pub taken: Instant,
}

/// The task between the sources and the streams.
#[derive(Debug)]
pub struct Publisher {
    mesh: watch::Receiver<Arc<Mesh>>,
    trust_bundle: watch::Receiver<Arc<str>>,
    cache: Arc<Cache>,
    published: watch::Sender<Option<Published>>,
    throttle: Throttle,
}

impl Publisher {
    /// `mesh` must hold a mesh that was read, not an empty one from before the first reading: it is
    /// published at once, and proxies that reconnect are told what it does not have. `trust_bundle` is
    /// PEM.
    #[must_use]
    pub fn new(
        mesh: watch::Receiver<Arc<Mesh>>,
        trust_bundle: watch::Receiver<Arc<str>>,
        cache: Arc<Cache>,
    ) -> Self {
        let (published, throttle) = (watch::Sender::default(), Throttle::default());
        Self { mesh, trust_bundle, cache, published, throttle }
    }

    /// What was published last; `None` before the first time.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Option<Published>> {
        self.published.subscribe()
    }

    /// Publishes the present state at once, then every change; ends when a sender is gone.
    pub async fn run(mut self) {
        loop {
            self.publish().await;
            if self.changed().await.is_err() || self.quiet().await.is_err() {
                return;
            }
        }
    }

    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.mesh.changed() => changed,
            changed = self.trust_bundle.changed() => changed,
        }
    }

    /// Waits until a burst of changes is over, or has lasted long enough.
    async fn quiet(&mut self) -> Result<(), watch::error::RecvError> {
        let begun = Instant::now();
        let earliest = self.throttle.earliest(begun);
        let end = earliest.max(begun + AT_MOST);
        loop {
            let quiet = (Instant::now() + QUIET).clamp(earliest, end);
            tokio::select! {
                () = sleep_until(quiet) => return Ok(()),
                changed = self.changed() => changed?,
            }
        }
    }

    async fn publish(&mut self) {
        let taken = Instant::now();
        let mesh = self.mesh.borrow_and_update().clone();
        let trust_bundle = self.trust_bundle.borrow_and_update().clone();
        // A large mesh takes long enough to translate that streams would notice.
        let published = Published { mesh: mesh.clone(), taken };
        let translated = tokio::task::spawn_blocking(move || {
            let set = translate(&mesh, &trust_bundle);
            set.check().map(|()| set)
        });
        match translated.await {
            Ok(Ok(set)) => {
                log(&self.cache.apply(&set));
                self.published.send_replace(Some(published));
            }
            Ok(Err(dangling)) => {
                let missing: Vec<_> = dangling.iter().take(5).map(ToString::to_string).collect();
                let count = dangling.len();
                tracing::error!(count, ?missing, "inconsistent configuration, the last one stays");
            }
            Err(error) => tracing::error!(%error, "translation failed, the last one stays"),
        }
        self.throttle.done(taken, Instant::now());
    }
}

fn log(applied: &Applied) {
    if applied.is_empty() {
        return tracing::debug!(generation = applied.generation, "nothing to publish");
    }
    let of = |kind| {
        let changes = applied.of(kind);
        format!("+{} -{}", changes.changed, changes.removed)
    };
    tracing::info!(
        generation = applied.generation,
        clusters = of(ResourceType::Cluster),
        endpoints = of(ResourceType::Endpoint),
        listeners = of(ResourceType::Listener),
        routes = of(ResourceType::Route),
        secrets = of(ResourceType::Secret),
        addresses = of(ResourceType::Addresses),
        "configuration published"
    );
}

#[cfg(test)]
mod tests;
