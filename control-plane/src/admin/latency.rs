//! How long a change of the mesh takes until proxies are being told: the numbers behind
//! `weft_control_plane_publish_seconds`.
//!
//! An onlooker: it watches what goes into the publisher and what comes out, and concerns neither.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::histogram::Histogram;
use crate::model::Mesh;

/// A change that has published nothing after so long has changed nothing that proxies see.
const GIVE_UP: Duration = Duration::from_secs(5);

/// A histogram of what was measured.
#[derive(Debug, Default)]
pub(crate) struct PublishLatency(pub(super) Histogram);

impl PublishLatency {
    /// Measures every change of `mesh` to the next `generation` of the resources, until either ends.
    pub(crate) async fn follow(
        &self,
        mut mesh: watch::Receiver<Arc<Mesh>>,
        mut generation: watch::Receiver<u64>,
    ) {
        while mesh.changed().await.is_ok() {
            let start = Instant::now();
            match timeout(GIVE_UP, generation.changed()).await {
                Ok(Ok(())) => self.0.record(start.elapsed()),
                Ok(Err(_closed)) => return,
                Err(_elapsed) => {}
            }
            // What came in between was published with it.
            mesh.mark_unchanged();
        }
    }
}

#[cfg(test)]
mod tests;
